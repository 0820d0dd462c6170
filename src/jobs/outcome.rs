//! How the work on a job ends, and why a job is not wanted any more.

use std::error::Error;
use std::fmt;

use tokio::task::JoinError;

use super::details::StatusDetails;
use super::error::RequestError;
use super::model::JobStatus;
use crate::text::panic_message;

/// How the work on a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// SUCCEEDED, with these status details. None: those of the last progress stay.
    Succeeded(StatusDetails),
    /// FAILED, for this reason. The service may try it again, if the job is set up so.
    Failed(String),
    /// REJECTED, for this reason: trying again would not help.
    Rejected(String),
    /// Left IN_PROGRESS on purpose, for instance because the device is about to restart: the next run
    /// of the program takes it up again. (So would this one, at once: end the loop.)
    LeftInProgress,
}

/// What work returns. `?` on any error, and on a `String`, becomes FAILED with that reason.
pub type WorkResult = Result<Outcome, Box<dyn Error + Send + Sync>>;

/// Why the service does not want a job done any more.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unwanted {
    /// It has this status now: CANCELED, TIMED_OUT, REMOVED… `None`: the service did not say which.
    Ended(Option<JobStatus>),
    /// It was deleted; a job that was created anew under its name is another one.
    Deleted,
}

/// A report on a job that the service did not take.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The service does not want the job done any more.
    #[error("{0}")]
    Unwanted(Unwanted),
    /// There is no reporting at all.
    #[error(transparent)]
    Request(#[from] RequestError),
}

impl Outcome {
    /// SUCCEEDED, and nothing more to say.
    pub fn succeeded() -> Self {
        Self::Succeeded(StatusDetails::default())
    }

    /// The status that the job execution gets.
    pub fn status(&self) -> JobStatus {
        match self {
            Self::Succeeded(_) => JobStatus::Succeeded,
            Self::Failed(_) => JobStatus::Failed,
            Self::Rejected(_) => JobStatus::Rejected,
            Self::LeftInProgress => JobStatus::InProgress,
        }
    }
}

impl From<WorkResult> for Outcome {
    fn from(result: WorkResult) -> Self {
        result.unwrap_or_else(|error| Self::Failed(error.to_string()))
    }
}

impl From<Result<WorkResult, JoinError>> for Outcome {
    /// For work that ran as a task: a panic is FAILED, with its message.
    fn from(ended: Result<WorkResult, JoinError>) -> Self {
        match ended.map_err(JoinError::try_into_panic) {
            Ok(result) => result.into(),
            Err(Ok(panic)) => {
                Self::Failed(format!("the work panicked: {}", panic_message(&*panic)))
            }
            Err(Err(canceled)) => Self::Failed(canceled.to_string()),
        }
    }
}

impl fmt::Display for Unwanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(Some(status)) => write!(f, "the job execution is {status} now"),
            Self::Ended(None) => f.write_str("the job execution was ended in the cloud"),
            Self::Deleted => f.write_str("the job execution was deleted"),
        }
    }
}
