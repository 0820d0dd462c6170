//! What the Jobs service replies, and how it writes it.

use serde_json::{Map, Value, json};

use super::{
    execution::{JobExecution, Moment, Status},
    requests::Operation,
};

/// How the service writes what its documentation leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// How points in time are written.
    pub times: TimeFormat,
    /// Whether "nothing is pending" is written as `"execution": {}`, rather than by leaving
    /// `execution` out.
    pub empty_execution: bool,
    /// Whether an execution in a terminal state can be described. The documentation says
    /// that it can't: such a request is rejected with TerminalStateReached.
    pub describes_terminal: bool,
}

impl Default for Dialect {
    fn default() -> Self {
        Dialect {
            times: TimeFormat::Seconds,
            empty_execution: false,
            describes_terminal: false,
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

    /// JobExecution
    pub(super) fn execution(
        self,
        thing_name: &str,
        execution: &JobExecution,
        with_document: bool,
    ) -> Value {
        let mut written = self.summary(execution);
        written.insert("thingName".into(), json!(thing_name));
        written.insert("status".into(), json!(execution.status.name()));
        if !execution.status_details.is_empty() {
            written.insert("statusDetails".into(), json!(execution.status_details));
        }
        if with_document {
            written.insert("jobDocument".into(), execution.document.clone());
        }
        if let Some(deadline) = execution.step_deadline {
            let left = deadline.0.saturating_sub(Moment::now().0) / 1000;
            written.insert("approximateSecondsBeforeTimedOut".into(), json!(left));
        }
        Value::Object(written)
    }

    /// A body whose one field is the execution that is next, if there is one.
    pub(super) fn next(self, thing_name: &str, next: Option<&JobExecution>) -> Map<String, Value> {
        let execution = match next {
            Some(execution) => self.execution(thing_name, execution, true),
            None if self.empty_execution => json!({}),
            None => return Map::new(),
        };
        Map::from_iter([("execution".to_owned(), execution)])
    }
}

/// JobExecutionState
pub(super) fn execution_state(execution: &JobExecution) -> Value {
    json!({
        "status": execution.status.name(),
        "statusDetails": execution.status_details,
        "versionNumber": execution.version_number,
    })
}

/// Why a request is rejected.
#[derive(Debug)]
pub(crate) struct Rejection {
    pub(super) code: String,
    message: String,
    execution_state: Option<Value>,
}

impl Rejection {
    pub(super) fn new(code: &str, message: impl Into<String>) -> Rejection {
        Rejection {
            code: code.to_owned(),
            message: message.into(),
            execution_state: None,
        }
    }

    pub(super) fn invalid(message: &str) -> Rejection {
        Rejection::new("InvalidRequest", message)
    }

    pub(super) fn not_found(what: &str) -> Rejection {
        Rejection::new("ResourceNotFound", format!("no such job execution: {what}"))
    }

    pub(super) fn invalid_transition(execution: &JobExecution, to: Status) -> Rejection {
        let message = format!("{} can't become {to}", execution.status);
        Rejection::new("InvalidStateTransition", message).with_state(execution)
    }

    pub(super) fn version_mismatch(execution: &JobExecution) -> Rejection {
        let message = format!("the version is {}", execution.version_number);
        Rejection::new("VersionMismatch", message).with_state(execution)
    }

    pub(super) fn terminal(execution: &JobExecution) -> Rejection {
        let message = format!("the job execution is {}", execution.status);
        Rejection::new("TerminalStateReached", message)
    }

    /// Some codes come with the state that the execution is in.
    pub(super) fn with_state(mut self, execution: &JobExecution) -> Rejection {
        self.execution_state = Some(execution_state(execution));
        self
    }
}

/// A message of the Jobs service, not yet put into bytes.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) operation: Option<Operation>,
    /// The topic up to and including `jobs/`.
    pub(crate) root: String,
    /// The rest of the topic.
    pub(crate) rest: String,
    pub(crate) body: Map<String, Value>,
    pub(crate) accepted: bool,
    pub(crate) code: Option<String>,
}

impl Reply {
    /// The reply to a request that came in on `topic`.
    pub(super) fn to(
        topic: &str,
        operation: Option<Operation>,
        outcome: Result<Map<String, Value>, Rejection>,
    ) -> Reply {
        let (root, rest) = split_topic(topic);
        let (verdict, accepted) = match outcome {
            Ok(_) => ("accepted", true),
            Err(_) => ("rejected", false),
        };
        let code = outcome
            .as_ref()
            .err()
            .map(|rejection| rejection.code.clone());
        let body = outcome.unwrap_or_else(|rejection| {
            let mut body = Map::new();
            body.insert("code".into(), json!(rejection.code));
            body.insert("message".into(), json!(rejection.message));
            if let Some(state) = rejection.execution_state {
                body.insert("executionState".into(), state);
            }
            body
        });
        Reply {
            operation,
            root,
            rest: format!("{rest}/{verdict}"),
            body,
            accepted,
            code,
        }
    }

    /// A message that nobody asked for.
    pub(super) fn event(thing_name: &str, name: &str, body: Map<String, Value>) -> Reply {
        Reply {
            operation: None,
            root: format!("$aws/things/{thing_name}/jobs/"),
            rest: name.to_owned(),
            body,
            accepted: true,
            code: None,
        }
    }

    pub(crate) fn topic(&self) -> String {
        format!("{}{}", self.root, self.rest)
    }

    pub(crate) fn payload(&self) -> Vec<u8> {
        // Writing a JSON value into memory can't fail: its keys are strings.
        serde_json::to_vec(&self.body).unwrap_or_default()
    }
}

fn split_topic(topic: &str) -> (String, String) {
    let root_length = topic
        .find("/jobs/")
        .map_or(0, |start| start + "/jobs/".len());
    let (root, rest) = topic.split_at(root_length);
    (root.to_owned(), rest.to_owned())
}
