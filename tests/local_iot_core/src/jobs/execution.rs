//! A job execution: one job on one thing.

use std::{collections::BTreeMap, fmt};

use tokio::time::Instant;

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
    /// Every state.
    pub const ALL: [Status; 8] = [
        Status::Queued,
        Status::InProgress,
        Status::Succeeded,
        Status::Failed,
        Status::Rejected,
        Status::TimedOut,
        Status::Canceled,
        Status::Removed,
    ];

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

    /// May a device report it?
    pub(super) fn is_reported(self) -> bool {
        use Status::{Failed, InProgress, Rejected, Succeeded};
        matches!(self, InProgress | Succeeded | Failed | Rejected)
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
    /// The beginning of the next second.
    pub(super) fn next_second(self) -> Moment {
        Moment((self.epoch_seconds() + 1) * 1000)
    }

    /// So many seconds later.
    pub(crate) fn plus_seconds(self, seconds: u64) -> Moment {
        Moment(self.0.saturating_add(seconds.saturating_mul(1000)))
    }

    /// Whole seconds since the epoch.
    pub fn epoch_seconds(self) -> u64 {
        self.0 / 1000
    }
}

/// A job that is to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    pub(super) job_id: String,
    pub(super) document: String,
    pub(super) in_progress_timeout_minutes: Option<u64>,
}

impl NewJob {
    /// A job with this document, which can be any JSON text. Where the document holds
    /// `${aws:iot:s3-presigned-url:URL}`, `…-url-v2:…` or `…-url-upload:…`, the device is sent the
    /// URL with a signature behind it (`?X-Amz-Signature=N`), another one in each message.
    pub fn new(job_id: impl Into<String>, document: impl Into<String>) -> NewJob {
        NewJob {
            job_id: job_id.into(),
            document: document.into(),
            in_progress_timeout_minutes: None,
        }
    }

    /// How long an execution may be IN_PROGRESS before it is TIMED_OUT: 1 to 10,080 minutes.
    /// How long a minute lasts, [`Options::minute`](crate::Options::minute) says.
    pub fn in_progress_timeout_minutes(mut self, minutes: u64) -> NewJob {
        self.in_progress_timeout_minutes = Some(minutes);
        self
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
    /// What the device is to do: JSON, as the text that it was given as.
    pub document: String,
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
    /// How long it may be IN_PROGRESS, in minutes: a setting of the job.
    pub(super) in_progress_timeout_minutes: Option<u64>,
    /// When that time is over. Nothing that the device does renews it.
    pub(super) in_progress_deadline: Option<Instant>,
    /// When the device's own time limit for the current step runs out.
    pub(super) step_deadline: Option<Instant>,
    /// Its place in line.
    pub(super) place: u64,
}

impl JobExecution {
    pub(super) fn queued(job: NewJob, number: u64, place: u64, now: Moment) -> Self {
        JobExecution {
            job_id: job.job_id,
            status: Status::Queued,
            status_details: BTreeMap::new(),
            document: job.document,
            queued_at: now,
            started_at: None,
            last_updated_at: now,
            version_number: 1,
            execution_number: number,
            starts: 0,
            succeeded: 0,
            in_progress_timeout_minutes: job.in_progress_timeout_minutes,
            in_progress_deadline: None,
            step_deadline: None,
            place,
        }
    }

    /// When it will be TIMED_OUT.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let deadlines = [self.in_progress_deadline, self.step_deadline];
        deadlines.into_iter().flatten().min()
    }
}
