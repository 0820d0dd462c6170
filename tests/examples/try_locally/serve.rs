//! The service for a device in another terminal.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jobs_mqtt5::stop;
use local_iot_core::{LocalIotCore, Options};

use super::chart::recording;
use super::commands::{Answer, Desk, Origin, PRODUCT, read_policy};
use super::page::{Page, token};
use super::terminal::{Level, Screen, Terminal, Typed};
use super::{Arguments, Outcome, device};

/// The most that is shown at one go.
const MOST: usize = 1000;

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
    introduce(arguments, &page, program, &flags);

    let desk = Arc::new(Desk::new(core, &policy));
    let interrupted = stop::signal()?;
    let mut terminal = Terminal::open();
    tokio::select! {
        biased;
        _ = interrupted => {}
        () = take_commands(&desk, &mut terminal) => {}
        () = desk.chart.draw() => {}
        () = page.serve(Arc::clone(&desk)) => {}
    }
    drop(terminal);
    record(arguments, &desk)?;
    println!("Goodbye.");
    Ok(())
}

/// Tells what to do in the second terminal, and in a browser.
fn introduce(arguments: &Arguments, page: &Page, program: Option<PathBuf>, flags: &str) {
    println!("A stand-in for AWS IoT Core is up. Look at it in a browser:\n");
    println!("    {}\n", page.address());
    println!("In a second terminal, in this folder, run:\n");
    match program {
        Some(program) => {
            let program = device::shown(&[program.display().to_string()]);
            println!("    {program} {flags}\n");
            println!("(Once you have changed the program: `cargo run --` and the same flags.)");
        }
        None => println!("    cargo run -- {flags}\n"),
    }
    if arguments.port.is_none() || arguments.folder.is_none() {
        println!("(With `--port 8883 --folder target/local`, both stay good for the next time.)");
    }
    println!("What happens is shown below, too. `help` lists what you can type here.\n");
}

/// Writes the recording that was asked for.
fn record(arguments: &Arguments, desk: &Desk) -> Outcome {
    if let Some(file) = &arguments.record {
        recording::write(&desk.chart, file, !arguments.no_payloads)
            .map_err(|error| unwritable(file, &error))?;
        println!("What happened is in {}.", file.display());
    }
    Ok(())
}

/// The sentence for a recording that can't be kept.
pub fn unwritable(file: &Path, error: &std::io::Error) -> String {
    format!("{} can't be written: {error}.", file.display())
}

/// Does what is typed and shows what happens, until it is told to quit.
async fn take_commands(desk: &Desk, terminal: &mut Terminal) {
    let mut screen = Screen::new();
    let mut shown = 0;
    let mut clicked = desk.clicked.subscribe();
    loop {
        tokio::select! {
            biased;
            (moments, next) = desk.chart.from(shown, MOST) => {
                shown = next;
                let lines: Vec<_> = moments.iter().filter_map(|one| screen.line(one)).collect();
                if !lines.is_empty() {
                    terminal.print(&lines.join("\n"));
                }
            }
            Ok(clicked) = clicked.recv() => terminal.print(&clicked),
            typed = terminal.next() => {
                let Typed::Lines(lines) = typed else { return };
                // Several at once, if they were pasted.
                for line in lines.lines() {
                    match desk.obey(line, Origin::Terminal) {
                        Ok(Answer::Say(answer)) if answer.is_empty() => {}
                        Ok(Answer::Say(answer)) => terminal.print(&answer),
                        Ok(Answer::Quiet) => terminal.print(screen.toggle(Level::Quiet)),
                        Ok(Answer::Verbose) => terminal.print(screen.toggle(Level::All)),
                        Ok(Answer::Quit) => return,
                        Err(error) => terminal.print(&error.to_string()),
                    }
                }
            }
        }
    }
}
