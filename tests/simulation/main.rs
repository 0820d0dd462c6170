//! A device's life in a simulated world, in virtual time: see `README.md` beside this file.

mod breaks;
mod cloud;
mod commands;
mod device;
mod happening;
mod later;
mod network;
mod plan;
mod rules;
mod run;
mod seeds;
mod setting;
mod story;
#[cfg(test)]
mod tests;
mod work;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;

use breaks::Break;

/// Lets a device and its cloud live through hours of trouble, and judges what became of it.
#[derive(Parser)]
struct Flags {
    /// The seeds to run: `0..100000`
    #[arg(long, value_parser = range, default_value = "0..1000")]
    seeds: Range<u64>,
    /// Run one seed, and print its whole story
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Put this known fault into the device or the service; `list` names them, `all` says of each what finds it
    #[arg(long = "break", value_name = "NAME")]
    broken: Option<String>,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let flags = Flags::parse();
    if flags.broken.as_deref() == Some("list") {
        for one in breaks::ALL {
            println!("{:<24} {} (seed {:?})", one.name, one.about, one.seeds);
        }
        return Ok(ExitCode::SUCCESS);
    }
    if flags.broken.as_deref() == Some("all") {
        return Ok(try_all_breaks(&flags.seeds));
    }
    let broken = match &flags.broken {
        None => None,
        Some(name) => Some(Break::named(name).ok_or(format!("no break has the name '{name}'"))?),
    };
    if let Some(seed) = flags.seed {
        return tell(seed, broken);
    }
    Ok(run_all(flags.seeds, broken))
}

/// One seed, with its story.
fn tell(seed: u64, broken: Option<&'static Break>) -> Result<ExitCode, Box<dyn Error>> {
    let run = world::run(seed, broken)?;
    print!("{}", story::story(&run));
    let failures = rules::failures(&run);
    for failure in &failures {
        println!("FAILED: {failure}");
    }
    Ok(ExitCode::from(u8::from(!failures.is_empty())))
}

/// Many seeds, with those that fail.
fn run_all(seeds: Range<u64>, broken: Option<&'static Break>) -> ExitCode {
    let begun = Instant::now();
    let failed = AtomicU64::new(0);
    let ran = seeds::run_all(seeds, broken, |seed, failures| {
        failed.fetch_add(1, Ordering::Relaxed);
        for failure in failures {
            println!("seed {seed}: {failure}");
        }
        false
    });
    let failed = failed.into_inner();
    let took = begun.elapsed();
    println!("{ran} seeds in {took:.1?}, {failed} failed");
    ExitCode::from(u8::from(failed > 0))
}

/// Each break, with how many of the seeds find it, the first of them, and the rules that it breaks.
fn try_all_breaks(seeds: &Range<u64>) -> ExitCode {
    let mut missed = false;
    for broken in breaks::ALL {
        let found = Mutex::new(BTreeMap::new());
        seeds::run_all(seeds.clone(), Some(broken), |seed, failures| {
            let rules: BTreeSet<&str> = failures.iter().map(|failure| failure.rule).collect();
            network::lock(&found).insert(seed, rules);
            false
        });
        let found = network::lock(&found);
        missed |= found.is_empty();
        let first: Vec<u64> = found.keys().take(3).copied().collect();
        let rules: BTreeSet<&str> = found.values().flatten().copied().collect();
        println!(
            "{:<24} {:>4} seeds, first {first:?}: {rules:?}",
            broken.name,
            found.len()
        );
    }
    ExitCode::from(u8::from(missed))
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let bounds = text.split_once("..");
    let range = bounds.and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    range.ok_or_else(|| format!("'{text}' is no range such as 0..1000"))
}
