//! Has the work on a job done, and sees to it that it ends when it is to end.

use std::pin::pin;

use tokio::time::{Instant, timeout_at};

use super::context::Context;
use super::error::Error;
use super::event::Event;
use super::job::Job;
use super::outcome::{Outcome, WorkResult};
use crate::jobs::Operation;

/// Does the work on a job.
///
/// # Errors
/// If it does not end long after it was to end, or the connection ends for good: then no waiting helps.
pub(super) async fn work_on<W>(context: &Context, job: &Job, work: W) -> Result<Outcome, Error>
where
    W: AsyncFnOnce(&Job) -> WorkResult + Send + 'static,
{
    let job_id = || job.id().clone();
    context.emit(Event::WorkStarted { job_id: job_id() });
    let mut working = pin!(job.run(work));
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
