//! The service for a device in another terminal.

use std::fs;
use std::io;
use std::path::PathBuf;

use jobs_mqtt5::stop;
use local_iot_core::{LocalIotCore, Options};
use tokio::sync::mpsc;

use super::commands::{Answer, obey};
use super::screen::Screen;
use super::{Outcome, device};

/// Stays up until it is told to quit.
pub async fn serve(port: Option<u16>, folder: Option<PathBuf>) -> Outcome {
    let options = Options {
        port: port.unwrap_or(0),
        ..Options::default()
    };
    let core = LocalIotCore::start(options)
        .await
        .map_err(|error| match port {
            Some(port) => format!("Port {port} can't be used: {error}. Try another --port."),
            None => format!("The service can't be started: {error}."),
        })?;
    let temporary;
    let folder = match folder {
        Some(folder) => {
            fs::create_dir_all(&folder).map_err(|error| {
                format!("The folder {} can't be made: {error}.", folder.display())
            })?;
            folder
        }
        None => {
            temporary = tempfile::tempdir()?; // removed when it goes out of scope
            temporary.path().to_owned()
        }
    };
    let files = core
        .pki()
        .write_to(&folder)
        .map_err(|error| format!("{} can't be written to: {error}.", folder.display()))?;
    let flags = device::shown(&device::flags(&core, &files));
    let program = device::build_program();
    println!("A stand-in for AWS IoT Core is up. In a second terminal, in this folder, run:\n");
    match program {
        Some(program) => {
            let program = device::shown(&[program.display().to_string()]);
            println!("    {program} {flags}\n");
            println!("(Once you have changed the program: `cargo run --` and the same flags.)");
        }
        None => println!("    cargo run -- {flags}\n"),
    }
    println!("What the service sees is shown below. `help` lists what you can type here.\n");

    let screen = Screen::new();
    let interrupted = stop::signal()?;
    tokio::select! {
        _ = interrupted => {}
        () = take_commands(&core, &screen) => {}
        () = screen.show(&core) => {}
    }
    println!("Goodbye.");
    Ok(())
}

/// Does what is typed, until that is `quit`.
async fn take_commands(core: &LocalIotCore, screen: &Screen) {
    let (to_us, mut lines) = mpsc::unbounded_channel();
    let _stay_open = to_us.clone(); // at the end of input, go on serving
    std::thread::spawn(move || {
        let typed = io::stdin().lines().map_while(Result::ok);
        typed
            .map(|line| to_us.send(line))
            .take_while(Result::is_ok)
            .for_each(drop);
    });
    while let Some(line) = lines.recv().await {
        match obey(core, line.trim()) {
            Ok(Answer::Say(answer)) => println!("{answer}"),
            Ok(Answer::Quiet) => match screen.toggle_quiet() {
                true => println!("quiet; `quiet` again shows what happens"),
                false => println!("what happens is shown again"),
            },
            Ok(Answer::Quit) => return,
            Err(error) => println!("{error}"),
        }
    }
}
