//! What the Jobs service says: its replies, its event and its errors, as AWS names them.
//!
//! The types are lenient where the service may grow (unknown fields, statuses and error codes are
//! taken as they come) and strict where the program relies on a value.
//! See <https://docs.aws.amazon.com/iot/latest/developerguide/jobs-mqtt-https-api.html>.

use std::fmt;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::details::{self, StatusDetails};
use super::document::JobDocument;
use super::job_id::{ExecutionId, JobId};
use super::timestamp::{self, Timestamp};
use crate::text::Text;

/// Where a job execution stands.
///
/// `QUEUED → IN_PROGRESS → SUCCEEDED | FAILED | REJECTED` is the device's part; the service moves
/// an execution to `TIMED_OUT`, `CANCELED` or `REMOVED`.
/// See <https://docs.aws.amazon.com/iot/latest/developerguide/iot-jobs-lifecycle.html>.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)] // the names say it
#[non_exhaustive]
pub enum JobStatus {
    Queued,
    InProgress,
    Succeeded,
    Failed,
    Rejected,
    TimedOut,
    Canceled,
    Removed,
    /// A status that this program does not know yet.
    #[serde(untagged)]
    Other(Text),
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(status) => status.fmt(f),
            known => known.serialize(f), // the service's own name
        }
    }
}

impl JobStatus {
    /// Whether nothing more happens to an execution that stands here.
    pub fn is_terminal(&self) -> bool {
        !matches!(self, Self::Queued | Self::InProgress | Self::Other(_))
    }
}

/// One line of the list of pending job executions.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct JobExecutionSummary {
    /// The job's name.
    pub job_id: JobId,
    /// When the job was queued for this thing.
    #[serde(default, deserialize_with = "timestamp::lenient")]
    pub queued_at: Option<Timestamp>,
    /// When the execution was started, if it was.
    #[serde(default, deserialize_with = "timestamp::lenient")]
    pub started_at: Option<Timestamp>,
    /// When anything of it last changed.
    #[serde(default, deserialize_with = "timestamp::lenient")]
    pub last_updated_at: Option<Timestamp>,
}

/// All about one job execution: one job, on this thing.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct JobExecution {
    /// The job's name.
    pub job_id: JobId,
    /// What to do. `null` where the request asked to leave it out.
    #[serde(default)]
    pub job_document: JobDocument,
    /// Where the execution stands.
    pub status: JobStatus,
    /// Notes shared with the cloud.
    #[serde(default, deserialize_with = "details::lenient")]
    pub status_details: StatusDetails,
    /// When the job was queued for this thing.
    #[serde(default, deserialize_with = "timestamp::lenient")]
    pub queued_at: Option<Timestamp>,
    /// When the execution was started, if it was.
    #[serde(default, deserialize_with = "timestamp::lenient")]
    pub started_at: Option<Timestamp>,
    /// When anything of it last changed.
    #[serde(default, deserialize_with = "timestamp::lenient")]
    pub last_updated_at: Option<Timestamp>,
    /// Goes up by one with every change. An update that expects another version is refused.
    pub version_number: i64,
    /// Which try of the job on this thing it is: the service can retry what failed or timed out.
    pub execution_number: i64,
    /// Seconds until the service gives it up as `TIMED_OUT`, if a timeout is set for it.
    #[serde(default)]
    pub approximate_seconds_before_timed_out: Option<i64>,
}

impl JobExecution {
    /// Which execution this is.
    pub fn id(&self) -> ExecutionId {
        ExecutionId {
            job_id: self.job_id.clone(),
            execution_number: self.execution_number,
            queued_at_second: self.queued_at.map(Timestamp::seconds),
        }
    }

    /// Where it stands.
    pub fn state(self) -> ExecutionState {
        ExecutionState {
            status: self.status,
            status_details: self.status_details,
            version_number: Some(self.version_number),
        }
    }
}

/// The reply to `GetPendingJobExecutions`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PendingJobExecutions {
    /// Started, and not ended yet.
    #[serde(default, deserialize_with = "null_is_default")]
    pub in_progress_jobs: Vec<JobExecutionSummary>,
    /// Not started yet.
    #[serde(default, deserialize_with = "null_is_default")]
    pub queued_jobs: Vec<JobExecutionSummary>,
}

/// The reply to `StartNextPendingJobExecution` and `DescribeJobExecution`, and the event
/// `NextJobExecutionChanged`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct ExecutionReply {
    /// The execution. `None` when nothing is pending: the service then leaves it out, or sends an
    /// empty object.
    #[serde(default, deserialize_with = "empty_is_none")]
    pub execution: Option<JobExecution>,
}

/// The reply to `UpdateJobExecution`, as far as a device needs it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UpdatedExecution {
    /// The execution's state after the update, where the request asked for it.
    #[serde(default, deserialize_with = "empty_is_none")]
    pub execution_state: Option<ExecutionState>,
}

/// Where an execution stands, in short.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ExecutionState {
    /// Where it stands.
    pub status: JobStatus,
    /// Notes shared with the cloud.
    #[serde(default, deserialize_with = "details::lenient")]
    pub status_details: StatusDetails,
    /// Its version now.
    #[serde(default)]
    pub version_number: Option<i64>,
}

/// What the service sends on a `/rejected` topic (AWS calls it `ErrorResponse`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Rejection {
    /// Why, as a word for programs.
    pub code: ErrorCode,
    /// Why, as a sentence for people.
    #[serde(default, deserialize_with = "null_is_default")]
    pub message: Text,
    /// Where the execution stands; with `InvalidStateTransition` and `VersionMismatch`.
    #[serde(default, deserialize_with = "empty_is_none")]
    pub execution_state: Option<ExecutionState>,
}

impl fmt::Display for Rejection {
    /// In the words of the Python sample: `code:'…' message:'…'`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "code:'{}' message:'{}'", self.code, self.message)?;
        match &self.execution_state {
            Some(state) => write!(f, "; the job execution is {} now", state.status),
            None => Ok(()),
        }
    }
}

/// Why the service rejected a request.
///
/// See <https://docs.aws.amazon.com/iot/latest/developerguide/jobs-api.html#jobs-mqtt-error-response>.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // the service's own names
#[non_exhaustive]
pub enum ErrorCode {
    InvalidTopic,
    InvalidJson,
    InvalidRequest,
    InvalidStateTransition,
    ResourceNotFound,
    VersionMismatch,
    InternalError,
    RequestThrottled,
    TerminalStateReached,
    /// A code that this program does not know yet.
    #[serde(untagged)]
    Other(Text),
}

impl ErrorCode {
    /// Whether the same request may be accepted a little later.
    ///
    /// An unknown code counts as transient: the tries are limited, and abandoning a job is not undone.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::InternalError | Self::RequestThrottled | Self::Other(_)
        )
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(code) => code.fmt(f),
            known => known.serialize(f), // the service's own name
        }
    }
}

/// `null` for the default: some tools write it for what is not there.
fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// `null` and `{}` for `None`.
fn empty_is_none<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    // As text, and not as a `Value`: what is in it need not be readable as values.
    let Some(raw) = Option::<Box<RawValue>>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let fields = raw.get().trim_start_matches('{').trim_end_matches('}');
    match fields.trim() {
        "" => Ok(None),
        _ => serde_json::from_str(raw.get())
            .map(Some)
            .map_err(D::Error::custom),
    }
}
