//! What a job costs, measured against `local_iot_core`: `cargo bench --bench cost`. What the figures
//! mean is on the page beside this file: README.md.
//!
//! Prints two tables, as the page has them: what is measured, the target, and the figure; a target
//! that was missed is marked. It takes about four minutes, most of them spent waiting (a thousand jobs
//! at a hundred publishes per second, an idle device, pings); `-- --quick` leaves those out.
//!
//! `-- --against "COMMAND …"` measures any other program that takes the same flags in a second column.

use std::process::ExitCode;

use clap::Parser;

mod arguments;
mod idle;
mod line;
mod many_jobs;
mod packets;
mod process;
mod round_trips;
mod start;
mod table;
mod volume;
mod world;

use arguments::Arguments;
use process::Program;
use table::{Row, Table, Unit};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // One thread is plenty for the service, and leaves the rest of the machine to the device.
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("The benchmark can't be started: {error}.");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(measure(&arguments));
    ExitCode::SUCCESS
}

/// Measures each program, and prints the table.
async fn measure(arguments: &Arguments) {
    let ours = Program::ours();
    let size = std::fs::metadata(ours.path()).map(|file| file.len() as f64);
    let mut programs = vec![ours];
    programs.extend(arguments.against.clone().map(Program::other));
    let mut table = Table::new("What it costs", &programs);
    let mut bytes = Table::new("What it sends and receives²", &programs);

    progress("round trips");
    let (rows, packets) = round_trips::rows(&programs).await;
    table.extend(rows);
    progress("start");
    table.extend(start::rows(&programs).await);
    progress("10 jobs, and 1,000");
    table.extend(many_jobs::rows(&programs, arguments.is_quick()).await);
    if !arguments.is_quick() {
        progress("an idle device (a good minute)");
        table.extend(idle::rows(&programs).await);
    }
    let mut binary = Row::new("size of the binary", Unit::Megabytes).at_most(4.0);
    binary.put(size.map_err(|error| error.to_string()));
    table.extend([binary]);

    progress("bytes on the line");
    bytes.extend(volume::rows(&programs, arguments.is_quick()).await);

    println!(
        "\n{table}{}\n\n{bytes}{}\n\n{packets}",
        round_trips::NOTE,
        volume::NOTE
    );
}

/// Says on stderr what is being measured.
fn progress(what: &str) {
    eprintln!("measuring: {what}");
}
