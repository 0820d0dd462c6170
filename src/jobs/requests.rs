//! What a device asks of the Jobs service: one type for each operation, which knows its reply.
//!
//! See <https://docs.aws.amazon.com/iot/latest/developerguide/jobs-mqtt-api.html>.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::details::StatusDetails;
use super::job_id::JobId;
use super::model::{
    ExecutionReply, JobExecution, JobStatus, PendingJobExecutions, UpdatedExecution,
};
use super::topics::Operation;

/// A request, and the type of its reply. The service has four, and so has this module.
pub trait Request: Serialize + Send + Sync {
    /// What the service sends when it accepts.
    type Reply: DeserializeOwned + Send + 'static;
    /// The operation asked for.
    const OPERATION: Operation;

    /// The job it is about, for the operations on one job.
    fn job_id(&self) -> Option<&JobId> {
        None
    }
}

/// `GetPendingJobExecutions`: which executions of this thing have not ended.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
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
#[non_exhaustive]
pub struct StartNext {
    /// Notes to set on the execution, in place of all that it has.
    #[serde(skip_serializing_if = "StatusDetails::is_empty")]
    pub status_details: StatusDetails,
    /// Minutes (1 to 10,080) in which the device must report again; after that the service gives the
    /// execution up as TIMED_OUT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_timeout_in_minutes: Option<u32>,
}

impl Request for StartNext {
    type Reply = ExecutionReply;
    const OPERATION: Operation = Operation::StartNext;
}

/// `DescribeJobExecution`: all about one execution.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Describe {
    /// The job.
    #[serde(skip)]
    pub job_id: JobId,
    /// Which execution of it. `None`: the latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_number: Option<i64>,
    /// Whether to send the job document as well.
    pub include_job_document: bool,
}

impl Describe {
    /// The latest execution of a job, with its document.
    pub fn job(job_id: &JobId) -> Self {
        Self {
            job_id: job_id.clone(),
            execution_number: None,
            include_job_document: true,
        }
    }
}

impl Request for Describe {
    type Reply = ExecutionReply;
    const OPERATION: Operation = Operation::Describe;

    fn job_id(&self) -> Option<&JobId> {
        Some(&self.job_id)
    }
}

/// `UpdateJobExecution`: how an execution goes, or how it ended.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Update {
    /// The job.
    #[serde(skip)]
    pub job_id: JobId,
    /// The state to move it to: IN_PROGRESS, SUCCEEDED, FAILED or REJECTED.
    pub status: JobStatus,
    /// Notes to set on the execution, in place of all that it has. Empty: it keeps those it has.
    #[serde(skip_serializing_if = "StatusDetails::is_empty")]
    pub status_details: StatusDetails,
    /// The version that the execution has as far as the device knows. If it has another one,
    /// somebody else changed it, and the service refuses the update (VersionMismatch).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<i64>,
    /// Which execution of the job it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_number: Option<i64>,
    /// Restarts the step timer, with this many minutes (1 to 10,080).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_timeout_in_minutes: Option<u32>,
    /// Whether the reply is to have the execution's state after the update.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub include_job_execution_state: bool,
}

impl Update {
    /// An update of this execution, as it is now, to this state.
    pub fn execution(execution: &JobExecution, status: JobStatus) -> Self {
        Self {
            expected_version: Some(execution.version_number),
            execution_number: Some(execution.execution_number),
            ..Self::any_version(&execution.job_id, status)
        }
    }

    /// An update of the latest execution of a job, whatever its version.
    pub fn any_version(job_id: &JobId, status: JobStatus) -> Self {
        Self {
            job_id: job_id.clone(),
            status,
            status_details: StatusDetails::default(),
            expected_version: None,
            execution_number: None,
            step_timeout_in_minutes: None,
            include_job_execution_state: false,
        }
    }
}

impl Request for Update {
    type Reply = UpdatedExecution;
    const OPERATION: Operation = Operation::Update;

    fn job_id(&self) -> Option<&JobId> {
        Some(&self.job_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(request: &impl Request) -> String {
        serde_json::to_string(request).unwrap()
    }

    fn execution() -> JobExecution {
        let text = r#"{"jobId":"j","status":"IN_PROGRESS","versionNumber":2,"executionNumber":3}"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_request_says_no_more_than_it_has_to() {
        let j = execution().job_id;
        assert_eq!(json(&GetPending {}), "{}");
        assert_eq!(json(&StartNext::default()), "{}");
        assert_eq!(json(&Describe::job(&j)), r#"{"includeJobDocument":true}"#);
        let unseen = Update::any_version(&j, JobStatus::Rejected);
        assert_eq!(json(&unseen), r#"{"status":"REJECTED"}"#);
    }

    #[test]
    fn an_update_says_of_which_execution_and_of_which_version_it_is() {
        let mut update = Update::execution(&execution(), JobStatus::Succeeded);
        assert_eq!(
            json(&update),
            r#"{"status":"SUCCEEDED","expectedVersion":2,"executionNumber":3}"#
        );
        update.step_timeout_in_minutes = Some(5);
        update.include_job_execution_state = true;
        update.status_details = StatusDetails::from_pairs([("reason", "so")]).unwrap();
        assert_eq!(
            json(&update),
            r#"{"status":"SUCCEEDED","statusDetails":{"reason":"so"},"expectedVersion":2,"executionNumber":3,"stepTimeoutInMinutes":5,"includeJobExecutionState":true}"#
        );
    }
}
