//! What a device asks of the Jobs service: one type for each operation, which knows its reply.
//!
//! See <https://docs.aws.amazon.com/iot/latest/developerguide/jobs-mqtt-api.html>.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::model::{
    DescribedExecution, JobExecution, JobStatus, NextExecution, PendingJobExecutions,
    StatusDetails, UpdatedExecution,
};
use super::topics::Operation;

/// A request, and the type of its reply.
pub trait Request: Serialize {
    /// What the service sends when it accepts.
    type Reply: DeserializeOwned;
    /// The operation asked for.
    const OPERATION: Operation;

    /// The job it is about, for the operations on one job.
    fn job_id(&self) -> Option<&str> {
        None
    }

    /// The execution in a reply, so that the client can see whether it is the one asked for.
    fn execution(_reply: &Self::Reply) -> Option<&JobExecution> {
        None
    }
}

/// `GetPendingJobExecutions`: which executions of this thing have not ended.
#[derive(Debug, Clone, Default, Serialize)]
pub struct GetPending {}

impl Request for GetPending {
    type Reply = PendingJobExecutions;
    const OPERATION: Operation = Operation::GetPending;
}

/// `StartNextPendingJobExecution`: start the first in line.
///
/// An execution that is IN_PROGRESS already comes first, and is given back as it is. So this is safe
/// to repeat, and is how a device that was restarted finds the work it left.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StartNext {
    /// Notes to set on the execution.
    #[serde(skip_serializing_if = "StatusDetails::is_empty")]
    pub status_details: StatusDetails,
    /// Minutes (1 to 10,080) in which the device must report again; after that the service gives the
    /// execution up as TIMED_OUT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_timeout_in_minutes: Option<u32>,
}

impl Request for StartNext {
    type Reply = NextExecution;
    const OPERATION: Operation = Operation::StartNext;

    fn execution(reply: &NextExecution) -> Option<&JobExecution> {
        reply.execution.as_ref()
    }
}

/// `DescribeJobExecution`: all about one execution.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Describe {
    /// The job; `$next` for the first in line.
    #[serde(skip)]
    pub job_id: String,
    /// Which execution of it. `None`: the latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_number: Option<i64>,
    /// Whether to send the job document as well.
    pub include_job_document: bool,
}

impl Request for Describe {
    type Reply = DescribedExecution;
    const OPERATION: Operation = Operation::Describe;

    fn job_id(&self) -> Option<&str> {
        Some(&self.job_id)
    }

    fn execution(reply: &DescribedExecution) -> Option<&JobExecution> {
        reply.execution.as_ref()
    }
}

/// `UpdateJobExecution`: how an execution goes, or how it ended.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Update {
    /// The job.
    #[serde(skip)]
    pub job_id: String,
    /// The state to move it to: IN_PROGRESS, SUCCEEDED, FAILED or REJECTED.
    pub status: JobStatus,
    /// Notes to set on the execution; they replace those of the same name.
    #[serde(skip_serializing_if = "StatusDetails::is_empty")]
    pub status_details: StatusDetails,
    /// The version that the execution has as far as the device knows. If it has another one,
    /// somebody else changed it, and the service refuses the update (VersionMismatch).
    pub expected_version: i64,
    /// Which execution of the job it is.
    pub execution_number: i64,
}

impl Update {
    /// An update of this execution, as it is now, to this state.
    pub fn of(execution: &JobExecution, status: JobStatus) -> Self {
        Self {
            job_id: execution.job_id.clone(),
            status,
            status_details: StatusDetails::new(),
            expected_version: execution.version_number,
            execution_number: execution.execution_number,
        }
    }
}

impl Request for Update {
    type Reply = UpdatedExecution;
    const OPERATION: Operation = Operation::Update;

    fn job_id(&self) -> Option<&str> {
        Some(&self.job_id)
    }
}
