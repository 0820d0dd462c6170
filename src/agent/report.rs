//! A report on a job: an update that is repeated until the service has taken it, or no longer wants it.
//!
//! An update names the version that it expects. If the service has another one, the question is whose
//! doing that was: an earlier update of ours whose reply was lost, or somebody else's.

use std::sync::Arc;

use tokio::time::sleep;
use tracing::warn;

use super::error::Unwanted;
use super::event::Event;
use super::outcome::ReportResult;
use super::running::{CurrentState, Known, Running};
use crate::jobs::{JobStatus, RequestError, StatusDetails, Update};
use crate::mqtt::Backoff;

/// A report that is to be sent.
pub(super) struct Report {
    pub job: Arc<Running>,
    pub status: JobStatus,
    pub details: StatusDetails,
}

impl Report {
    /// Sends it until the service has taken it, or says that the job is no longer ours.
    pub async fn send(mut self) -> Result<ReportResult, RequestError> {
        let mut backoff = self.job.context.options.backoff.clone();
        loop {
            let job = Arc::clone(&self.job);
            let mut known = job.known.lock().await;
            match self.send_once(&mut known).await {
                Ok(result) => return Ok(result),
                Err(error) => {
                    drop(known);
                    self.pause(error, &mut backoff).await?;
                }
            }
        }
    }

    /// Sends it, and once more each time that the execution proves to have another version.
    pub async fn send_once(&self, known: &mut Known) -> Result<ReportResult, RequestError> {
        let context = &self.job.context;
        loop {
            known.sending(&self.status, &self.details);
            let result = match context.jobs.send(self.update(known)).await {
                Ok(_) => {
                    known.accepted();
                    Some(ReportResult::Accepted)
                }
                Err(error) => self.understand(error, known).await?,
            };
            use JobStatus::{Failed, Rejected, Succeeded};
            match &result {
                Some(ReportResult::Unwanted(why)) => {
                    if let Unwanted::Status(Succeeded | Failed | Rejected) = why {
                        self.job.warn_conflict(); // only a device says that, and this one has not
                    }
                    self.job.no_longer_wanted(why);
                }
                Some(_) if self.status == JobStatus::InProgress && !self.details.is_empty() => {
                    let (job_id, details) = (self.job.job_id(), self.details.clone());
                    context.emit(Event::Progress { job_id, details });
                }
                _ => {}
            }
            if let Some(result) = result {
                return Ok(result);
            }
        }
    }

    /// An update of the version that we know.
    fn update(&self, known: &Known) -> Update {
        let mut update = Update::execution(&self.job.execution, self.status.clone());
        update.expected_version = Some(known.version);
        update.status_details = self.details.clone();
        if self.status == JobStatus::InProgress {
            update.step_timeout_in_minutes = self.job.context.options.step_timeout_in_minutes;
        }
        update
    }

    /// What a refusal means: a result, or (`None`) that the execution has another version. The error
    /// if it says nothing about the execution.
    async fn understand(
        &self,
        error: RequestError,
        known: &mut Known,
    ) -> Result<Option<ReportResult>, RequestError> {
        let Some(rejection) = error.rejection() else {
            return Err(error);
        };
        if !error.was_repeated {
            known.refused();
        }
        let explains = |state| known.is_at(state) || known.is_our_doing(state);
        let state = match (&rejection.execution_state, Unwanted::said_by(&error)) {
            (Some(state), _) if state.status.is_terminal() || explains(state) => state.clone(),
            (None, Some(why)) => return Ok(Some(ReportResult::Unwanted(why))),
            (None, None) if error.is_about_the_request() => return Err(error),
            // It may be a job that was created anew under this name, and waits to be worked on.
            _ => match self.job.current_state(false).await? {
                CurrentState::Found(now) => now.state(),
                CurrentState::Gone(why) => return Ok(Some(ReportResult::Unwanted(why))),
            },
        };
        if state.status.is_terminal() && state.status != self.status {
            let why = Unwanted::Status(state.status);
            return Ok(Some(ReportResult::Unwanted(why)));
        }
        let is_ours = known.is_our_doing(&state);
        let is_terminal = state.status.is_terminal();
        if known.is_at(&state) && !is_terminal {
            return Err(error);
        }
        if !is_ours {
            self.job.warn_conflict();
        }
        known.set_state(state);
        let has_details = self.details.is_empty() || known.details == self.details;
        let is_done = self.status == JobStatus::InProgress && has_details;
        Ok((is_terminal || is_ours && is_done).then_some(ReportResult::Accepted))
    }

    /// The pause before the report is sent once more: without the details, if they are at fault.
    async fn pause(
        &mut self,
        error: RequestError,
        backoff: &mut Backoff,
    ) -> Result<(), RequestError> {
        let is_checkpoint = self.status == JobStatus::InProgress; // it is these details, or none
        if error.is_fatal() || error.is_about_the_request() && is_checkpoint {
            return Err(error);
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
