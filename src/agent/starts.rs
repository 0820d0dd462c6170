//! How often a job was started, where that is limited: work that kills its process must not block the
//! queue for good.

use std::sync::Arc;

use super::context::Context;
use super::job::Job;
use super::outcome::{CheckpointError, Outcome};
use super::running::STARTS;
use crate::jobs::{JobExecution, RequestError};

/// Wraps an execution that was started as a [`Job`], and counts the start in its status details. `None`
/// if it was started too often already: it is FAILED.
pub(super) async fn counted(
    context: &Arc<Context>,
    execution: JobExecution,
) -> Result<Option<Job>, RequestError> {
    let Some(max_starts) = context.options.max_starts else {
        return Ok(Some(Job::new(context, execution, None)));
    };
    let before = execution.status_details.get(STARTS);
    let before = before.and_then(|starts| starts.parse().ok()).unwrap_or(0);
    let details = execution.status_details.clone();
    let job = Job::new(context, execution, Some(before + 1));
    if before >= max_starts {
        let reason = format!("it was started {before} times, and never ended");
        job.finish(Outcome::failed(reason)).await?;
        return Ok(None);
    }
    match job.checkpoint(details).await {
        Err(CheckpointError::Request(error)) if error.is_fatal() => Err(error),
        // If it is no longer wanted, the work hears of it; and uncounted is better than not done.
        _ => Ok(Some(job)),
    }
}
