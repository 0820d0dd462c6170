//! The job in hand: what the work on a job holds.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{AbortHandle, spawn_blocking};

use super::client::Client;
use super::details::StatusDetails;
use super::error::RequestError;
use super::exchange::Asked;
use super::keeper::{self, Shared};
use super::model::{JobExecution, JobStatus};
use super::outcome::{Outcome, ReportError, Unwanted, WorkResult};
use super::report::{Report, Verdict};

/// A job execution that this device has started and not ended. Cheap to clone.
///
/// It keeps the execution's version number to itself. While it lives, it reports progress and listens
/// whether the job is still wanted.
#[derive(Clone)]
pub struct Job(Arc<InHand>);

struct InHand {
    shared: Arc<Shared>,
    stopping: watch::Receiver<bool>,
    keeper: AbortHandle,
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Job {
    pub(super) fn new(client: &Client, execution: JobExecution) -> Self {
        let shared = Arc::new(Shared::new(client, execution));
        let keeper = tokio::spawn(keeper::keep(
            Arc::clone(&shared),
            shared.progress.subscribe(),
        ));
        Self(Arc::new(InHand {
            stopping: client.0.stop.subscribe(),
            keeper: keeper.abort_handle(),
            shared,
        }))
    }

    /// The job's name.
    pub fn id(&self) -> &str {
        &self.0.shared.execution.job_id
    }

    /// The execution as it was when it was started or taken up. Its `status_details` are what an
    /// earlier run left there.
    pub fn execution(&self) -> &JobExecution {
        &self.0.shared.execution
    }

    /// The status details that an earlier run left, by [`Self::progress`] or [`Self::checkpoint`].
    pub fn status_details(&self) -> &StatusDetails {
        &self.0.shared.execution.status_details
    }

    /// The job document as a type of yours. As text: `execution().job_document.text()`.
    ///
    /// # Errors
    /// If it does not have the form of that type, or can't be read at all.
    pub fn document<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        self.0.shared.execution.job_document.read()
    }

    /// The execution as the service has it now; `None` if it is gone. The presigned URLs in its
    /// document are fresh: those that the job came with expire.
    ///
    /// # Errors
    /// See [`Asked::reply`](super::Asked::reply).
    pub async fn describe(&self) -> Result<Option<JobExecution>, RequestError> {
        Ok(self.0.shared.look(true).await?.ok())
    }

    /// Reports how far the job is, in place of the status details so far. Never waits: one update is
    /// under way at a time, at most one in [`Options::progress_interval`](super::Options), and the
    /// latest wins. Renews the step timer, where one is set.
    pub fn progress(&self, details: StatusDetails) {
        self.0.shared.progress.send_replace(Some(details));
    }

    /// Sets the status details, and returns when the service has them: for what the next run must
    /// know, before a restart for instance. Waits for as long as it takes.
    ///
    /// # Errors
    /// If the job is not wanted any more, the service can't take these details, or the connection has
    /// ended for good.
    pub async fn checkpoint(&self, details: StatusDetails) -> Result<(), ReportError> {
        let shared = &self.0.shared;
        // A progress that waits for its turn is older, and must not take the checkpoint's place.
        shared.progress.send_replace(None);
        let report = Report {
            job: Arc::clone(shared),
            known: shared.known().await,
            status: JobStatus::InProgress,
            details,
            most_tries: None,
        };
        match report.send(None).await? {
            Verdict::Unwanted(why) => Err(ReportError::Unwanted(why)),
            _ => Ok(()),
        }
    }

    /// Why the service does not want the job done any more; `None` while it does.
    pub fn unwanted(&self) -> Option<Unwanted> {
        self.0.shared.unwanted.borrow().clone()
    }

    /// Waits until the service does not want the job done any more. Safe to cancel.
    pub async fn until_unwanted(&self) -> Unwanted {
        let mut news = self.0.shared.unwanted.subscribe();
        loop {
            match self.unwanted() {
                Some(why) => return why,
                None => drop(news.changed().await), // never an error while the sender lives
            }
        }
    }

    /// Whether the program was told to stop. It waits about a second for the work; a job that has not
    /// ended then stays IN_PROGRESS, and the next run takes it up again.
    pub fn is_stopping(&self) -> bool {
        *self.0.stopping.borrow()
    }

    /// Waits until the program is told to stop. Safe to cancel.
    pub async fn until_stopping(&self) {
        if self
            .0
            .stopping
            .clone()
            .wait_for(|stop| *stop)
            .await
            .is_err()
        {
            std::future::pending().await
        }
    }

    /// Does some work on this job, on a thread of its own: it may block as well as wait, and panic.
    pub async fn run<W>(&self, work: W) -> Outcome
    where
        W: AsyncFnOnce(Self) -> WorkResult + Send + 'static,
    {
        let (job, runtime) = (self.clone(), Handle::current());
        spawn_blocking(move || runtime.block_on(work(job)))
            .await
            .into()
    }

    /// Reports how the work ended, and returns when the service has taken that, or does not want to
    /// hear it any more: throttling, lost replies, lost sessions and outages are waited out. A job
    /// that is [left IN_PROGRESS](Outcome::LeftInProgress), or is not wanted any more, is not reported;
    /// the first is given out again by the next start, so a program that leaves a job should end.
    ///
    /// # Errors
    /// If there is no reporting at all: the policy has never allowed it, or the connection has ended
    /// for good.
    pub async fn finish(self, outcome: impl Into<Outcome>) -> Result<Verdict, RequestError> {
        let (outcome, unwanted) = (outcome.into(), self.unwanted());
        match (outcome, unwanted) {
            (_, Some(why)) => Ok(Verdict::Unwanted(why)),
            (Outcome::LeftInProgress, None) => Ok(Verdict::LeftInProgress),
            (outcome, None) => self.report(outcome).await?.reply().await,
        }
    }

    /// The first half of [`Self::finish`]: returns when the report is on its way.
    ///
    /// # Errors
    /// See [`Self::finish`].
    pub async fn report(self, outcome: Outcome) -> Result<Asked<Verdict>, RequestError> {
        self.0.keeper.abort(); // from here on, what is first in line is no news
        let status = outcome.status();
        let mut details = match &outcome {
            Outcome::Succeeded(details) => details.clone(),
            Outcome::Failed(reason) | Outcome::Rejected(reason) => StatusDetails::reason(reason),
            Outcome::LeftInProgress => StatusDetails::default(),
        };
        let shared = &self.0.shared;
        let known = shared.known().await;
        if status == JobStatus::Succeeded && details.is_empty() {
            details = known.not_there_yet(&shared.progress.borrow());
        }
        let report = Report {
            job: Arc::clone(shared),
            known,
            status,
            details,
            most_tries: None,
        };
        Asked::published(|acknowledged| report.send(acknowledged)).await
    }
}
