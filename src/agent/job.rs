//! A running job: what the work on it holds.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio::sync::OwnedMutexGuard;
use tokio::task::AbortHandle;

use super::background;
use super::error::{Error, Interrupted, Unwanted};
use super::event::Event;
use super::outcome::{Outcome, ReportResult, WorkResult};
use super::report::Report;
use super::running::{Context, CurrentState, Running};
use super::supervise::on_a_thread;
use crate::jobs::{JobExecution, JobId, JobStatus, RequestError, StatusDetails};

/// A job execution that this device has started and not ended.
///
/// It keeps the execution's version number to itself. While it lives, its progress is reported, and the
/// service is listened to for whether the job is still wanted.
pub struct Job {
    pub(super) running: Arc<Running>,
    background: Arc<Background>,
}

/// The background tasks, which end with the last handle on the job.
struct Background(AbortHandle);

impl Drop for Background {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Job {
    pub(super) fn new(
        context: &Arc<Context>,
        execution: JobExecution,
        working: OwnedMutexGuard<()>,
    ) -> Self {
        let running = Arc::new(Running::new(context, execution, working));
        let progress = running.progress.subscribe();
        let background = tokio::spawn(background::run(Arc::clone(&running), progress));
        Self {
            running,
            background: Arc::new(Background(background.abort_handle())),
        }
    }

    /// The job's name.
    pub fn id(&self) -> &JobId {
        &self.running.execution.job_id
    }

    /// The execution as it was when it was started or resumed.
    pub fn execution(&self) -> &JobExecution {
        &self.running.execution
    }

    /// The status details that an earlier run left, by [`Self::progress`] or [`Self::checkpoint`].
    pub fn status_details(&self) -> &StatusDetails {
        &self.running.execution.status_details
    }

    /// The job document as a type of yours. As text: `execution().job_document.text()`.
    ///
    /// # Errors
    /// If it does not have the form of that type, or can't be read at all.
    pub fn document<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        self.running.execution.job_document.read()
    }

    /// The execution as the service has it now; `None` if it is gone. The presigned URLs in its
    /// document are fresh: those that the job came with expire. Safe to cancel.
    ///
    /// # Errors
    /// See [`jobs::Client::send`](crate::jobs::Client::send).
    pub async fn describe(&self) -> Result<Option<JobExecution>, RequestError> {
        Ok(match self.running.current_state(true).await? {
            CurrentState::Found(execution) => Some(execution),
            CurrentState::Gone(_) => None,
        })
    }

    /// Reports how far the job is, in place of the status details so far. Never waits: one update is
    /// under way at a time, at most one in [`Options::progress_interval`](super::Options), and the
    /// latest wins. Renews the step timer, where one is set.
    pub fn progress(&self, details: StatusDetails) {
        self.running.progress.send_replace(Some(details));
    }

    /// Sets the status details, and returns when the service has them: for what the next run must
    /// know, before a restart for instance. Waits for as long as it takes. Safe to cancel: whether the
    /// service has them is then not known, and what is reported next knows what to do.
    ///
    /// # Errors
    /// If the job is no longer wanted, the service can't take these details, or the connection has
    /// ended permanently.
    pub async fn checkpoint(&self, details: StatusDetails) -> Result<(), Error> {
        // A progress that waits for its turn is older, and must not take the checkpoint's place.
        self.running.progress.send_replace(None);
        let report = Report {
            job: Arc::clone(&self.running),
            status: JobStatus::InProgress,
            details,
        };
        match report.send().await? {
            ReportResult::Unwanted(why) => Err(Interrupted::Unwanted(why).into()),
            _ => Ok(()),
        }
    }

    /// Why the service no longer wants the job done (it was canceled, timed out, removed or created
    /// anew); `None` while it does.
    pub fn unwanted(&self) -> Option<Unwanted> {
        self.running.unwanted()
    }

    /// Whether the program was told to stop. A job that has not ended soon after that stays
    /// IN_PROGRESS, and the next run resumes it.
    pub fn is_stopping(&self) -> bool {
        self.running.context.is_told_to_stop()
    }

    /// For work in steps: `job.check()?` between them ends it when it is to end.
    ///
    /// # Errors
    /// If the job is no longer wanted, or the program was told to stop. As the end of the work, it is
    /// not called FAILED.
    pub fn check(&self) -> Result<(), Interrupted> {
        self.running.check()
    }

    /// For work that waits: returns when it is to end, as [`Self::check`] would say. Safe to cancel.
    pub async fn interrupted(&self) -> Interrupted {
        self.running.interrupted().await
    }

    /// Does some work on this job, on a thread of its own: it may block as well as wait, and panic. The
    /// thread has a tokio runtime of its own, and what is spawned there ends with the work.
    ///
    /// Dropping the future tells the work to end ([`Self::check`] fails), and does not wait for it; no
    /// other job of this client is given out before it has.
    pub async fn run<W>(&self, work: W) -> Outcome
    where
        W: AsyncFnOnce(&Self) -> WorkResult + Send + 'static,
    {
        let job = Self {
            running: Arc::clone(&self.running),
            background: Arc::clone(&self.background),
        };
        let mut unfinished = EndWork(Some(&self.running));
        let outcome = on_a_thread(move |runtime| runtime.block_on(work(&job)).into()).await;
        unfinished.0 = None;
        outcome
    }

    /// Reports how the work ended, and returns when the service has taken that, or no longer wants to
    /// hear it: throttling, lost replies, lost sessions and outages are waited out.
    ///
    /// A job that is [left IN_PROGRESS](Outcome::LeftInProgress) is not reported, and ends the agent:
    /// the next start would only give it again. Nor is one that is no longer wanted. FAILED and REJECTED
    /// put their reason beside the last status details.
    ///
    /// Dropping the future leaves open whether the service has the report; the next start tells.
    ///
    /// # Errors
    /// If there is no reporting at all: the policy has never allowed it, or the connection has ended
    /// permanently.
    pub async fn finish(self, outcome: impl Into<Outcome>) -> Result<ReportResult, RequestError> {
        let (outcome, job_id) = (outcome.into(), self.id().clone());
        let context = &self.running.context;
        context.emit(Event::WorkEnded {
            job_id: job_id.clone(),
            outcome: outcome.clone(),
        });
        if let Some(why) = self.unwanted() {
            let result = ReportResult::Unwanted(why.clone());
            context.emit(Event::Abandoned { job_id, why });
            return Ok(result);
        }
        let (status, reason) = match &outcome {
            Outcome::Succeeded(_) => (JobStatus::Succeeded, None),
            Outcome::Failed(reason) => (JobStatus::Failed, Some(reason.raw().trim())),
            Outcome::Rejected(reason) => (JobStatus::Rejected, Some(reason.raw().trim())),
            Outcome::LeftInProgress | Outcome::Unwanted(_) => {
                context.leave_in_progress(&job_id);
                return Ok(ReportResult::LeftInProgress);
            }
        };
        self.background.0.abort(); // from here on, changes in the queue no longer concern this job
        context.emit(Event::Reporting {
            job_id: job_id.clone(),
            status: status.clone(),
        });
        let known = self.running.known.lock().await.details.clone();
        // The last progress, if the service may not have it.
        let last = self.running.progress.borrow().clone();
        let last = last.filter(|last| *last != known);
        let details = match (reason, &outcome) {
            (Some(reason), _) => {
                let reason = match reason {
                    "" => "no reason was given",
                    reason => reason,
                };
                let reason = StatusDetails::default().with_text("reason", reason);
                reason.over(last.as_ref().unwrap_or(&known))
            }
            (None, Outcome::Succeeded(details)) if !details.is_empty() => details.clone(),
            _ => last.unwrap_or_default(),
        };
        let report = Report {
            job: Arc::clone(&self.running),
            status,
            details,
        };
        let result = tokio::select! {
            biased;
            result = report.send() => result?,
            () = background::is_replaced(&self.running) => {
                self.running.no_longer_wanted(&Unwanted::Deleted);
                ReportResult::Unwanted(Unwanted::Deleted)
            }
        };
        if result == ReportResult::Accepted {
            context.note_reported(Some(self.running.execution.id()));
        }
        context.emit(Event::Reported {
            job_id,
            result: result.clone(),
        });
        Ok(result)
    }
}

/// Tells the work to end when nobody waits for it any longer.
struct EndWork<'a>(Option<&'a Running>);

impl Drop for EndWork<'_> {
    fn drop(&mut self) {
        let Some(running) = self.0 else {
            return; // it has ended
        };
        running.interrupted.send_if_modified(|so_far| {
            let is_new = so_far.is_none();
            so_far.get_or_insert(Interrupted::Stopping);
            is_new
        });
    }
}
