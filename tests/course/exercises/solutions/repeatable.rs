//! Make work repeatable: look whether it is done already; if not, write the new list beside the old one,
//! and put it in its place by a rename, which happens as a whole or not at all.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use jobs_mqtt5::agent::{Job, Outcome, WorkResult};
use serde::Deserialize;

#[derive(Deserialize)]
struct Add {
    sensor: String,
}

/// `list` is a file with one sensor a line.
pub async fn work(job: &Job, list: &Path) -> WorkResult {
    let Add { sensor } = job.document()?;
    let sensors = fs::read_to_string(list)?;
    if sensors.lines().any(|line| line == sensor) {
        return Ok(Outcome::succeeded()); // an earlier run has done it, and could not report
    }
    let beside = list.with_extension("new"); // in the same folder, so the rename is atomic
    let mut file = File::create(&beside)?;
    writeln!(file, "{sensors}{sensor}")?;
    file.sync_all()?; // first what is in it, then its name
    fs::rename(&beside, list)?;
    Ok(Outcome::succeeded())
}
