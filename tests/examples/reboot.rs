//! A job that restarts the device, `{"operation": "reboot"}`, and one that may crash it,
//! `{"operation": "self-test"}`.
//!
//! The work can't report the end of a restart, for the restart is in the way. So it leaves a checkpoint,
//! and the job IN_PROGRESS; the next run resumes the job, finds the checkpoint, and reports that the
//! device is back, if it is (`restart`). What may crash the device is counted in the same way, or it would
//! be started and crash without end, and no other job be done. Its flags are those of the sample.

use std::process::ExitCode;
use std::time::Duration;

use jobs_mqtt5::agent::{Job, Outcome, WorkResult};
use jobs_mqtt5::cli::Flags;
use jobs_mqtt5::jobs::StatusDetails;
use jobs_mqtt5::program;
use serde::Deserialize;
use tokio::process::Command;

#[allow(clippy::duplicate_mod)] // the tests have it too
mod restart;

/// The command that restarts the device. (Without one, this example ends, as a restart would end it, and
/// leaves the rest to whatever starts it again. Say with `BOOT_ID` that the system was: see `restart`.)
const RESTART: Option<&str> = None; // on a device: Some("reboot")
/// How long the system may take until it ends this program.
const RESTARTS_WITHIN: Duration = Duration::from_secs(300);

/// What every job document for this device says.
#[derive(Deserialize)]
struct Task {
    operation: String,
}

fn main() -> ExitCode {
    program::run(work)
}

/// A self-test that has crashed the device so often is FAILED.
const MAX_STARTS: u32 = 2;

async fn work(job: &Job, _flags: &Flags) -> WorkResult {
    let Task { operation } = job.document()?;
    match operation.as_str() {
        "reboot" => reboot(job, RESTART, RESTARTS_WITHIN).await,
        "self-test" => test_once_more(job).await,
        _ => Ok(Outcome::rejected(format!(
            "unknown operation '{operation}'"
        ))),
    }
}

/// Restarts the device with this command, or reports that it is back.
pub async fn reboot(job: &Job, command: Option<&str>, limit: Duration) -> WorkResult {
    let checkpoint = job.status_details();
    let is_asked_for = checkpoint.get("step") == Some("restarting");
    if is_asked_for && restart::has_come(checkpoint) {
        // The device is back: this run is the next one.
        let back = StatusDetails::from_pairs([("step", "back")])?;
        return Ok(Outcome::Succeeded(back));
    }
    if !is_asked_for {
        let restarting = [("step", "restarting"), ("boot_id", &restart::boot_id())];
        // From here on, the service has it, whatever becomes of this process.
        job.checkpoint(StatusDetails::from_pairs(restarting)?)
            .await?;
        let Some(command) = command else {
            return Ok(Outcome::LeftInProgress);
        };
        let ended = Command::new(command).status().await;
        let ended = ended.map_err(|error| format!("{command} can't be run: {error}"))?;
        if !ended.success() {
            return Err(format!("the restart was refused: {command} ended with {ended}").into());
        }
    }
    restart::wait(job, limit).await
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
