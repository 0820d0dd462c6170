//! How the service writes what its documentation leaves open.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::execution::{JobExecution, Moment};

/// How the service writes what its documentation leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// How points in time are written.
    pub times: TimeFormat,
    /// Whether "nothing is pending" is written as `"execution": {}`, rather than by leaving
    /// `execution` out.
    pub empty_execution: bool,
    /// Whether an execution says which thing it belongs to. Over MQTT it does not: its topic
    /// says so.
    pub thing_name: bool,
    /// Whether a job document is written anew, as AWS does, rather than handed on byte for byte:
    /// without white space and without members that are null, each string in one way.
    pub rewrites_documents: bool,
    /// Whether an execution in a terminal state can be described. The documentation says
    /// that it can't: such a request is rejected with TerminalStateReached.
    pub describes_terminal: bool,
    /// Whether an update of an execution that has ended is refused with VersionMismatch if its
    /// version is not the expected one. The end is a version of its own, so an update with a
    /// version never sees InvalidStateTransition then. Which comes first is not documented.
    pub version_first: bool,
}

impl Default for Dialect {
    fn default() -> Self {
        Dialect {
            times: TimeFormat::Seconds,
            empty_execution: false,
            thing_name: false,
            rewrites_documents: true,
            describes_terminal: false,
            version_first: false,
        }
    }
}

/// How points in time are written: always as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeFormat {
    /// Whole seconds since the epoch.
    Seconds,
    /// Seconds since the epoch, with a fraction.
    FractionalSeconds,
    /// Milliseconds since the epoch.
    Milliseconds,
}

impl Dialect {
    pub(super) fn time(self, moment: Moment) -> Value {
        match self.times {
            TimeFormat::Seconds => json!(moment.epoch_seconds()),
            // Exact: milliseconds since the epoch fit into the 53 bits of a double.
            TimeFormat::FractionalSeconds => json!(moment.0 as f64 / 1000.0),
            TimeFormat::Milliseconds => json!(moment.0),
        }
    }

    /// JobExecutionSummary
    pub(super) fn summary(self, execution: &JobExecution) -> Map<String, Value> {
        let mut summary = Map::new();
        summary.insert("jobId".into(), json!(execution.job_id));
        summary.insert("queuedAt".into(), self.time(execution.queued_at));
        if let Some(started_at) = execution.started_at {
            summary.insert("startedAt".into(), self.time(started_at));
        }
        summary.insert("lastUpdatedAt".into(), self.time(execution.last_updated_at));
        summary.insert("versionNumber".into(), json!(execution.version_number));
        summary.insert("executionNumber".into(), json!(execution.execution_number));
        summary
    }

    /// JobExecution, without its document.
    pub(super) fn execution(
        self,
        thing_name: &str,
        execution: &JobExecution,
        minute: Duration,
    ) -> Value {
        let mut written = self.summary(execution);
        if self.thing_name {
            written.insert("thingName".into(), json!(thing_name));
        }
        written.insert("status".into(), json!(execution.status.name()));
        if !execution.status_details.is_empty() {
            written.insert("statusDetails".into(), json!(execution.status_details));
        }
        if let Some(deadline) = execution.deadline() {
            let left = deadline.duration_since(Instant::now());
            let seconds = (left.as_secs_f64() / minute.as_secs_f64() * 60.0) as u64;
            written.insert("approximateSecondsBeforeTimedOut".into(), json!(seconds));
        }
        Value::Object(written)
    }
}
