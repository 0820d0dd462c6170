//! Starts an execution: the first in line, or the first that is for this program.

use std::sync::Arc;

use tokio::time::sleep;

use super::error::Unwanted;
use super::event::Event;
use super::options::Filter;
use super::running::Context;
use crate::jobs::{
    JobExecution, JobStatus, RequestError, RequestErrorKind, StartNext, StatusDetails, Update,
};

/// Starts the next execution. `None` if there is none.
///
/// A service that does not answer, or rejects the request, is asked again; an execution that can't be
/// read is REJECTED, so that it does not block the queue, and the one behind it started.
pub(super) async fn start(context: &Context) -> Result<Option<JobExecution>, RequestError> {
    let mut backoff = context.options.backoff.clone();
    loop {
        context.emit(Event::Starting);
        let started = match &context.options.filter {
            Some(filter) => start_first_wanted(context, filter).await,
            None => {
                let request = StartNext {
                    step_timeout_in_minutes: context.options.step_timeout_in_minutes,
                    ..StartNext::default()
                };
                let reply = context.jobs.send(request).await;
                reply.map(|reply| reply.execution)
            }
        };
        let error = match started {
            Err(error) if !error.is_fatal() => error,
            started => return started,
        };
        context.emit(Event::StartFailed(error.clone()));
        if reject_unreadable(context, &error).await.is_err() {
            sleep(backoff.next_wait()).await;
        }
    }
}

/// Starts the first of the pending executions that is wanted, and leaves the others as they are. `None`
/// if there is none among those that the service lists.
///
/// It is started by an update that names its version, and not as the next in line: that may be another
/// one by then.
async fn start_first_wanted(
    context: &Context,
    is_wanted: &Filter,
) -> Result<Option<JobExecution>, RequestError> {
    let pending = context.jobs.get_pending().await?;
    for listed in pending.in_progress_jobs.iter().chain(&pending.queued_jobs) {
        let execution = match context.jobs.describe(&listed.job_id).await {
            Ok(Some(execution)) => execution,
            Err(error) if !concerns_one_execution(&error) => return Err(error),
            _ => continue, // it has ended meanwhile, or it is for somebody else to look at
        };
        if !is_wanted(&execution) {
            context.emit(Event::NotMine(Arc::new(execution)));
            continue;
        }
        match execution.status {
            JobStatus::InProgress => return Ok(Some(execution)),
            JobStatus::Queued => match start_queued(context, &execution).await {
                Err(error) if !concerns_one_execution(&error) => return Err(error),
                Err(_) | Ok(None) => {} // somebody was faster
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

/// Whether the service has answered, and another execution may fare better.
fn concerns_one_execution(error: &RequestError) -> bool {
    matches!(
        error.kind(),
        RequestErrorKind::Rejected(rejection) if !rejection.code.is_transient()
    ) || matches!(error.kind(), RequestErrorKind::Unreadable { .. })
}

/// Starts an execution that is QUEUED, and returns it as it was started: a job that was created anew under
/// this name meanwhile has the same numbers, and another document. `None` if it is not IN_PROGRESS.
async fn start_queued(
    context: &Context,
    execution: &JobExecution,
) -> Result<Option<JobExecution>, RequestError> {
    let mut update = Update::execution(execution, JobStatus::InProgress);
    update.step_timeout_in_minutes = context.options.step_timeout_in_minutes;
    match context.jobs.send(update).await {
        // A refusal may be our own doing, if the reply to the first try was lost.
        Err(error) if !error.was_repeated || error.rejection().is_none() => return Err(error),
        _ => {}
    }
    let started = context.jobs.describe(&execution.job_id).await?;
    Ok(started.filter(|started| started.status == JobStatus::InProgress))
}

/// Gets an execution that can't be read out of the way of those behind it.
///
/// # Errors
/// The error itself, if it is another one; or why it could not be rejected.
async fn reject_unreadable(context: &Context, error: &RequestError) -> Result<(), RequestError> {
    let RequestErrorKind::Unreadable {
        job_id: Some(job_id),
        problem,
    } = error.kind()
    else {
        return Err(error.clone());
    };
    let mut update = Update::any_version(job_id, JobStatus::Rejected);
    let reason = format!("the job execution can't be read: {}", problem.raw());
    update.status_details = StatusDetails::default().with_text("reason", &reason);
    if let Err(error) = context.jobs.send(update).await {
        // Its rejection may have been taken before, and the reply to that lost.
        let state = error.rejection().and_then(|r| r.execution_state.as_ref());
        let has_ended = state.is_some_and(|state| state.status.is_terminal());
        if !has_ended && Unwanted::said_by(&error).is_none() {
            return Err(error);
        }
    }
    let job_id = job_id.clone();
    context.emit(Event::UnreadableRejected { job_id });
    Ok(())
}
