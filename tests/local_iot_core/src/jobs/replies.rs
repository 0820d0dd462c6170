//! What the Jobs service replies, and how it writes it.

use serde_json::{Map, Value, json, value::RawValue};

use super::{
    document::WithDocument,
    execution::{JobExecution, Status},
    requests::Occasion,
};

/// What a message says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Body {
    pub(crate) fields: Map<String, Value>,
    /// The job document, as text: a member of the field `execution`, if there is one.
    pub(crate) document: Option<String>,
}

impl Body {
    pub(super) fn of(key: &str, value: Value) -> Body {
        Body {
            fields: Map::from_iter([(key.to_owned(), value)]),
            document: None,
        }
    }

    pub(crate) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.fields.insert(key.to_owned(), value.into());
    }
}

/// JobExecutionState
pub(super) fn execution_state(execution: &JobExecution) -> Value {
    let mut state = json!({
        "status": execution.status.name(),
        "versionNumber": execution.version_number,
    });
    if !execution.status_details.is_empty() {
        state["statusDetails"] = json!(execution.status_details);
    }
    state
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

    pub(super) fn not_json() -> Rejection {
        let message = "The contents of the request could not be interpreted as valid \
                       UTF-8-encoded JSON";
        Rejection::new("InvalidJson", message)
    }

    pub(super) fn no_object() -> Rejection {
        Rejection::new("InvalidJson", "The request payload must be a JSON object")
    }

    pub(super) fn not_found(job_id: &str) -> Rejection {
        Rejection::new("ResourceNotFound", format!("Job {job_id} not found"))
    }

    /// A status that a device may not set. It is refused whatever the execution is.
    pub(super) fn not_for_devices(status: Status) -> Rejection {
        let message = format!("The status of job execution cannot be changed to be {status}");
        Rejection::new("InvalidStateTransition", message)
    }

    pub(super) fn invalid_transition(execution: &JobExecution, to: Status) -> Rejection {
        let message = format!("{} cannot be changed to be {to}", execution.status);
        Rejection::new("InvalidStateTransition", message).with_state(execution)
    }

    pub(super) fn version_mismatch(execution: &JobExecution, expected: u64) -> Rejection {
        let found = execution.version_number;
        let message = format!("Expected version {expected} but found version {found}");
        Rejection::new("VersionMismatch", message).with_state(execution)
    }

    pub(super) fn terminal() -> Rejection {
        let message = "Job Execution has reached terminal state. \
                       It is neither IN_PROGRESS nor QUEUED";
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
    pub(crate) occasion: Option<Occasion>,
    /// The topic up to and including `jobs/`.
    pub(crate) root: String,
    /// The rest of the topic.
    pub(crate) rest: String,
    pub(crate) body: Body,
    pub(crate) accepted: bool,
    pub(crate) code: Option<String>,
}

impl Reply {
    /// The reply to a request that came in on `topic`.
    pub(super) fn to(
        topic: &str,
        occasion: Option<Occasion>,
        outcome: Result<Body, Rejection>,
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
            let mut body = Body::default();
            body.set("code", rejection.code);
            body.set("message", rejection.message);
            if let Some(state) = rejection.execution_state {
                body.set("executionState", state);
            }
            body
        });
        Reply {
            occasion,
            root,
            rest: format!("{rest}/{verdict}"),
            body,
            accepted,
            code,
        }
    }

    /// A message that nobody asked for.
    pub(super) fn event(
        thing_name: &str,
        name: &str,
        occasion: Option<Occasion>,
        body: Body,
    ) -> Reply {
        Reply {
            occasion,
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
        let document = self.body.document.as_deref();
        let message = WithDocument {
            fields: &self.body.fields,
            // A job document was checked when its job was created.
            document: document.and_then(|text| serde_json::from_str::<&RawValue>(text).ok()),
        };
        // Writing JSON into memory can't fail: its keys are strings.
        serde_json::to_vec(&message).unwrap_or_default()
    }
}

fn split_topic(topic: &str) -> (String, String) {
    let root_length = topic
        .find("/jobs/")
        .map_or(0, |start| start + "/jobs/".len());
    let (root, rest) = topic.split_at(root_length);
    (root.to_owned(), rest.to_owned())
}
