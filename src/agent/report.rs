//! A report on a job: an update that is repeated until the service has taken it, or no longer wants it.
//!
//! An update names the version that it expects. If the service has another one, the question is whose
//! doing that was: an earlier update of ours whose reply was lost, or somebody else's.

use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;
use tokio::time::sleep;
use tracing::warn;

use super::event::Event;
use super::outcome::{ReportResult, Unwanted};
use super::running::{Known, Running, Standing};
use crate::jobs::{JobStatus, RequestError, StatusDetails, Update};
use crate::mqtt::Backoff;

/// A report that is on its way.
pub(super) struct Report {
    pub job: Arc<Running>,
    pub known: OwnedMutexGuard<Known>,
    pub status: JobStatus,
    pub details: StatusDetails,
    /// `None`: until the service has taken it or no longer wants it.
    pub max_tries: Option<u32>,
}

impl Report {
    /// Sends it until the service has taken it, or says that the job is no longer ours. Calls
    /// `published` when the server has it.
    pub async fn send(
        mut self,
        published: impl FnOnce() + Send,
    ) -> Result<ReportResult, RequestError> {
        let mut backoff = self.job.context.options.backoff.clone();
        let mut published = Some(published);
        loop {
            let update = self.update();
            let jobs = &self.job.context.jobs;
            let published = || {
                published
                    .take()
                    .into_iter()
                    .for_each(|published| published())
            };
            let error = match jobs.send_with(update, self.max_tries, published).await {
                Ok(_) => {
                    self.known.accepted(self.details.clone());
                    return Ok(self.accepted());
                }
                Err(error) => error,
            };
            match self.understand(error).await {
                Ok(Some(ReportResult::Unwanted(why))) => {
                    self.job.no_longer_wanted(&why);
                    return Ok(ReportResult::Unwanted(why));
                }
                Ok(Some(_)) => return Ok(self.accepted()),
                Ok(None) => {}
                Err(error) => self.pause(error, &mut backoff).await?,
            }
        }
    }

    /// The service has taken it.
    fn accepted(&self) -> ReportResult {
        if self.status == JobStatus::InProgress {
            let (job_id, details) = (self.job.job_id(), self.details.clone());
            let progress = Event::Progress { job_id, details };
            self.job.context.emit(progress);
        }
        ReportResult::Accepted
    }

    /// An update of the version that we know.
    fn update(&mut self) -> Update {
        let mut update = Update::execution(&self.job.execution, self.status.clone());
        update.expected_version = Some(self.known.version);
        update.status_details = self.details.clone();
        if self.status == JobStatus::InProgress {
            update.step_timeout_in_minutes = self.job.context.options.step_timeout_in_minutes;
            let then = if self.details.is_empty() {
                self.known.details.clone()
            } else {
                self.details.clone()
            };
            self.known.in_doubt.push(then);
        }
        update
    }

    /// What a refusal means: a result, or (`None`) that the execution has another version. The error
    /// if it says nothing about the execution.
    async fn understand(
        &mut self,
        error: RequestError,
    ) -> Result<Option<ReportResult>, RequestError> {
        let RequestError::Rejected {
            rejection,
            repeated,
            ..
        } = &error
        else {
            return Err(error);
        };
        let refused = self.status == JobStatus::InProgress && !repeated;
        let state = match (&rejection.execution_state, Unwanted::said_by(&error)) {
            (Some(state), _) if self.known.is_our_change(state, refused) => state.clone(),
            (None, Some(why)) => return Ok(Some(ReportResult::Unwanted(why))),
            (None, None) if error.is_about_the_request() => return Err(error),
            // It may be a job that was created anew under this name, and waits to be worked on.
            _ => match self.job.standing(false).await? {
                Standing::Found(now) => now.state(),
                Standing::Gone(why) => return Ok(Some(ReportResult::Unwanted(why))),
            },
        };
        if state.status.is_terminal() {
            if state.status != self.status {
                let why = Unwanted::Status(state.status);
                return Ok(Some(ReportResult::Unwanted(why)));
            }
            if !repeated {
                self.job.warn_conflict(); // we said it once only, and it was there before
            }
            return Ok(Some(ReportResult::Accepted));
        }
        if self.known.is_at(&state) {
            return Err(error);
        }
        let is_ours = self.known.is_our_change(&state, refused);
        if !is_ours {
            self.job.warn_conflict();
        }
        self.known.stands(state);
        let is_done = self.status == JobStatus::InProgress && self.known.details == self.details;
        Ok((is_ours && is_done).then_some(ReportResult::Accepted))
    }

    /// The pause before the report is sent once more: without the details, if they are at fault.
    async fn pause(
        &mut self,
        error: RequestError,
        backoff: &mut Backoff,
    ) -> Result<(), RequestError> {
        if error.is_fatal() || self.max_tries.is_some() {
            return Err(error);
        }
        if error.is_about_the_request() && self.status == JobStatus::InProgress {
            return Err(error); // a checkpoint is these details, or it is none
        }
        // The work's details must not keep the job from being ended: the reason alone, then none.
        let reason = match self.details.get("reason") {
            Some(reason) if self.details.iter().count() > 1 => reason,
            _ => "see the device's own log",
        };
        let less = StatusDetails::default().with_text("reason", reason);
        if error.is_about_the_request() && self.details != less {
            self.details = less;
            return Ok(());
        }
        let wait = backoff.long_wait();
        warn!(?wait, "reporting again: {error}");
        let job_id = self.job.job_id();
        self.job.context.emit(Event::ReportFailed { job_id, error });
        sleep(wait).await;
        Ok(())
    }
}
