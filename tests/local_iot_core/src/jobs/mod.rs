//! The Jobs service: the cloud's side of it, and how it answers a device.

mod answers;
mod books;
mod events;
mod execution;
mod mischief;
mod replies;
mod requests;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;
use tokio::{runtime::Handle, sync::watch};

pub use books::Books;
pub use execution::{JobExecution, Moment, Status};
pub use replies::{Dialect, TimeFormat};
pub use requests::Operation;

pub(crate) use requests::JobsTopic;

use crate::{
    faults::Faults,
    journal::{Event, Journal},
    session::Sessions,
};

/// The Jobs service. Clones are handles to the same service.
#[derive(Debug, Clone)]
pub struct Jobs {
    books: Arc<Mutex<Books>>,
    /// Counts the changes, for those who wait for one.
    changes: Arc<watch::Sender<u64>>,
    thing_name: Arc<str>,
    dialect: Dialect,
    sessions: Arc<Sessions>,
    faults: Faults,
    journal: Journal,
    /// Where late messages wait.
    runtime: Handle,
}

/// What the cloud does: creating jobs and so on.
impl Jobs {
    pub(crate) fn new(
        thing_name: &str,
        dialect: Dialect,
        sessions: Arc<Sessions>,
        faults: Faults,
        journal: Journal,
    ) -> Jobs {
        Jobs {
            books: Arc::default(),
            changes: Arc::new(watch::Sender::new(0)),
            thing_name: thing_name.into(),
            dialect,
            sessions,
            faults,
            journal,
            runtime: Handle::current(),
        }
    }

    /// Creates a job for the thing: a new execution, QUEUED.
    ///
    /// # Errors
    /// If `job_id` is no job id (`[a-zA-Z0-9_-]{1,64}`) or taken, or the document larger than 32 KiB.
    pub fn create_job(&self, job_id: &str, document: Value) -> io::Result<()> {
        self.change(0, |books| books.create(job_id, document), |done| done)
    }

    /// Calls a job off: from QUEUED or IN_PROGRESS to CANCELED.
    ///
    /// # Errors
    /// If there is no such job, or it is in a terminal state already.
    pub fn cancel_job(&self, job_id: &str) -> io::Result<()> {
        self.change(0, |books| books.end(job_id, Status::Canceled), |done| done)
    }

    /// Lets a job run out of time: from QUEUED or IN_PROGRESS to TIMED_OUT.
    ///
    /// # Errors
    /// If there is no such job, or it is in a terminal state already.
    pub fn time_out(&self, job_id: &str) -> io::Result<()> {
        self.change(0, |books| books.end(job_id, Status::TimedOut), |done| done)
    }

    /// Deletes a job, whatever its state. The device is told ResourceNotFound from now on;
    /// the books keep the execution as REMOVED.
    ///
    /// # Errors
    /// If there is no such job.
    pub fn delete_job(&self, job_id: &str) -> io::Result<()> {
        self.change(0, |books| books.delete(job_id), |done| done)
    }

    /// Tries a job that is FAILED or TIMED_OUT again, as a new execution, QUEUED.
    ///
    /// # Errors
    /// If there is no such job, or it is in another state.
    pub fn retry(&self, job_id: &str) -> io::Result<()> {
        self.change(0, |books| books.retry(job_id), |done| done)
    }

    /// Changes the status details from the cloud's side, which makes a new version.
    ///
    /// # Errors
    /// If there is no such job.
    pub fn touch(&self, job_id: &str, details: BTreeMap<String, String>) -> io::Result<()> {
        self.change(0, |books| books.touch(job_id, details), |done| done)
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
    /// Changes the books, lets `finish` do something with the outcome, and tells everybody who
    /// waits for what has changed. The books stay locked throughout, so that messages leave
    /// in the order of the changes that they tell of.
    fn change<T, R>(
        &self,
        connection: u64,
        edit: impl FnOnce(&mut Books) -> T,
        finish: impl FnOnce(T) -> R,
    ) -> R {
        let mut books = self.lock();
        let key = |execution: &JobExecution| execution.place;
        let first_before = books.first_in_line().map(key);
        let outcome = edit(&mut books);
        let changes = books.take_changes();
        let came_or_went = changes
            .iter()
            .any(|change| change.from.is_none() || change.to.is_terminal());
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
        let finished = finish(outcome);
        if books.first_in_line().map(key) != first_before {
            self.notify_next(&books);
        }
        if came_or_went {
            self.notify(&books);
        }
        drop(books);
        if !changes.is_empty() {
            self.changes.send_modify(|count| *count += 1);
        }
        finished
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
