//! Starts an execution: the first in line, or the first that is for this program, and for now.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::error::Unwanted;
use super::event::Event;
use super::options::{Decision, Filter};
use super::running::Context;
use crate::jobs::{
    JobExecution, JobStatus, RequestError, RequestErrorKind, StartNext, StatusDetails, Update,
};

/// What is put off is looked at again after this time at the soonest.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// What came of a start.
pub(super) enum Started {
    Execution(JobExecution),
    /// There is nothing to start, at least for this time.
    Nothing(Option<Duration>),
}

/// Starts the next execution.
///
/// A service that does not answer, or rejects the request, is asked again; an execution that can't be
/// read is REJECTED, so that it does not block the queue, and the one behind it started.
pub(super) async fn start(context: &Context) -> Result<Started, RequestError> {
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
                reply.map(|reply| match reply.execution {
                    Some(execution) => Started::Execution(execution),
                    None => Started::Nothing(None),
                })
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

/// Starts the first of the pending executions that is wanted now, and leaves the others as they are: of
/// those that the service lists. Each of these is described until one is, for the filter sees all of it:
/// one that is wanted would never start behind a limit's worth of others.
///
/// It is started by an update that names its version, and not as the next in line: that may be another
/// one by then.
async fn start_first_wanted(context: &Context, filter: &Filter) -> Result<Started, RequestError> {
    let mut wait = None;
    let mut decide = |execution: &JobExecution| {
        let decision = filter(execution);
        if let Decision::Later(time) = decision {
            let time = time.max(SHORTEST_WAIT);
            wait = Some(wait.map_or(time, |wait: Duration| wait.min(time)));
        }
        if decision != Decision::Start {
            let execution = Arc::new(execution.clone());
            context.emit(Event::NotStarted {
                execution,
                decision,
            });
        }
        decision == Decision::Start
    };
    let pending = context.jobs.get_pending().await?;
    for listed in pending.in_progress_jobs.iter().chain(&pending.queued_jobs) {
        let execution = match context.jobs.describe(&listed.job_id).await {
            Ok(Some(execution)) => execution,
            Err(error) if !concerns_one_execution(&error) => return Err(error),
            _ => continue, // it has ended meanwhile, or it is for somebody else to look at
        };
        if !decide(&execution) {
            continue;
        }
        match execution.status {
            JobStatus::InProgress => return Ok(Started::Execution(execution)),
            JobStatus::Queued => match start_queued(context, &execution).await {
                Err(error) if !concerns_one_execution(&error) => return Err(error),
                Ok(Some(started)) if started.id() == execution.id() || decide(&started) => {
                    return Ok(Started::Execution(started));
                }
                _ => {} // somebody was faster
            },
            _ => {}
        }
    }
    Ok(Started::Nothing(wait))
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
