//! What happens without having been asked for.

use std::sync::Arc;
use std::time::Duration;

use super::error::TryError;
use super::model::JobExecution;
use super::topics::Operation;
use crate::mqtt::SubscribeError;

/// What happens without having been asked for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// `NextJobExecutionChanged`: another execution is the first in line now, or (`None`) none is.
    NextJobExecutionChanged(Option<Arc<JobExecution>>),
    /// One try of a request had no result. The next one follows.
    Retrying {
        /// What is asked for.
        operation: Operation,
        /// Why there was no result.
        error: TryError,
        /// The next try is after this wait.
        wait: Duration,
    },
    /// The server refuses a subscription that it granted before, or refuses it for now. It is
    /// subscribed to again.
    SubscriptionRefused(SubscribeError),
}
