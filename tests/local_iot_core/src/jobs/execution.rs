//! A job execution: one job on one thing.

use std::{
    collections::BTreeMap,
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::Value;

/// The state of a job execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Waits for the device.
    Queued,
    /// The device works on it.
    InProgress,
    /// The device is done with it.
    Succeeded,
    /// The device could not do it.
    Failed,
    /// The device did not want to do it.
    Rejected,
    /// The device took too long.
    TimedOut,
    /// It was called off.
    Canceled,
    /// It was deleted.
    Removed,
}

impl Status {
    /// The state as the service writes it.
    pub fn name(self) -> &'static str {
        match self {
            Status::Queued => "QUEUED",
            Status::InProgress => "IN_PROGRESS",
            Status::Succeeded => "SUCCEEDED",
            Status::Failed => "FAILED",
            Status::Rejected => "REJECTED",
            Status::TimedOut => "TIMED_OUT",
            Status::Canceled => "CANCELED",
            Status::Removed => "REMOVED",
        }
    }

    /// Is nothing more to come, short of a retry?
    pub fn is_terminal(self) -> bool {
        !matches!(self, Status::Queued | Status::InProgress)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A point in time, in milliseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub(super) u64);

impl Moment {
    pub(super) fn now() -> Moment {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Moment(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn plus_minutes(self, minutes: u64) -> Moment {
        Moment(self.0.saturating_add(minutes * 60_000))
    }

    /// Whole seconds since the epoch.
    pub fn epoch_seconds(self) -> u64 {
        self.0 / 1000
    }
}

/// A job execution as it stands in the service's books.
#[derive(Debug, Clone, PartialEq)]
pub struct JobExecution {
    /// The job.
    pub job_id: String,
    /// Its state.
    pub status: Status,
    /// What the device said about the state.
    pub status_details: BTreeMap<String, String>,
    /// What the device is to do.
    pub document: Value,
    /// When it was put into the queue.
    pub queued_at: Moment,
    /// When the device started it.
    pub started_at: Option<Moment>,
    /// When it changed last.
    pub last_updated_at: Moment,
    /// Counts its changes; the first version is 1.
    pub version_number: u64,
    /// Counts the tries of the job on this thing, from 1.
    pub execution_number: u64,
    /// How often it went from QUEUED to IN_PROGRESS. A device that does its work twice
    /// shows here.
    pub starts: u32,
    /// How often it went to SUCCEEDED.
    pub succeeded: u32,
    /// When the device's own time limit for the current step runs out.
    pub(super) step_deadline: Option<Moment>,
    /// Its place in line.
    pub(super) place: u64,
}

impl JobExecution {
    pub(super) fn queued(job_id: &str, document: Value, number: u64, place: u64) -> Self {
        let now = Moment::now();
        JobExecution {
            job_id: job_id.to_owned(),
            status: Status::Queued,
            status_details: BTreeMap::new(),
            document,
            queued_at: now,
            started_at: None,
            last_updated_at: now,
            version_number: 1,
            execution_number: number,
            starts: 0,
            succeeded: 0,
            step_deadline: None,
            place,
        }
    }
}
