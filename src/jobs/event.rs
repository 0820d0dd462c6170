//! What happens without having been asked for.

use std::sync::Arc;
use std::time::Duration;

use super::error::RequestError;
use super::model::JobExecution;
use super::topics::Operation;
use crate::mqtt::SubscribeError;

/// What happens without having been asked for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// `NextJobExecutionChanged`: another execution is the first in line now, or (`None`) none is.
    NextJobExecutionChanged(Option<Arc<JobExecution>>),
    /// The server has taken a request.
    Published(Operation),
    /// One try of a request had no result. The next one follows.
    Retrying {
        /// Why there was no result.
        error: RequestError,
        /// The next try is after this wait.
        wait: Duration,
    },
    /// The server refuses a subscription that it granted before, or refuses it for now. It is
    /// subscribed to again.
    SubscriptionRefused(SubscribeError),
}
