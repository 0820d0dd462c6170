//! Sees to it that the work on a job ends when it is to end.

use std::pin::pin;

use tokio::time::{Instant, timeout_at};

use super::error::Error;
use super::event::Event;
use super::job::Job;
use super::outcome::Outcome;
use super::running::Context;
use crate::jobs::Operation;

/// Has the work on a job done. (`working` is that work: on a thread of its own, or here.)
///
/// # Errors
/// If it does not end long after it was to end, or the connection ends permanently: then no waiting
/// helps.
pub(super) async fn work_on(
    context: &Context,
    job: &Job,
    working: impl Future<Output = Outcome>,
) -> Result<Outcome, Error> {
    let job_id = || job.id().clone();
    context.emit(Event::WorkStarted { job_id: job_id() });
    let mut working = pin!(working);
    tokio::select! {
        biased;
        outcome = &mut working => return Ok(outcome),
        _ = job.interrupted() => {}
        error = context.connection_ended(Operation::Update) => return Err(error.into()),
    }
    let (after, limit) = (context.options.overdue_after, context.options.overdue_limit);
    let since = Instant::now();
    let mut ending = pin!(async {
        if let Ok(outcome) = timeout_at(since + after, &mut working).await {
            return Ok(outcome);
        }
        context.emit(Event::WorkOverdue {
            job_id: job_id(),
            since: after,
            limit,
        });
        timeout_at(since + limit, working).await
    });
    tokio::select! {
        biased;
        ended = &mut ending => ended.map_err(|_| Error::WorkOverdue {
            job_id: job_id(),
            after: limit,
        }),
        error = context.connection_ended(Operation::Update) => Err(error.into()),
    }
}
