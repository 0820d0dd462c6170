//! A job that restarts the device, `{"operation": "reboot"}`, and one that may crash it,
//! `{"operation": "self-test"}`.
//!
//! The work can't report the end of a restart, for the restart is in the way. So it leaves a checkpoint,
//! and the job IN_PROGRESS; the next run resumes the job, finds the checkpoint, and reports that the
//! device is back. What may crash the device is counted in the same way, or it would be started and crash
//! without end, and no other job be done. Its flags are those of the sample.

use std::process::ExitCode;

use jobs_mqtt5::agent::{Job, Outcome, WorkResult};
use jobs_mqtt5::cli::Flags;
use jobs_mqtt5::jobs::StatusDetails;
use jobs_mqtt5::program;
use serde::Deserialize;

/// The command that restarts the device. (This example ends, as a restart would end it, and leaves
/// the rest to whatever starts it again.)
const RESTART: Option<&str> = None; // on a device: Some("reboot")

/// What every job document for this device says.
#[derive(Deserialize)]
struct Task {
    operation: String,
}

fn main() -> ExitCode {
    let code = program::run(work);
    if let Some(command) = RESTART {
        let _ = std::process::Command::new(command).status();
    }
    code
}

/// A self-test that has crashed the device so often is FAILED.
const MAX_STARTS: u32 = 2;

async fn work(job: &Job, _flags: &Flags) -> WorkResult {
    let Task { operation } = job.document()?;
    match operation.as_str() {
        "reboot" => reboot(job).await,
        "self-test" => test_once_more(job).await,
        _ => Ok(Outcome::rejected(format!(
            "unknown operation '{operation}'"
        ))),
    }
}

async fn reboot(job: &Job) -> WorkResult {
    if job.status_details().get("step") == Some("restarting") {
        // The device is back: this run is the next one.
        let back = StatusDetails::from_pairs([("step", "back")])?;
        return Ok(Outcome::Succeeded(back));
    }
    let restarting = StatusDetails::from_pairs([("step", "restarting")])?;
    job.checkpoint(restarting).await?; // from here on, the service has it, whatever becomes of this process
    Ok(Outcome::LeftInProgress)
}

async fn test_once_more(job: &Job) -> WorkResult {
    let starts = job.status_details().get("starts");
    let starts = starts.and_then(|starts| starts.parse().ok()).unwrap_or(0);
    if starts == MAX_STARTS {
        let reason = format!("it was started {starts} times, and never ended");
        return Ok(Outcome::failed(reason));
    }
    let next = StatusDetails::from_pairs([("starts", (starts + 1).to_string())])?;
    job.checkpoint(next).await?;
    self_test();
    Ok(Outcome::succeeded())
}

/// Stands for what may take the device down, and does.
fn self_test() {
    std::process::abort();
}
