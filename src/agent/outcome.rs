//! How the work on a job ends, and what comes of that.

use std::any::Any;
use std::error::Error;

use super::error::{Error as AgentError, Interrupted, Unwanted};
use crate::jobs::StatusDetails;
use crate::text::{Text, panic_message};

/// How the work on a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// SUCCEEDED, with these status details. None: those of the last progress stay.
    Succeeded(StatusDetails),
    /// FAILED, for this reason. The service may try it again, if the job is set up so.
    Failed(Text),
    /// REJECTED, for this reason: trying again would not help.
    Rejected(Text),
    /// Left IN_PROGRESS on purpose, for instance because the device is about to restart: the agent
    /// ends, and the next run of the program resumes the job.
    LeftInProgress,
    /// The job is no longer wanted. How the work ended is not reported.
    Unwanted(Unwanted),
}

/// What work returns. `?` on any error, and on a `String`, becomes FAILED with that reason; on what
/// [`Job::check`](super::Job::check) and [`Job::interrupted`](super::Job::interrupted) say, it ends
/// the work without calling it FAILED.
pub type WorkResult = Result<Outcome, Box<dyn Error + Send + Sync>>;

/// What came of the report on a job.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReportResult {
    /// The service has taken it.
    Accepted,
    /// Nothing was reported: the job stays IN_PROGRESS, for the next run of the program.
    LeftInProgress,
    /// The service no longer wants the job done, and did not take it.
    Unwanted(Unwanted),
}

impl Outcome {
    /// SUCCEEDED, and nothing more to say.
    pub fn succeeded() -> Self {
        Self::Succeeded(StatusDetails::default())
    }

    /// FAILED, for this reason.
    pub fn failed(reason: impl Into<Text>) -> Self {
        Self::Failed(reason.into())
    }

    /// REJECTED, for this reason.
    pub fn rejected(reason: impl Into<Text>) -> Self {
        Self::Rejected(reason.into())
    }

    /// FAILED, with what a panic said.
    pub(super) fn panicked(panic: &(dyn Any + Send)) -> Self {
        Self::failed(format!("the work panicked: {}", panic_message(panic).raw()))
    }
}

impl From<WorkResult> for Outcome {
    fn from(result: WorkResult) -> Self {
        let error = match result {
            Ok(outcome) => return outcome,
            Err(error) => error,
        };
        let interrupted = match error.downcast_ref() {
            Some(AgentError::Interrupted(why)) => Some(why),
            _ => error.downcast_ref(),
        };
        match interrupted {
            Some(Interrupted::Stopping) => Self::LeftInProgress,
            Some(Interrupted::Unwanted(why)) => Self::Unwanted(why.clone()),
            None => Self::failed(error.to_string()),
        }
    }
}
