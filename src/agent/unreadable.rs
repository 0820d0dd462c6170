//! A job execution that can't be read must not block the queue.

use super::context::Context;
use super::event::Event;
use super::listed;
use super::outcome::Unwanted;
use crate::jobs::{JobExecution, JobId, JobStatus, RequestError, StatusDetails, Update};

/// How the queue goes on.
pub(super) enum Unblocked {
    /// The execution is REJECTED: the next one can be started.
    Rejected,
    /// It has no name that it could be rejected by: this one, behind it, was started in its place.
    Bypassed(JobExecution),
    /// The same, and there is no other.
    NothingElse,
}

/// Gets an execution that can't be read out of the way of those behind it.
///
/// # Errors
/// The error itself, if it is another one.
pub(super) async fn unblock(
    context: &Context,
    error: &RequestError,
) -> Result<Unblocked, RequestError> {
    let RequestError::Unreadable {
        job_id, problem, ..
    } = error
    else {
        return Err(error.clone());
    };
    let job_id = match job_id {
        Some(job_id) => job_id.clone(),
        None => match find(context).await? {
            Found::Job(job_id) => job_id,
            Found::Nameless => {
                let other = listed::start_first(context, |_| true).await?;
                return Ok(other.map_or(Unblocked::NothingElse, Unblocked::Bypassed));
            }
            Found::Nothing => return Err(error.clone()),
        },
    };
    let mut update = Update::any_version(&job_id, JobStatus::Rejected);
    let reason = format!("the job execution can't be read: {}", problem.raw());
    update.status_details = StatusDetails::default().with_text("reason", &reason);
    match context.jobs.update(update).await {
        // Its rejection was taken before, and the reply to that lost.
        Err(error) if says_it_has_ended(&error) => {}
        updated => drop(updated?),
    }
    context.emit(Event::UnreadableRejected { job_id });
    Ok(Unblocked::Rejected)
}

/// The job that was started and can't be read.
enum Found {
    Job(JobId),
    /// Its name is none, so there is no topic to reject it on.
    Nameless,
    /// Every description can be read: the replies alone were damaged.
    Nothing,
}

/// Looks for the job that was started and can't be read, not even its name: the only one IN_PROGRESS,
/// if its description can't be read either.
async fn find(context: &Context) -> Result<Found, RequestError> {
    let pending = context.jobs.get_pending().await?;
    if let [started] = &pending.in_progress_jobs[..]
        && let Err(error) = context.jobs.describe(&started.job_id).await
    {
        return match error {
            RequestError::Unreadable { .. } => Ok(Found::Job(started.job_id.clone())),
            error => Err(error),
        };
    }
    if pending.unreadable > 0 {
        return Ok(Found::Nameless);
    }
    Ok(Found::Nothing)
}

/// Whether the service says that nothing more happens to the execution.
fn says_it_has_ended(error: &RequestError) -> bool {
    let state = error
        .rejection()
        .and_then(|rejection| rejection.execution_state.as_ref());
    Unwanted::said_by(error).is_some() || state.is_some_and(|state| state.status.is_terminal())
}
