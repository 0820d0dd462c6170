//! A report on a job: an update that is repeated until the service has taken it, or does not want it.

use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;
use tokio::time::sleep;
use tracing::warn;

use super::details::StatusDetails;
use super::error::RequestError;
use super::exchange::Asked;
use super::keeper::Shared;
use super::model::{ExecutionState, JobExecution, JobStatus, UpdatedExecution};
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
pub struct Report {
    job: Arc<Shared>,
    known: OwnedMutexGuard<Known>,
    status: JobStatus,
    details: StatusDetails,
    /// `None`: until there is a verdict.
    most_tries: Option<u32>,
    backoff: Backoff,
    asked: Result<Asked<UpdatedExecution>, RequestError>,
}

impl Report {
    /// Publishes an update of the execution to this state.
    pub(super) async fn publish(
        job: &Arc<Shared>,
        mut known: OwnedMutexGuard<Known>,
        status: JobStatus,
        details: StatusDetails,
        most_tries: Option<u32>,
    ) -> Result<Self, RequestError> {
        let asked = ask(job, &mut known, &status, &details, most_tries).await;
        if let Err(error) = &asked
            && error.is_fatal()
        {
            return Err(error.clone());
        }
        Ok(Self {
            job: Arc::clone(job),
            backoff: job.client.0.options.backoff.clone(),
            known,
            status,
            details,
            most_tries,
            asked,
        })
    }

    /// Waits until the service has taken the report, or says that the job is not ours any more.
    ///
    /// # Errors
    /// If there is no reporting at all, see [`Job::finish`](super::Job::finish).
    pub async fn verdict(mut self) -> Result<Verdict, RequestError> {
        loop {
            let error = match self.asked {
                Ok(asked) => match asked.reply().await {
                    Ok(_) => return Ok(self.known.accepted(self.details)),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            self.asked = Err(error.clone());
            if let Some(verdict) = self.judge(error).await? {
                if let Verdict::Unwanted(why) = &verdict {
                    self.job.no_longer_wanted(why);
                }
                return Ok(verdict);
            }
            let (job, known) = (&self.job, &mut self.known);
            self.asked = ask(job, known, &self.status, &self.details, self.most_tries).await;
        }
    }

    /// What a refusal means; `None` if the report is to be sent once more.
    async fn judge(&mut self, error: RequestError) -> Result<Option<Verdict>, RequestError> {
        let RequestError::Rejected {
            rejection,
            repeated,
            ..
        } = &error
        else {
            return self.once_more(error).await;
        };
        let state = match (&rejection.execution_state, error.says_it_is_gone()) {
            (Some(state), _) if self.explains(state, *repeated) => state.clone(),
            (None, Some(why)) => return Ok(Some(Verdict::Unwanted(why))),
            (None, None) if error.is_about_the_request() => return self.once_more(error).await,
            // It may be a job that was created anew under this name, and waits to be worked on.
            _ => match self.job.look(false).await {
                Ok(Ok(found)) => found.state(),
                Ok(Err(why)) => return Ok(Some(Verdict::Unwanted(why))),
                Err(error) => return self.once_more(error).await,
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
            return self.once_more(error).await;
        }
        if !self.explains(&state, *repeated) {
            self.job.say_another();
        } else if self.status == JobStatus::InProgress && state.status_details == self.details {
            return Ok(Some(self.known.taken(state)));
        }
        self.known.taken(state);
        Ok(None)
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

    /// The report is sent once more, after a pause; without the details, if they are at fault.
    async fn once_more(&mut self, error: RequestError) -> Result<Option<Verdict>, RequestError> {
        if error.is_fatal() || self.most_tries.is_some() {
            return Err(error);
        }
        let plain = StatusDetails::reason("see the device's own log");
        if error.is_about_the_request() && self.details != plain {
            if self.status == JobStatus::InProgress {
                return Err(error); // a checkpoint is these details, or it is none
            }
            self.details = plain; // the work's details must not keep the job from being ended
            return Ok(None);
        }
        let wait = self.backoff.long_wait();
        warn!(?wait, "reporting again: {error}");
        self.job.client.tell_asked_again(&error);
        sleep(wait).await;
        Ok(None)
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

/// Publishes an update of the version that we know.
async fn ask(
    job: &Shared,
    known: &mut Known,
    status: &JobStatus,
    details: &StatusDetails,
    most_tries: Option<u32>,
) -> Result<Asked<UpdatedExecution>, RequestError> {
    let mut update = Update::of(&job.execution, status.clone());
    update.expected_version = Some(known.version);
    update.status_details = details.clone();
    if *status == JobStatus::InProgress {
        update.step_timeout_in_minutes = job.client.0.options.step_timeout_in_minutes;
        let then = if details.is_empty() {
            &known.details
        } else {
            details
        };
        known.in_doubt.push(then.clone());
    }
    Asked::publish(&job.client, update, most_tries).await
}
