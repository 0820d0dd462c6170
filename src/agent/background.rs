//! The background tasks of a running job: they report its progress, and watch whether it is still
//! wanted.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;

use super::event::Event;
use super::outcome::Unwanted;
use super::report::Report;
use super::running::{Note, Running, Standing};
use crate::jobs::{First, JobStatus, RequestError, Update};

/// The work hears that its job has ended after this time at the latest, known how or not.
const ENDED_HOW_TIMEOUT: Duration = Duration::from_secs(1);

/// Does all that a running job needs beside the work, until it is aborted.
pub(super) async fn run(job: Arc<Running>, progress: watch::Receiver<Option<Note>>) {
    tokio::join!(report_progress(&job, progress), watch(&job));
}

/// Reports the latest progress, one update at a time and not too often.
async fn report_progress(job: &Arc<Running>, mut progress: watch::Receiver<Option<Note>>) {
    let interval = job.context.options.progress_interval;
    let mut next = Instant::now();
    while progress.changed().await.is_ok() {
        // A note that is to reach the service for sure does not wait for its turn.
        let is_durable = |note: &Option<Note>| note.as_ref().is_some_and(|note| note.is_durable);
        tokio::select! {
            biased;
            urgent = progress.wait_for(is_durable) => drop(urgent),
            () = sleep_until(next) => {}
        }
        let known = job.known().await;
        let Some(note) = progress.borrow_and_update().clone() else {
            continue; // a checkpoint took its place
        };
        next = Instant::now() + interval;
        let report = Report {
            job: Arc::clone(job),
            known,
            status: JobStatus::InProgress,
            details: note.details.clone(),
            max_tries: (!note.is_durable).then_some(job.context.jobs.options().max_tries),
        };
        let reported = report.send(|| ()).await;
        if job.unwanted.borrow().is_some() {
            return; // nobody wants to hear of it
        }
        match reported {
            Err(error) if note.is_durable => {
                let job_id = job.job_id();
                job.context.emit(Event::ReportFailed { job_id, error });
            }
            Err(error) => debug!("a progress was not reported: {error}"), // a later one follows
            Ok(_) => {}
        }
        // What came meanwhile has to wait for its turn, and has the service already.
        job.progress.send_if_modified(|now| {
            if let Some(now) = now {
                now.is_durable &= *now != note;
            }
            false
        });
    }
}

/// Watches for signs that the job is no longer wanted, and asks the service about each.
///
/// While a job is IN_PROGRESS it is the first in line. So when the service names another one, or
/// none, it has ended or is gone; and in a lost session, that may have gone unheard.
async fn watch(job: &Running) {
    let (id, mqtt) = (job.execution.id(), job.context.jobs.mqtt());
    let mut queue = job.context.jobs.queue();
    let mut session = mqtt.session();
    let mut first = queue.borrow_and_update().first.clone();
    let mut is_new = true;
    loop {
        let is_first = match &first {
            First::Execution(first) => *first == id,
            First::Unknown => true, // nobody has said otherwise
            First::Nothing | First::Unreadable => false,
        };
        if is_new && !is_first {
            ask(job).await;
        }
        tokio::select! {
            biased;
            changed = queue.changed() => if changed.is_err() {
                return;
            },
            begun = mqtt.session_after(session) => {
                if begun.is_err() {
                    return;
                }
                session = mqtt.session();
                ask(job).await;
            }
        }
        let now = queue.borrow_and_update().first.clone();
        is_new = now != first || now == First::Unreadable;
        first = now;
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
            && let Ok(Standing::Gone(Unwanted::Deleted)) = job.standing(false).await
        {
            return;
        }
        if queue.changed().await.is_err() {
            return std::future::pending().await; // the connection has ended, and the report knows
        }
    }
}

/// Asks the service whether the job is still to be done. (What it said last may be older than the
/// start of this job.)
async fn ask(job: &Running) {
    let why = match job.standing(false).await {
        Ok(Standing::Found(now)) if now.status == JobStatus::InProgress => return,
        Ok(Standing::Found(now)) => Unwanted::Status(now.status),
        Ok(Standing::Gone(Unwanted::Ended)) => how_it_ended(job).await,
        Ok(Standing::Gone(why)) => why,
        Err(error) => return debug!("whether the job is still wanted is not known: {error}"),
    };
    use JobStatus::{Failed, Rejected, Succeeded};
    if let Unwanted::Status(Succeeded | Failed | Rejected) = why {
        job.warn_conflict(); // only a device says that, and this one has not
    }
    job.no_longer_wanted(&why);
}

/// An execution that has ended is not described, but the refusal of an update tells its status.
async fn how_it_ended(job: &Running) -> Unwanted {
    let update = Update::execution(&job.execution, JobStatus::InProgress);
    let refused = timeout(ENDED_HOW_TIMEOUT, job.context.jobs.update(update)).await;
    let Ok(Err(RequestError::Rejected { rejection, .. })) = refused else {
        return Unwanted::Ended;
    };
    match rejection.execution_state.map(|state| state.status) {
        Some(status) if status.is_terminal() => Unwanted::Status(status),
        _ => Unwanted::Ended,
    }
}
