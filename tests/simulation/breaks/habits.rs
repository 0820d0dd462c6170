//! Faults of the device's own program.

use std::time::Duration;

use jobs_mqtt5::{agent, mqtt};

/// The waits of a device without a backoff.
const AT_ONCE: Duration = Duration::from_millis(500);

/// What a device does that it should not. [`Habits::GOOD`] is none of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Habits {
    pub works_twice: bool,
    pub never_reports: bool,
    pub no_backoff: bool,
    /// (The network holds each try back until the wait's bound is over.)
    pub no_jitter: bool,
    pub keep_alive_seconds: Option<u64>,
    pub idle_timeout_seconds: Option<u64>,
    pub leaves_a_task: bool,
    /// Keeps every event in memory.
    pub hoards: bool,
    /// (The network keeps what has come meanwhile from it until it has judged.)
    pub judges_before_it_reads: bool,
    pub loses_commands: bool,
}

impl Habits {
    pub const GOOD: Self = Self {
        works_twice: false,
        never_reports: false,
        no_backoff: false,
        no_jitter: false,
        keep_alive_seconds: None,
        idle_timeout_seconds: None,
        leaves_a_task: false,
        hoards: false,
        judges_before_it_reads: false,
        loses_commands: false,
    };

    pub fn apply_to_mqtt(&self, options: &mut mqtt::Options) {
        if self.no_backoff {
            options.backoff = mqtt::Backoff::new(AT_ONCE, AT_ONCE);
        }
        if let Some(seconds) = self.keep_alive_seconds {
            options.keep_alive = Duration::from_secs(seconds);
        }
    }

    pub fn apply_to_agent(&self, options: &mut agent::Options) {
        if let Some(seconds) = self.idle_timeout_seconds {
            options.idle_timeout = Duration::from_secs(seconds);
        }
    }
}
