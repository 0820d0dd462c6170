//! Make work repeatable: if the power fails between the work and its report, the next run gets the job
//! again, and the sensor is in the list twice; if it fails in the middle of writing, half a line is. Let
//! a repetition change nothing, and let the list be the old one or the new one at any time.

use std::fs::OpenOptions;
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
    let mut file = OpenOptions::new().append(true).open(list)?;
    writeln!(file, "{sensor}")?;
    Ok(Outcome::succeeded())
}
