//! Has the work on a job done, and sees to it that it ends when it is to end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::error::Error;
use super::event::Event;
use super::outcome::Outcome;
use super::running::{Context, Running};
use crate::jobs::Operation;

/// Where there is no thread, memory or file to be had, the next try is after this time.
const SHORTAGE: Duration = Duration::from_secs(1);

/// Does some work on a thread of its own, with a runtime of its own. Nobody joins it: work that hangs
/// keeps no process from ending.
pub(super) async fn on_a_thread(
    work: impl FnOnce(&Runtime) -> Outcome + Send + 'static,
) -> Outcome {
    let (done, outcome) = oneshot::channel();
    let task = Arc::new(Mutex::new(Some((work, done))));
    loop {
        let task = Arc::clone(&task);
        let spawned = thread::Builder::new()
            .name("work".to_owned())
            .spawn(move || {
                let runtime = loop {
                    match Builder::new_current_thread().enable_all().build() {
                        Ok(runtime) => break runtime,
                        Err(error) => warn!("the work waits for a runtime: {error}"),
                    }
                    thread::sleep(SHORTAGE);
                };
                let task = task.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some((work, done)) = task {
                    let ended = catch_unwind(AssertUnwindSafe(|| work(&runtime)));
                    let _ = done.send(ended.unwrap_or_else(|panic| Outcome::panicked(&*panic)));
                }
            });
        match spawned {
            Ok(_) => break,
            Err(error) => warn!("the work waits for a thread: {error}"),
        }
        sleep(SHORTAGE).await;
    }
    let outcome = outcome.await;
    outcome.unwrap_or_else(|_| Outcome::failed("the work has ended without a result"))
}

/// Has the work on a job done. (`working` is that work: on a thread of its own, or here.)
///
/// # Errors
/// If it does not end long after it was to end, or the connection ends permanently: then no waiting
/// helps.
pub(super) async fn work_on(
    context: &Context,
    job: &Running,
    working: impl Future<Output = Outcome>,
) -> Result<Outcome, Error> {
    let job_id = || job.job_id();
    context.emit(Event::WorkStarted { job_id: job_id() });
    let mut working = pin!(working);
    tokio::select! {
        biased;
        outcome = &mut working => return Ok(outcome),
        _ = job.interrupted() => {}
        error = context.connection_ended(Operation::Update) => return Err(error.into()),
    }
    let (after, limit) = (context.options.overdue_after, context.options.overdue_limit);
    let mut ending = pin!(async {
        if let Ok(outcome) = timeout(after, &mut working).await {
            return Ok(outcome);
        }
        context.emit(Event::WorkOverdue {
            job_id: job_id(),
            since: after,
            limit,
        });
        timeout(limit.saturating_sub(after), working).await
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
