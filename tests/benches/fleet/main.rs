//! From one device to a fleet: `cargo bench --bench fleet`.
//!
//! A simulation of 100,000 devices that lose their connection at the same moment, because the service
//! is down for a minute. Each waits as the program's own `Backoff` says; beside it, the same without
//! jitter, and a constant wait. How many connects does the service meet in a second when it is back,
//! and when is everybody connected again?
//!
//! `-- --draw` draws the picture of the page beside this file anew.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

mod picture;
mod simulation;
mod table;

use simulation::{Fleet, Wait};
use table::{HEAD, duration, row, thousands};

/// A fleet that loses its connections all at once.
#[derive(Debug, Clone, Parser)]
#[command(bin_name = "cargo bench --bench fleet --")]
struct Arguments {
    /// How many devices there are
    #[arg(long, value_name = "COUNT", default_value_t = 100_000)]
    devices: u32,

    /// How long the service is down, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    outage: usize,

    /// How many connects the service takes in a second (500 is AWS's default for an account)
    #[arg(long, value_name = "COUNT", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    connects: u32,

    /// Where the random numbers begin
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Draw the picture of tests/benches/fleet/README.md anew, from these figures
    #[arg(long)]
    draw: bool,

    /// Cargo passes this to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let fleet = Fleet {
        devices: arguments.devices,
        outage: arguments.outage,
        connects: Some(arguments.connects),
        seed: arguments.seed,
    };
    println!(
        "{} devices lose their connection at once; the service is down for {} s.\n",
        thousands(fleet.devices),
        fleet.outage
    );
    print_tables(&fleet, arguments.connects);
    if !arguments.draw {
        return ExitCode::SUCCESS;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(picture::PATH);
    let drawn = picture::draw(&fleet).and_then(|svg| Ok(std::fs::write(&path, svg)?));
    match drawn {
        Ok(()) => {
            println!("Drawn: {}", path.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("The picture can't be drawn to {}: {error}.", path.display());
            ExitCode::FAILURE
        }
    }
}

/// Each way to wait, before a service that takes everything, and before one with the limit.
fn print_tables(fleet: &Fleet, connects: u32) {
    for (limit, takes) in [
        (None, "every connect".to_owned()),
        (Some(connects), format!("{connects} connects a second")),
    ] {
        let fleet = Fleet {
            connects: limit,
            ..fleet.clone()
        };
        println!("The service takes {takes}:\n\n{HEAD}");
        for wait in Wait::ALL {
            println!("{}", row(&fleet, wait));
        }
        println!();
    }
    let at_best = duration(fleet.devices.div_ceil(connects) as usize);
    println!(
        "Peak and back are counted from the end of the outage. With {connects} connects a second, \
         all are back after {at_best} at best."
    );
}
