//! Why an agent ended without having been told to, and why a checkpoint failed.

use std::time::Duration;

use super::outcome::Interrupted;
use crate::error_class::ErrorClass;
use crate::jobs::{JobId, RequestError};

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
