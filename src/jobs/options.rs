//! How patient a client is.

use std::time::Duration;

use crate::mqtt::Backoff;

/// How patient a client is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// How long a reply may take, from the PUBACK of its request on. 10 seconds.
    pub reply_timeout: Duration,
    /// After so many tries without a result, a request has failed: 5.
    pub max_tries: u32,
    /// The waits between tries: up to 1, 2, 4, 8… seconds, never more than 60.
    pub backoff: Backoff,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            reply_timeout: Duration::from_secs(10),
            max_tries: 5,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)),
        }
    }
}
