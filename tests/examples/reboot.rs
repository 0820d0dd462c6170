//! A job that restarts the device: `{"operation": "reboot"}`.
//!
//! The work can't report the end of it, for the restart is in the way. So it leaves a checkpoint, and
//! the job IN_PROGRESS; the next run takes the job up again, finds the checkpoint, and reports that the
//! device is back. Its flags are those of the sample.

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

async fn work(job: &Job, _flags: &Flags) -> WorkResult {
    let Task { operation } = job.document()?;
    if operation != "reboot" {
        let reason = format!("unknown operation '{operation}'");
        return Ok(Outcome::rejected(reason));
    }
    match job.status_details().get("step") {
        // The device is back: this run is the next one.
        Some("restarting") => Ok(Outcome::Succeeded(StatusDetails::from_pairs([(
            "step", "back",
        )])?)),
        _ => {
            // From here on, the service has it, whatever becomes of this process.
            job.checkpoint(StatusDetails::from_pairs([("step", "restarting")])?)
                .await?;
            Ok(Outcome::LeftInProgress)
        }
    }
}
