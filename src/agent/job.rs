//! A running job: what the work on it holds.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, spawn_blocking};
use tokio::time::timeout;
use tracing::debug;

use super::background;
use super::context::Context;
use super::event::Event;
use super::outcome::{CheckpointError, Interrupted, Outcome, ReportResult, Unwanted, WorkResult};
use super::report::Report;
use super::running::{Note, Running, Standing};
use crate::jobs::{JobExecution, JobId, JobStatus, RequestError, StatusDetails};

/// A job execution that this device has started and not ended.
///
/// It keeps the execution's version number to itself. While it lives, its progress is reported, and the
/// service is listened to for whether the job is still wanted.
pub struct Job {
    running: Arc<Running>,
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
        starts: Option<u32>,
    ) -> Self {
        let running = Arc::new(Running::new(context, execution, starts));
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

    /// The execution as it was when it was started or taken up.
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
    /// document are fresh: those that the job came with expire.
    ///
    /// # Errors
    /// See [`jobs::Client::send`](crate::jobs::Client::send).
    pub async fn describe(&self) -> Result<Option<JobExecution>, RequestError> {
        Ok(match self.running.standing(true).await? {
            Standing::Found(execution) => Some(execution),
            Standing::Gone(_) => None,
        })
    }

    /// Reports how far the job is, in place of the status details so far. Never waits: one update is
    /// under way at a time, at most one in [`Options::progress_interval`](super::Options), and the
    /// latest wins. Renews the step timer, where one is set.
    pub fn progress(&self, details: StatusDetails) {
        self.note(details, false);
    }

    /// The same, but soon and for sure: it does not wait for its turn, and is sent until the service
    /// has it; a job that is left IN_PROGRESS waits for that as long as for any reply. For what the next
    /// run should know, where the work need not wait.
    pub fn checkpoint_soon(&self, details: StatusDetails) {
        self.note(details, true);
    }

    fn note(&self, details: StatusDetails, is_durable: bool) {
        let details = self.running.counted(details);
        self.running.progress.send_modify(|note| {
            // What replaces details that are to arrive for sure has to arrive for sure.
            let is_durable = is_durable || note.as_ref().is_some_and(|before| before.is_durable);
            *note = Some(Note {
                details,
                is_durable,
            });
        });
    }

    /// Sets the status details, and returns when the service has them: for what the next run must
    /// know, before a restart for instance. Waits for as long as it takes.
    ///
    /// # Errors
    /// If the job is no longer wanted, the service can't take these details, or the connection has
    /// ended for good.
    pub async fn checkpoint(&self, details: StatusDetails) -> Result<(), CheckpointError> {
        let job = &self.running;
        // A progress that waits for its turn is older, and must not take the checkpoint's place.
        job.progress.send_replace(None);
        let report = Report {
            job: Arc::clone(job),
            known: job.known().await,
            status: JobStatus::InProgress,
            details: job.counted(details),
            max_tries: None,
        };
        match report.send(|| ()).await? {
            ReportResult::Unwanted(why) => Err(Interrupted::Unwanted(why).into()),
            _ => Ok(()),
        }
    }

    /// Sees to it that what was to reach the service for sure is there before the program ends.
    async fn keep_promise(&self) {
        let promised = self.running.progress.borrow().clone();
        if let Some(note) = promised.filter(|note| note.is_durable) {
            let limit = self.running.context.jobs.options().reply_timeout;
            if !matches!(
                timeout(limit, self.checkpoint(note.details)).await,
                Ok(Ok(()))
            ) {
                debug!("the last checkpoint of job_id:{} may be lost", self.id());
            }
        }
    }

    /// Why the service no longer wants the job done (it was canceled, timed out, removed or created
    /// anew); `None` while it does.
    pub fn unwanted(&self) -> Option<Unwanted> {
        self.running.unwanted.borrow().clone()
    }

    /// Whether the program was told to stop. A job that has not ended soon after that stays
    /// IN_PROGRESS, and the next run takes it up again.
    pub fn is_stopping(&self) -> bool {
        self.running.context.is_told_to_stop()
    }

    /// For work in steps: `job.check()?` between them ends it when it is to end.
    ///
    /// # Errors
    /// If the job is no longer wanted, or the program was told to stop. As the end of the work, it is
    /// not called FAILED.
    pub fn check(&self) -> Result<(), Interrupted> {
        match self.unwanted() {
            Some(why) => Err(Interrupted::Unwanted(why)),
            None if self.is_stopping() => Err(Interrupted::Stopping),
            None => Ok(()),
        }
    }

    /// For work that waits: returns when it is to end, as [`Self::check`] would say. Safe to cancel.
    pub async fn interrupted(&self) -> Interrupted {
        let mut unwanted = self.running.unwanted.subscribe();
        tokio::select! {
            biased;
            _ = unwanted.wait_for(Option::is_some) => {}
            () = self.running.context.is_stopping() => {}
        }
        self.check().err().unwrap_or(Interrupted::Stopping)
    }

    /// Does some work on this job, on a thread of its own: it may block as well as wait, and panic.
    pub async fn run<W>(&self, work: W) -> Outcome
    where
        W: AsyncFnOnce(&Self) -> WorkResult + Send + 'static,
    {
        let job = Self {
            running: Arc::clone(&self.running),
            background: Arc::clone(&self.background),
        };
        let runtime = Handle::current();
        let ended = spawn_blocking(move || runtime.block_on(work(&job)));
        ended.await.into()
    }

    /// Reports how the work ended, and returns when the service has taken that, or no longer wants to
    /// hear it: throttling, lost replies, lost sessions and outages are waited out.
    ///
    /// A job that is [left IN_PROGRESS](Outcome::LeftInProgress) is not reported, and ends the agent:
    /// the next start would only give it again. Nor is one that is no longer wanted. FAILED and REJECTED
    /// put their reason beside the last status details.
    ///
    /// # Errors
    /// If there is no reporting at all: the policy has never allowed it, or the connection has ended
    /// for good.
    pub async fn finish(self, outcome: impl Into<Outcome>) -> Result<ReportResult, RequestError> {
        let (outcome, job_id) = (outcome.into(), self.id());
        let context = &self.running.context;
        let emit = |event| context.emit(event);
        emit(Event::WorkEnded {
            job_id: job_id.clone(),
            outcome: outcome.clone(),
        });
        if let Some(why) = self.unwanted() {
            emit(Event::Abandoned {
                job_id: job_id.clone(),
                why: why.clone(),
            });
            return Ok(ReportResult::Unwanted(why));
        }
        if outcome == Outcome::LeftInProgress {
            self.keep_promise().await;
            context.leave(job_id);
            return Ok(ReportResult::LeftInProgress);
        }
        self.background.0.abort(); // from here on, what is first in line is no news
        emit(Event::Reporting {
            job_id: job_id.clone(),
            status: outcome.status(),
        });
        let known = self.running.known().await;
        // The last progress, if the service may not have it.
        let last = self.running.progress.borrow().clone();
        let last = last.map(|note| note.details);
        let last = last.filter(|last| *last != known.details);
        let details = match &outcome {
            Outcome::Failed(reason) | Outcome::Rejected(reason) => {
                let reason = match reason.raw().trim() {
                    "" => "no reason was given",
                    reason => reason,
                };
                let reason = StatusDetails::default().with_text("reason", reason);
                reason.over(last.as_ref().unwrap_or(&known.details))
            }
            Outcome::Succeeded(details) if !details.is_empty() => details.clone(),
            _ => last.unwrap_or_default(),
        };
        let report = Report {
            job: Arc::clone(&self.running),
            known,
            status: outcome.status(),
            details,
            max_tries: None,
        };
        let published = || {
            let job_id = job_id.clone();
            emit(Event::ReportPublished { job_id });
        };
        let result = tokio::select! {
            biased;
            result = report.send(published) => result?,
            () = background::is_replaced(&self.running) => {
                self.running.no_longer_wanted(&Unwanted::Deleted);
                ReportResult::Unwanted(Unwanted::Deleted)
            }
        };
        if result == ReportResult::Accepted {
            context.report_accepted();
        }
        emit(Event::Reported {
            job_id: job_id.clone(),
            result: result.clone(),
        });
        Ok(result)
    }
}
