//! The service for a device in another terminal.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use jobs_mqtt5::stop;
use jobs_mqtt5::text::{cut, printable};
use local_iot_core::{LocalIotCore, Options};

use super::chart::{recording, without_signatures};
use super::commands::{Answer, Desk, Origin, PRODUCT, read_policy};
use super::page::{Page, token};
use super::terminal::{LONGEST, Level, Screen, Terminal, Typed, say};
use super::{Arguments, Outcome, device};

/// What rustyline reads at one go, it loses at one go.
const NOT_TEXT: &str = "There was a byte that is not UTF-8: that line is lost, and what came in one piece with it. `list` \
     shows which jobs there are";

/// Stays up until it is told to quit.
pub async fn serve(arguments: &Arguments) -> Outcome {
    let policy = match &arguments.policy {
        Some(which) => read_policy(which, Origin::Terminal)?,
        None => PRODUCT.to_owned(),
    };
    let options = Options {
        port: arguments.port.unwrap_or(0),
        policy: policy.clone(),
        ..Options::default()
    };
    let core = LocalIotCore::start(options)
        .await
        .map_err(|error| match arguments.port {
            Some(port) => format!("Port {port} can't be used: {error}. Try another --port."),
            None => format!("The service can't be started: {error}."),
        })?;
    let temporary;
    let (folder, token) = match &arguments.folder {
        Some(folder) => {
            fs::create_dir_all(folder).map_err(|error| {
                format!("The folder {} can't be made: {error}.", folder.display())
            })?;
            (folder.as_path(), token::kept_in(folder))
        }
        None => {
            temporary = tempfile::tempdir()?; // removed when it goes out of scope
            (temporary.path(), Ok(token::new()))
        }
    };
    let unwritable = |error| format!("{} can't be written to: {error}.", folder.display());
    let token = token.map_err(unwritable)?;
    let files = core.pki().write_to(folder).map_err(unwritable)?;
    let page_port = arguments.page_port();
    let page = Page::bind(page_port, token).await.map_err(|error| {
        format!("Port {page_port}, for the page, can't be used: {error}. Try another --page-port.")
    })?;
    let program = device::build_program();
    let flags = device::shown(&device::flags(&core, &files));
    // If nobody reads it, the terminal finds out with what it prints next.
    let _ = say(&introduction(arguments, &page, program, &flags));

    let desk = Arc::new(Desk::new(core, &policy));
    let interrupted = stop::signal()?;
    let mut terminal = Terminal::open();
    let hung_up = hung_up(terminal.is_edited())?;
    tokio::select! {
        biased;
        _ = interrupted => {}
        () = hung_up => {}
        () = take_commands(&desk, &mut terminal) => {}
        () = desk.chart.draw() => {}
        () = page.serve(Arc::clone(&desk)) => {}
    }
    drop(terminal);
    record(arguments, &desk)?;
    let _ = say("Goodbye.");
    Ok(())
}

/// Waits for SIGHUP, if there is a terminal to be given back. (Without one, it ends the program by itself,
/// and `nohup` can have it ignored.)
fn hung_up(is_edited: bool) -> io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let signal = {
        use tokio::signal::unix::{SignalKind, signal};
        let hangup = || signal(SignalKind::hangup());
        is_edited.then(hangup).transpose()?
    };
    #[cfg(not(unix))]
    let _ = is_edited;
    Ok(async move {
        #[cfg(unix)]
        if let Some(mut signal) = signal {
            signal.recv().await;
            return;
        }
        std::future::pending().await
    })
}

/// What to do in the second terminal, and in a browser.
fn introduction(arguments: &Arguments, page: &Page, program: &str, flags: &str) -> String {
    let address = page.address();
    let next_time = if arguments.port.is_none() || arguments.folder.is_none() {
        "(Address and command are others at the next start. To keep them:
    cargo run --example try_locally -- --serve --port 8883 --folder target/local )\n"
    } else {
        ""
    };
    format!(
        "A stand-in for AWS IoT Core is up. Look at it in a browser:

    {address}

In a second terminal, in this folder, run:

    {program} {flags}

{next_time}\
What happens is shown below, too. `help` lists what you can type here.
"
    )
}

/// Writes the recording that was asked for.
fn record(arguments: &Arguments, desk: &Desk) -> Outcome {
    if let Some(file) = &arguments.record {
        recording::write(&desk.chart, file, !arguments.no_payloads)
            .map_err(|error| unwritable(file, &error))?;
        let _ = say(&format!("What happened is in {}.", file.display()));
    }
    Ok(())
}

/// Looks whether a recording can be written there. What is there stays.
///
/// # Errors
/// If it can't.
pub fn can_be_written(file: &Path) -> Outcome {
    let made = fs::File::create_new(file).and_then(|_| fs::remove_file(file));
    let can_be = match made {
        // (A link to what is not there yet, or what is no file, is written to at the end.)
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !file.is_file() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let mut options = fs::File::options();
            options.append(true).open(file).map(drop)
        }
        made => made,
    };
    Ok(can_be.map_err(|error| unwritable(file, &error))?)
}

/// The sentence for a recording that can't be kept.
pub fn unwritable(file: &Path, error: &io::Error) -> String {
    format!("{} can't be written: {error}.", file.display())
}

/// An answer as it may be shown: it can quote what somebody else has sent.
fn fit_to_show(answer: &str) -> String {
    let answer = without_signatures(answer);
    let lines = answer.lines().map(printable);
    lines.collect::<Vec<_>>().join("\n")
}

/// Does what is typed and shows what happens, until it is told to quit.
async fn take_commands(desk: &Desk, terminal: &mut Terminal) {
    let mut screen = Screen::new();
    let mut shown = 0;
    let mut clicked = desk.clicked.subscribe();
    loop {
        tokio::select! {
            biased;
            (moments, next) = desk.chart.from(shown) => {
                shown = next;
                let lines: Vec<_> = moments.iter().filter_map(|one| screen.line(one)).collect();
                if !lines.is_empty() {
                    terminal.print(&lines.join("\n"));
                }
            }
            Ok(clicked) = clicked.recv() => terminal.print(&cut(&clicked, LONGEST)),
            typed = terminal.next() => {
                let lines = match typed {
                    Typed::Lines(lines) => lines,
                    Typed::NotText => {
                        terminal.print(NOT_TEXT);
                        continue;
                    }
                    Typed::End => return,
                };
                // Several at once, if they were pasted.
                for line in lines.lines() {
                    match desk.obey(line, Origin::Terminal) {
                        Ok(Answer::Say(answer)) if answer.is_empty() => {}
                        Ok(Answer::Say(answer)) => terminal.print(&fit_to_show(&answer)),
                        Ok(Answer::Quiet) => terminal.print(screen.toggle(Level::Quiet)),
                        Ok(Answer::Verbose) => terminal.print(screen.toggle(Level::All)),
                        Ok(Answer::Quit) => return,
                        Err(error) => terminal.print(&fit_to_show(&error.to_string())),
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_shown_without_signatures_and_escape_sequences() {
        let answer = "broken-execution \u{1b}[31m\nhttps://a.example/f?X-Amz-Signature=SECRET";
        let shown = "broken-execution \\u{1b}[31m\nhttps://a.example/f?…";
        assert_eq!(fit_to_show(answer), shown);
    }

    #[cfg(unix)]
    #[test]
    fn looking_whether_a_recording_can_be_written_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let link = path("link");
        std::os::unix::fs::symlink(path("nowhere"), &link).unwrap();
        fs::write(path("file"), "old").unwrap();
        for name in ["link", "file", "new"] {
            can_be_written(&path(name)).unwrap();
        }
        assert!(link.is_symlink() && !path("nowhere").exists() && !path("new").exists());
        assert_eq!(fs::read(path("file")).unwrap(), b"old");
        can_be_written(&path("none/new")).unwrap_err();
    }
}
