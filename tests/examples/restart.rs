//! What a job that restarts the device has to know: whether the restart has come.
//!
//! The work can't see it, for the restart is in the way. So its checkpoint says which start of the system
//! this is ([`boot_id`]), and the next run of the program compares. That the program was started again does
//! not prove a restart: it may have been killed, or the restart refused.

use std::time::Duration;
use std::{env, fs};

use jobs_mqtt5::agent::{Job, WorkResult};
use jobs_mqtt5::jobs::StatusDetails;
use tokio::time::timeout;

/// Linux has another text in this file after each start.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
const UNKNOWN: &str = "unknown";

/// Which start of the system this is. `unknown` where no such file can be read: on macOS and Windows, and
/// in a systemd unit with `ProcSubset=pid`. (In a container it is the host's, which is what restarts.)
/// To play a restart, have the variable `BOOT_ID` name a file of your own, and change that.
pub fn boot_id() -> String {
    let file = env::var_os("BOOT_ID").unwrap_or(BOOT_ID.into());
    fs::read_to_string(file).map_or(UNKNOWN.to_owned(), |id| id.trim().to_owned())
}

/// Whether the system has started anew since a checkpoint with `boot_id` in its details. Where that is
/// unknown, yes: of a restart that was refused, only the command's exit status tells there.
pub fn has_come(checkpoint: &StatusDetails) -> bool {
    let now = boot_id();
    now == UNKNOWN || checkpoint.get("boot_id") != Some(&now)
}

/// Waits for the restart, which ends this program.
///
/// # Errors
/// If it has ended nothing by then. And if the job is to end: then that is the reason.
pub async fn wait(job: &Job, limit: Duration) -> WorkResult {
    match timeout(limit, job.interrupted()).await {
        Ok(why) => Err(why.into()),
        Err(_) => Err(format!("the device did not restart within {limit:?}").into()),
    }
}
