//! What an agent does, step by step.

use std::sync::Arc;
use std::time::Duration;

use super::error::Unwanted;
use super::options::Decision;
use super::outcome::{Outcome, ReportResult};
use crate::jobs::{self, JobExecution, JobId, JobStatus, RequestError, StatusDetails};

/// What an agent does, and what the service tells it, in the order of cause and effect.
#[derive(Debug, Clone)]
#[non_exhaustive]
#[allow(missing_docs)] // `job_id` says it
pub enum Event {
    /// The service is asked for the next job.
    Starting,
    /// A job was started, or one that an earlier run left IN_PROGRESS is resumed.
    Started(Arc<JobExecution>),
    /// Nothing is pending, or nothing that is for this program.
    NothingToStart,
    /// No job could be started. The service is asked again.
    StartFailed(RequestError),
    /// An execution is not for this program, or not for now, and stays as it is.
    NotStarted {
        execution: Arc<JobExecution>,
        decision: Decision,
    },
    /// An execution can't be read, and is REJECTED, so that it does not block the queue.
    UnreadableRejected { job_id: JobId },
    /// The work on a job begins.
    WorkStarted { job_id: JobId },
    /// The service has taken these status details: a progress, or a checkpoint.
    Progress {
        job_id: JobId,
        details: StatusDetails,
    },
    /// The service no longer wants a job done.
    NoLongerWanted { job_id: JobId, why: Unwanted },
    /// Somebody else has changed the execution of a running job: most likely a second program does the
    /// jobs of this thing as well.
    Conflict { job_id: JobId },
    /// The work was to end so long ago, and goes on. After `limit` the agent ends.
    WorkOverdue {
        job_id: JobId,
        since: Duration,
        limit: Duration,
    },
    /// The work on a job has ended.
    WorkEnded { job_id: JobId, outcome: Outcome },
    /// How the work ended is not reported: the job is no longer wanted.
    Abandoned { job_id: JobId, why: Unwanted },
    /// How the work ended is being reported.
    Reporting { job_id: JobId, status: JobStatus },
    /// The service has taken the report, or no longer wants it.
    Reported { job_id: JobId, result: ReportResult },
    /// A report failed, and is sent again.
    ReportFailed { job_id: JobId, error: RequestError },
    /// An event of the service, or of a request.
    Jobs(jobs::Event),
}
