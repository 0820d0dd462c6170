//! Starts an execution that need not be the first in line: one that is for this program, or one behind
//! another that can't be read.

use std::sync::Arc;

use super::context::Context;
use super::event::Event;
use crate::jobs::{JobExecution, JobStatus, RequestError, Update};

/// Starts the first of the pending executions that is wanted, and leaves the others as they are. `None`
/// if there is none among those that the service lists.
///
/// It is started by an update that names its version, and not as the next in line: that may be another
/// one by then.
pub(super) async fn start_first(
    context: &Context,
    is_wanted: impl Fn(&JobExecution) -> bool,
) -> Result<Option<JobExecution>, RequestError> {
    let pending = context.jobs.get_pending().await?;
    for listed in pending.in_progress_jobs.iter().chain(&pending.queued_jobs) {
        let execution = match context.jobs.describe(&listed.job_id).await {
            Ok(Some(execution)) => execution,
            Ok(None) | Err(RequestError::Rejected { .. } | RequestError::Unreadable { .. }) => {
                continue; // it has ended meanwhile, or it is for somebody else to look at
            }
            Err(error) => return Err(error),
        };
        if !is_wanted(&execution) {
            context.emit(Event::NotMine(Arc::new(execution)));
            continue;
        }
        match execution.status {
            JobStatus::InProgress => return Ok(Some(execution)),
            JobStatus::Queued => match start(context, &execution).await {
                Err(RequestError::Rejected { .. }) | Ok(None) => {} // somebody was faster
                Ok(Some(started)) if started.id() != execution.id() && !is_wanted(&started) => {
                    context.emit(Event::NotMine(Arc::new(started)));
                }
                started => return started,
            },
            _ => {}
        }
    }
    Ok(None)
}

/// Starts an execution that is QUEUED, and returns it as it was started: a job that was created anew under
/// this name meanwhile has the same numbers, and another document. `None` if it is not IN_PROGRESS.
async fn start(
    context: &Context,
    execution: &JobExecution,
) -> Result<Option<JobExecution>, RequestError> {
    let mut update = Update::execution(execution, JobStatus::InProgress);
    update.step_timeout_in_minutes = context.options.step_timeout_in_minutes;
    let max_tries = Some(context.jobs.options().max_tries);
    let published = || context.emit(Event::StartPublished);
    let jobs = &context.jobs;
    match jobs.send_with(update, max_tries, published).await {
        // A refusal may be our own doing, if the reply to the first try was lost.
        Ok(_) | Err(RequestError::Rejected { repeated: true, .. }) => {}
        Err(error) => return Err(error),
    }
    let started = jobs.describe(&execution.job_id).await?;
    Ok(started.filter(|started| started.status == JobStatus::InProgress))
}
