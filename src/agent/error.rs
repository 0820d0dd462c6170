//! Why the work on a job is to end before it is done, and why an agent ended without having been told to.

use std::time::Duration;

use crate::error_class::ErrorClass;
use crate::jobs::{ErrorCode, JobId, JobStatus, RequestError};

/// Why the service no longer wants a job done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unwanted {
    /// It has this status now: CANCELED, TIMED_OUT, REMOVED…
    #[error("the job execution is {0} now")]
    Status(JobStatus),
    /// It has ended; the service did not say how.
    #[error("the job execution was ended in the cloud")]
    Ended,
    /// It was deleted; a job that was created anew under its name is another one.
    #[error("the job execution was deleted")]
    Deleted,
}

/// Why work is to end before it is done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Interrupted {
    /// The service no longer wants the job done. How the work ends is not reported.
    #[error(transparent)]
    Unwanted(Unwanted),
    /// The program was told to stop. The job stays IN_PROGRESS for its next run.
    #[error("the program was told to stop")]
    Stopping,
}

/// Why an agent ended without having been told to, or why a checkpoint failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A request without which there is no going on has failed.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The work is to end: its job is no longer wanted, or the program was told to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// Work that was to end did not, and no other can begin. Its thread goes on until the process ends.
    #[error(
        "the work on job_id:{job_id} did not end within {} seconds after it was told to",
        after.as_secs_f32()
    )]
    WorkOverdue {
        /// The job that was worked on, or that waits for an earlier one.
        job_id: JobId,
        /// How long it had.
        after: Duration,
    },
}

impl Error {
    /// What can be done about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Request(error) => error.class(),
            Self::Interrupted(_) | Self::WorkOverdue { .. } => ErrorClass::Permanent,
        }
    }
}

impl Unwanted {
    /// Whether an error says that the execution has ended, or was deleted.
    pub(crate) fn said_by(error: &RequestError) -> Option<Self> {
        match error.rejection()?.code {
            ErrorCode::TerminalStateReached => Some(Self::Ended),
            ErrorCode::ResourceNotFound => Some(Self::Deleted),
            _ => None,
        }
    }
}
