//! How a device does its jobs.

use std::sync::Arc;
use std::time::Duration;

use crate::jobs::JobExecution;
use crate::mqtt::{Backoff, setters};

/// What an execution is to this program. It is asked before each start, and must not wait.
pub type Filter = Arc<dyn Fn(&JobExecution) -> Decision + Send + Sync>;

/// What is to be done with an execution that is pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is started.
    Start,
    /// The device can't do it now (it is in use, its battery is low): the execution stays as it is, and
    /// is looked at again after this time (a second at least), with each event, and when the device calls
    /// [`jobs::Client::look_again`](crate::jobs::Client). Others are started meanwhile.
    Later(Duration),
    /// It is for somebody else, and stays as it is.
    Leave,
}

/// How a device does its jobs. A time of [`Duration::MAX`] is never.
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// Minutes (1 to 10,080) in which a job must report progress or end, counted by the service: if
    /// this device crashes over it, it becomes TIMED_OUT and unblocks the queue. Each progress and
    /// checkpoint renews it. `None`: as the job itself says.
    pub step_timeout_in_minutes: Option<u32>,
    /// Progress is reported at most once in this time: a fleet shares the API rates of its account.
    /// 10 seconds.
    pub progress_interval: Duration,
    /// After so long without a job the service is asked again, for an event may have been lost. 15
    /// minutes.
    pub idle_timeout: Duration,
    /// The pauses before the service is asked again after a request to start that failed, or where it
    /// contradicts itself: up to 1, 2, 4, 8… seconds, never more than 60.
    pub backoff: Backoff,
    /// Work that was to end (its job is no longer wanted, or the program was told to stop) and has
    /// not ended after this time is reported as [`Event::WorkOverdue`](super::Event). 10 seconds.
    pub overdue_after: Duration,
    /// After this time without an end, the agent ends with [`Error::WorkOverdue`](super::Error), so
    /// that a supervisor starts the program anew. 5 minutes.
    pub overdue_limit: Duration,
    /// Which executions are for this program, where several share one thing, and which are for now. The
    /// agent looks at each before it starts it. `None`, the default: all of them are, at once.
    pub filter: Option<Filter>,
}

setters! {
    Options:
    step_timeout_in_minutes: Option<u32>, progress_interval: Duration, idle_timeout: Duration,
    backoff: Backoff, overdue_after: Duration, overdue_limit: Duration, filter: Option<Filter>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            step_timeout_in_minutes: None,
            progress_interval: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(15 * 60),
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)),
            overdue_after: Duration::from_secs(10),
            overdue_limit: Duration::from_secs(5 * 60),
            filter: None,
        }
    }
}
