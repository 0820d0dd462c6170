//! A report on a job: an update that is repeated until the service has taken it, or does not want it.

use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;
use tokio::time::sleep;
use tracing::warn;

use super::details::StatusDetails;
use super::error::RequestError;
use super::exchange::{Acknowledged, ask};
use super::keeper::Shared;
use super::model::{ExecutionState, JobExecution, JobStatus};
use super::outcome::Unwanted;
use super::requests::Update;
use crate::mqtt::Backoff;

/// What came of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The service has taken it.
    Accepted,
    /// Nothing was reported: the job stays IN_PROGRESS, for the next run of the program.
    LeftInProgress,
    /// The service does not want the job done any more, and did not take it.
    Unwanted(Unwanted),
}

/// What the service has of an execution, as far as we know.
pub(super) struct Known {
    version: i64,
    details: StatusDetails,
    /// Details that were sent since, of which it is not known whether they arrived.
    in_doubt: Vec<StatusDetails>,
}

impl From<&JobExecution> for Known {
    fn from(execution: &JobExecution) -> Self {
        Self {
            version: execution.version_number,
            details: execution.status_details.clone(),
            in_doubt: Vec::new(),
        }
    }
}

/// A report that is on its way.
pub(super) struct Report {
    pub job: Arc<Shared>,
    pub known: OwnedMutexGuard<Known>,
    pub status: JobStatus,
    pub details: StatusDetails,
    /// `None`: until there is a verdict.
    pub most_tries: Option<u32>,
}

impl Report {
    /// Sends it until the service has taken it, or says that the job is not ours any more.
    pub async fn send(
        mut self,
        mut acknowledged: Option<Acknowledged>,
    ) -> Result<Verdict, RequestError> {
        let mut backoff = self.job.client.0.options.backoff.clone();
        loop {
            let (client, update) = (self.job.client.clone(), self.update());
            let error = match ask(client, update, self.most_tries, acknowledged.take()).await {
                Ok(_) => return Ok(self.known.accepted(self.details)),
                Err(error) => error,
            };
            match self.judge(error).await {
                Ok(Some(verdict)) => {
                    if let Verdict::Unwanted(why) = &verdict {
                        self.job.no_longer_wanted(why);
                    }
                    return Ok(verdict);
                }
                Ok(None) => {}
                Err(error) => self.pause(error, &mut backoff).await?,
            }
        }
    }

    /// An update of the version that we know.
    fn update(&mut self) -> Update {
        let mut update = Update::of(&self.job.execution, self.status.clone());
        update.expected_version = Some(self.known.version);
        update.status_details = self.details.clone();
        if self.status == JobStatus::InProgress {
            update.step_timeout_in_minutes = self.job.client.0.options.step_timeout_in_minutes;
            let then = match self.details.is_empty() {
                true => self.known.details.clone(),
                false => self.details.clone(),
            };
            self.known.in_doubt.push(then);
        }
        update
    }

    /// What a refusal means: a verdict, or (`None`) that the execution has another version. The error
    /// if it says nothing about the execution.
    async fn judge(&mut self, error: RequestError) -> Result<Option<Verdict>, RequestError> {
        let RequestError::Rejected {
            rejection,
            repeated,
            ..
        } = &error
        else {
            return Err(error);
        };
        let state = match (&rejection.execution_state, error.says_it_is_gone()) {
            (Some(state), _) if self.explains(state, *repeated) => state.clone(),
            (None, Some(why)) => return Ok(Some(Verdict::Unwanted(why))),
            (None, None) if error.is_about_the_request() => return Err(error),
            // It may be a job that was created anew under this name, and waits to be worked on.
            _ => match self.job.look(false).await? {
                Ok(found) => found.state(),
                Err(why) => return Ok(Some(Verdict::Unwanted(why))),
            },
        };
        if state.status.is_terminal() {
            if state.status != self.status {
                return Ok(Some(Verdict::Unwanted(Unwanted::Ended(Some(state.status)))));
            }
            if !repeated {
                self.job.say_another(); // we said it once only, and it was there before
            }
            return Ok(Some(Verdict::Accepted));
        }
        if state
            .version_number
            .is_none_or(|now| now == self.known.version)
        {
            return Err(error);
        }
        let is_ours = self.explains(&state, *repeated);
        if !is_ours {
            self.job.say_another();
        }
        let verdict = self.known.taken(state);
        let is_done = self.status == JobStatus::InProgress && self.known.details == self.details;
        Ok((is_ours && is_done).then_some(verdict))
    }

    /// Whether we know how the execution has come to stand so: it has ended, or stands as before, or
    /// as an update left it that we sent and whose reply was lost.
    fn explains(&self, state: &ExecutionState, repeated: bool) -> bool {
        let is_first = self.status == JobStatus::InProgress && !repeated;
        let sent = self.known.in_doubt.len() - usize::from(is_first); // that one was refused
        let version = state.version_number;
        state.status.is_terminal()
            || version.is_none_or(|now| now == self.known.version)
            || state.status == JobStatus::InProgress
                && self.known.in_doubt[..sent].contains(&state.status_details)
    }

    /// The pause before the report is sent once more: without the details, if they are at fault.
    async fn pause(
        &mut self,
        error: RequestError,
        backoff: &mut Backoff,
    ) -> Result<(), RequestError> {
        if error.is_fatal() || self.most_tries.is_some() {
            return Err(error);
        }
        let plain = StatusDetails::reason("see the device's own log");
        if error.is_about_the_request() && self.details != plain {
            if self.status == JobStatus::InProgress {
                return Err(error); // a checkpoint is these details, or it is none
            }
            self.details = plain; // the work's details must not keep the job from being ended
            return Ok(());
        }
        let wait = backoff.long_wait();
        warn!(?wait, "reporting again: {error}");
        self.job.client.tell_asked_again(&error);
        sleep(wait).await;
        Ok(())
    }
}

impl Known {
    /// The details of the last progress, if the service may not have them; else none.
    pub fn not_there_yet(&self, progress: &Option<StatusDetails>) -> StatusDetails {
        let news = progress.as_ref().filter(|last| **last != self.details);
        news.cloned().unwrap_or_default()
    }

    /// An update with these details was taken.
    fn accepted(&mut self, details: StatusDetails) -> Verdict {
        if !details.is_empty() {
            self.details = details; // an update without details leaves those that there are
        }
        self.version += 1;
        self.in_doubt.clear();
        Verdict::Accepted
    }

    /// The execution stands so.
    fn taken(&mut self, state: ExecutionState) -> Verdict {
        self.details = state.status_details;
        self.version = state.version_number.unwrap_or(self.version);
        self.in_doubt.clear();
        Verdict::Accepted
    }
}
