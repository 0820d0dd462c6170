//! Why an agent ended without having been told to.

use std::time::Duration;

use crate::error_class::ErrorClass;
use crate::jobs::{JobId, RequestError};

/// Why an agent ended without having been told to.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A request without which there is no going on has failed.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Work that was to end did not, and no other can begin. Its thread goes on until the process ends.
    #[error(
        "the work on job_id:{job_id} did not end within {} seconds after it was told to",
        after.as_secs_f32()
    )]
    WorkOverdue {
        /// The job that was worked on.
        job_id: JobId,
        /// How long it had.
        after: Duration,
    },
}

impl Error {
    /// Whether it passes by itself, by somebody's hand, or never.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Request(error) => error.class(),
            Self::WorkOverdue { .. } => ErrorClass::Permanent,
        }
    }
}
