//! How patient a client is, and how it does jobs.

use std::time::Duration;

use crate::mqtt::Backoff;

/// How patient a client is, and how it does jobs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// How long a reply may take, from the PUBACK of its request on. 10 seconds.
    pub reply_limit: Duration,
    /// How often a request is sent before it counts as failed: 5. Sending it again because a session
    /// was lost does not count; reports on a job are repeated for as long as it takes.
    pub tries: u32,
    /// The waits before it is sent again: up to 1, 2, 4, 8… seconds, never more than 60.
    pub backoff: Backoff,
    /// Minutes (1 to 10,080) in which a job must report progress or end, counted by the service: if
    /// this device dies over it, it becomes TIMED_OUT and frees the way. Each progress renews it.
    /// `None`: as the job itself says.
    pub step_timeout_in_minutes: Option<u32>,
    /// Progress is reported at most once in this time: a fleet shares the API rates of its account.
    /// 10 seconds.
    pub progress_interval: Duration,
    /// After this long without a job the service is asked again, for an event may have been lost. 15
    /// minutes.
    pub idle_limit: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            reply_limit: Duration::from_secs(10),
            tries: 5,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)),
            step_timeout_in_minutes: None,
            progress_interval: Duration::from_secs(10),
            idle_limit: Duration::from_secs(15 * 60),
        }
    }
}
