//! The sample on your own machine: `cargo run --example try_locally`.
//!
//! Starts `local_iot_core` (a stand-in for AWS IoT Core), makes certificates for it, queues three
//! jobs, runs the sample against it, and ends when the service has all three down as SUCCEEDED.
//!
//! With `-- --serve` it stays up instead, prints the command for a second terminal and the address of
//! a page, shows on both what happens, and takes commands; `help` lists them.

mod chart;
mod commands;
mod device;
mod first_day;
mod page;
mod serve;
mod terminal;
mod three_jobs;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// How a part of the example ended.
type Outcome = Result<(), Box<dyn std::error::Error>>;

/// The sample against a stand-in for AWS IoT Core, on this machine alone.
#[derive(Parser)]
#[command(name = "try_locally", bin_name = "cargo run --example try_locally --")]
struct Arguments {
    /// Stay up, for a device in a second terminal, and take commands.
    #[arg(long)]
    serve: bool,
    /// The port to listen on. With this and --folder, the printed command stays good for the
    /// next time. [default: one that is free]
    #[arg(long, requires = "serve", value_parser = port)]
    port: Option<u16>,
    /// The folder for the certificates and the key, which stay there. [default: a temporary one]
    #[arg(long, requires = "serve")]
    folder: Option<PathBuf>,
    /// The port of the page. [default: the one behind --port, or one that is free]
    #[arg(long, requires = "serve", value_parser = port)]
    page_port: Option<u16>,
    /// A policy: a file, `sample` (policy.json), or `product`, which also allows the thing's name as
    /// client ID, dt/THING/*, cmd/THING/* and the thing's shadows. [default: product]
    #[arg(long, requires = "serve", value_name = "FILE")]
    policy: Option<String>,
    /// Wait for a new device, and write the claim that it begins with into this folder: lesson 0.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["serve", "record"])]
    first_day: Option<PathBuf>,
    /// At the end, write what happened as a page that needs nothing but itself.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Leave messages, job documents and status details out of it. (Presigned URLs always are.)
    #[arg(long, requires = "record")]
    no_payloads: bool,
}

fn port(text: &str) -> Result<u16, &'static str> {
    let port = text.parse().ok().filter(|port| *port != 0);
    port.ok_or("give a number from 1 to 65535")
}

impl Arguments {
    fn page_port(&self) -> u16 {
        let behind = self.port.map_or(0, |port| port.saturating_add(1));
        self.page_port.unwrap_or(behind)
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("The example can't be started: {error}.");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async {
        if let Some(file) = &arguments.record {
            serve::can_be_written(file)?; // or it would be told when all is over
        }
        if let Some(folder) = &arguments.first_day {
            first_day::first_day(folder).await
        } else if arguments.serve {
            serve::serve(&arguments).await
        } else {
            three_jobs::three_jobs(&arguments).await
        }
    });
    runtime.shutdown_background(); // a thread may still be reading stdin
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
