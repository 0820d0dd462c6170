//! The background tasks of a running job: they report its progress, and watch whether it is still
//! wanted.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tracing::debug;

use super::error::Unwanted;
use super::report::Report;
use super::running::{CurrentState, Running};
use crate::jobs::{First, JobStatus, StatusDetails};

/// Does all that a running job needs beside the work, until it is aborted.
pub(super) async fn run(job: Arc<Running>, progress: watch::Receiver<Option<StatusDetails>>) {
    tokio::join!(report_progress(&job, progress), watch(&job));
}

/// Reports the latest progress, one update at a time and not too often.
async fn report_progress(job: &Arc<Running>, mut progress: watch::Receiver<Option<StatusDetails>>) {
    let mut interval = pin!(sleep(Duration::ZERO));
    while progress.changed().await.is_ok() {
        interval.as_mut().await;
        let mut known = job.known.lock().await;
        let Some(details) = progress.borrow_and_update().clone() else {
            continue; // a checkpoint took its place
        };
        interval.set(sleep(job.context.options.progress_interval));
        let report = Report {
            job: Arc::clone(job),
            status: JobStatus::InProgress,
            details,
        };
        if let Err(error) = report.send_once(&mut known).await {
            debug!("a progress was not reported: {error}"); // a later one follows
        }
        if job.unwanted().is_some() {
            return; // nobody wants to hear of it
        }
    }
}

/// Watches for signs that the job is no longer wanted, and asks the service about each.
///
/// While a job is IN_PROGRESS it is the first in line. So when the service names another one, or
/// none, it has ended or is gone; and in a lost session, that may have gone unheard.
async fn watch(job: &Arc<Running>) {
    let id = job.execution.id();
    let mut queue = job.context.jobs.queue();
    let mut before = queue.borrow_and_update().clone();
    before.first = First::Unknown;
    loop {
        let now = queue.borrow_and_update().clone();
        let is_first = match &now.first {
            First::Execution(first) => *first == id,
            First::Unknown => true, // nobody has said otherwise
            First::Nothing | First::Unreadable => false,
        };
        let is_news = now.first != before.first || now.first == First::Unreadable;
        if is_news && !is_first || now.new_sessions != before.new_sessions {
            ask(job).await;
        }
        before = now;
        if queue.changed().await.is_err() {
            return;
        }
    }
}

/// Returns when the job was deleted, and another created under its name: a report would be taken for
/// one on that, if it has got as far (AWS knows a job by its name, its number and its version).
pub(super) async fn is_replaced(job: &Running) {
    let id = job.execution.id();
    let mut queue = job.context.jobs.queue();
    loop {
        let first = queue.borrow_and_update().first.clone();
        if let First::Execution(first) = first
            && first.has_namesake(&id)
            && let Ok(CurrentState::Gone(Unwanted::Deleted)) = job.current_state(false).await
        {
            return;
        }
        if queue.changed().await.is_err() {
            return std::future::pending().await; // the connection has ended, and the report knows
        }
    }
}

/// Asks the service whether the job is still to be done, by an update that changes nothing: its refusal
/// tells how the job stands. (What the service said last may be older than the start of this job.)
async fn ask(job: &Arc<Running>) {
    let report = Report {
        job: Arc::clone(job),
        status: JobStatus::InProgress,
        details: StatusDetails::default(),
    };
    let mut known = job.known.lock().await;
    if let Err(error) = report.send_once(&mut known).await {
        debug!("whether the job is still wanted is not known: {error}");
    }
}
