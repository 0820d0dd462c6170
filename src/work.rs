//! **Your work goes here**: the one place to edit.

use jobs_mqtt5::agent::{Job, Outcome, WorkResult};
use jobs_mqtt5::cli::Flags;
use tokio::time::sleep;

/// Works on a job. What it holds ([`Job`]) has the document, reports progress, and says when to end: the
/// job is no longer wanted, or the program was told to stop.
///
/// It runs on a thread of its own, so it may block as well as wait, and no panic in it ends the program.
/// Only one job is worked on at a time. (What is here now only pretends: it waits.)
///
/// # Errors
/// The reason why the job could not be done. The execution is then FAILED, with this reason in its status
/// details, and the next one is started.
pub async fn work(job: &Job, flags: &Flags) -> WorkResult {
    tokio::select! {
        () = sleep(flags.job_time()) => Ok(Outcome::succeeded()),
        why = job.interrupted() => Err(why.into()),
    }
}
