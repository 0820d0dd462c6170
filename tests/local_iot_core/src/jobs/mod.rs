//! The Jobs service: the cloud's side of it, and how it answers a device.

mod answers;
mod books;
mod clock;
mod dialect;
mod document;
mod events;
mod execution;
mod limits;
mod mischief;
mod replies;
mod requests;
mod rewrite;
#[cfg(test)]
mod tests;
mod timers;

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use serde_json::Value;
use tokio::{runtime::Handle, sync::watch, time::Instant};

pub use books::Books;
pub use dialect::{Dialect, TimeFormat};
pub use execution::{JobExecution, Moment, NewJob, Status};
pub use requests::Operation;

pub(crate) use clock::Clock;
pub(crate) use requests::{JobsTopic, Occasion};

use crate::{
    faults::{Fault, Faults},
    journal::{Event, Journal},
    session::Sessions,
};

/// How the Jobs service works and writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) dialect: Dialect,
    /// How long a minute of a timeout lasts.
    pub(crate) minute: Duration,
    /// The most executions in the list of what is pending.
    pub(crate) listed_executions: usize,
}

/// The Jobs service, for one thing. Clones are handles to the same service.
#[derive(Debug, Clone)]
pub struct Jobs {
    books: Arc<Mutex<Books>>,
    /// Counts the changes, for those who wait for one.
    changes: Arc<watch::Sender<u64>>,
    thing_name: Arc<str>,
    settings: Settings,
    clock: Clock,
    /// How many presigned URLs there have been.
    signatures: Arc<AtomicU64>,
    sessions: Arc<Sessions>,
    faults: Faults,
    journal: Journal,
    /// Until when the timer sleeps that is to look after timeouts.
    timer: Arc<Mutex<Option<Instant>>>,
    /// Where late messages and timers wait.
    runtime: Handle,
}

/// What the cloud does: creating jobs and so on.
impl Jobs {
    pub(crate) fn new(
        thing_name: &str,
        settings: Settings,
        clock: Clock,
        sessions: Arc<Sessions>,
        faults: Faults,
        journal: Journal,
    ) -> Jobs {
        Jobs {
            books: Arc::new(Mutex::new(Books::new(settings.minute, clock.clone()))),
            changes: Arc::new(watch::Sender::new(0)),
            thing_name: thing_name.into(),
            settings,
            clock,
            signatures: Arc::default(),
            sessions,
            faults,
            journal,
            timer: Arc::default(),
            runtime: Handle::current(),
        }
    }

    /// The thing whose jobs these are.
    pub fn thing_name(&self) -> &str {
        &self.thing_name
    }

    /// Creates a job for the thing: a new execution, QUEUED. A job that was deleted leaves its
    /// id to a new one.
    ///
    /// # Errors
    /// If its id is no job id (`[a-zA-Z0-9_-]{1,64}`) or taken, its document is not JSON or
    /// larger than 32 KiB, or its timeout is not one of 1 to 10,080 minutes.
    pub fn create(&self, job: NewJob) -> io::Result<()> {
        self.edit(|books| books.create(job))
    }

    /// As [`create`](Self::create), with a document and no settings.
    ///
    /// # Errors
    /// Those of [`create`](Self::create).
    pub fn create_job(&self, job_id: &str, document: Value) -> io::Result<()> {
        self.create_job_with_text(job_id, &document.to_string())
    }

    /// As [`create_job`](Self::create_job), with a document that is any JSON text. The device
    /// gets it byte for byte.
    ///
    /// # Errors
    /// Those of [`create`](Self::create).
    pub fn create_job_with_text(&self, job_id: &str, document: &str) -> io::Result<()> {
        self.create(NewJob::new(job_id, document))
    }

    /// Cancels a job that is QUEUED.
    ///
    /// # Errors
    /// If there is no such job, or it is IN_PROGRESS or in a terminal state.
    pub fn cancel_job(&self, job_id: &str) -> io::Result<()> {
        self.edit(|books| books.cancel(job_id, false))
    }

    /// Cancels a job that is QUEUED or IN_PROGRESS, as `--force` does.
    ///
    /// # Errors
    /// If there is no such job, or it is in a terminal state.
    pub fn cancel_job_by_force(&self, job_id: &str) -> io::Result<()> {
        self.edit(|books| books.cancel(job_id, true))
    }

    /// Lets a job run out of time: from QUEUED or IN_PROGRESS to TIMED_OUT.
    ///
    /// # Errors
    /// If there is no such job, or it is in a terminal state already.
    pub fn time_out(&self, job_id: &str) -> io::Result<()> {
        self.edit(|books| books.end(job_id, Status::TimedOut))
    }

    /// Deletes a job, whatever its state. The device is told ResourceNotFound from now on;
    /// the books keep the execution as REMOVED.
    ///
    /// # Errors
    /// If there is no such job.
    pub fn delete_job(&self, job_id: &str) -> io::Result<()> {
        self.edit(|books| books.delete(job_id))
    }

    /// Tries a job that is FAILED or TIMED_OUT again, as a new execution, QUEUED.
    ///
    /// # Errors
    /// If there is no such job, or it is in another state.
    pub fn retry(&self, job_id: &str) -> io::Result<()> {
        self.edit(|books| books.retry(job_id))
    }

    /// Changes the status details from the cloud's side, which makes a new version.
    ///
    /// # Errors
    /// If there is no such job.
    pub fn touch(&self, job_id: &str, details: BTreeMap<String, String>) -> io::Result<()> {
        self.edit(|books| books.touch(job_id, details))
    }

    /// The current execution of a job, as it stands now.
    pub fn execution(&self, job_id: &str) -> Option<JobExecution> {
        self.lock().execution(job_id).cloned()
    }

    /// The current execution of every job, in the order in which the jobs were created.
    pub fn list(&self) -> Vec<JobExecution> {
        self.lock().list().cloned().collect()
    }

    /// Waits until the books are as `wanted`. If they are already, it returns at once.
    pub async fn wait_until(&self, mut wanted: impl FnMut(&Books) -> bool) {
        let mut changes = self.changes.subscribe();
        // It can't fail: the sender lives as long as this handle does.
        let _ = changes.wait_for(|_| wanted(&self.lock())).await;
    }

    /// Waits until the current execution of a job is in this state.
    pub async fn wait_for_status(&self, job_id: &str, status: Status) {
        let is_there = |execution: &JobExecution| execution.status == status;
        self.wait_until(|books| books.execution(job_id).is_some_and(is_there))
            .await;
    }
}

/// What both sides share.
impl Jobs {
    /// Changes the books from the cloud's side.
    fn edit<T>(&self, edit: impl FnOnce(&mut Books) -> T) -> T {
        self.change(0, None, edit, |done| done)
    }

    /// Changes the books, lets `finish` do something with the outcome, and tells everybody who
    /// waits for what has changed. The books stay locked throughout, so that messages leave
    /// in the order of the changes that they tell of.
    fn change<T, R>(
        &self,
        connection: u64,
        request: Option<Occasion>,
        edit: impl FnOnce(&mut Books) -> T,
        finish: impl FnOnce(T) -> R,
    ) -> R {
        let mut books = self.lock();
        let key = |execution: &JobExecution| execution.place;
        let first_before = books.first_in_line().map(key);
        let outcome = edit(&mut books);
        let changes = books.take_changes();
        let came_or_went = changes.iter().any(|change| match change.from {
            None => true,
            Some(from) => change.to.is_terminal() && !from.is_terminal(),
        });
        for change in &changes {
            self.journal.record(
                connection,
                Event::StateChange {
                    job_id: change.job_id.clone(),
                    from: change.from,
                    to: change.to,
                    version: change.version,
                },
            );
        }
        let is_next_changed = books.first_in_line().map(key) != first_before;
        let notify = || {
            if came_or_went {
                self.notify(&books);
            }
            if is_next_changed {
                self.notify_next(&books);
            }
        };
        let finished = if is_next_changed && self.is_overtaken(connection, request) {
            notify();
            finish(outcome)
        } else {
            let finished = finish(outcome);
            notify();
            finished
        };
        self.set_timer(&books);
        drop(books);
        if !changes.is_empty() {
            self.changes.send_modify(|count| *count += 1);
        }
        finished
    }

    /// The fault `overtaken-reply`.
    fn is_overtaken(&self, connection: u64, request: Option<Occasion>) -> bool {
        let overtakes = |fault: &Fault| match fault {
            Fault::OvertakenReply(on) if on.covers(request?) => Some(()),
            _ => None,
        };
        request.is_some() && self.faults.strike(connection, overtakes).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
