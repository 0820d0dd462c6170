//! What a device asks the Jobs service for: topics and payloads.

use std::{fmt, str::FromStr};

use serde::Deserialize;
use serde_json::Value;

use super::{
    execution::Status,
    limits::{StatusDetails, StepTimeout, check_status_details},
    replies::Rejection,
};

/// What is asked of the Jobs service, or what it tells without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// GetPendingJobExecutions.
    GetPending,
    /// StartNextPendingJobExecution.
    StartNext,
    /// DescribeJobExecution.
    Describe,
    /// UpdateJobExecution.
    Update,
    /// NextJobExecutionChanged: an event, not a request.
    NotifyNext,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Operation; 5] = [
        Operation::GetPending,
        Operation::StartNext,
        Operation::Describe,
        Operation::Update,
        Operation::NotifyNext,
    ];
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operation::GetPending => "get-pending",
            Operation::StartNext => "start-next",
            Operation::Describe => "describe",
            Operation::Update => "update",
            Operation::NotifyNext => "notify-next",
        })
    }
}

impl FromStr for Operation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Operation::ALL
            .into_iter()
            .find(|operation| operation.to_string() == text);
        known.ok_or_else(|| format!("'{text}' is no operation"))
    }
}

/// One message of an operation: what a fault can be for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Occasion {
    pub(crate) operation: Operation,
    /// Whether it is, or replies to, an update to IN_PROGRESS.
    pub(crate) is_progress: bool,
}

impl Occasion {
    pub(crate) fn request(operation: Operation, payload: &[u8]) -> Occasion {
        Payload::parse(payload).occasion(operation)
    }
}

/// A topic in the Jobs namespace of a thing, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct JobsTopic<'a> {
    pub(crate) thing_name: &'a str,
    /// None if the topic is not one that requests are sent to.
    pub(crate) operation: Option<Operation>,
    pub(crate) job_id: Option<&'a str>,
}

impl<'a> JobsTopic<'a> {
    /// None if the topic is outside of the Jobs namespace.
    pub(crate) fn parse(topic: &'a str) -> Option<JobsTopic<'a>> {
        let (thing_name, rest) = topic.strip_prefix("$aws/things/")?.split_once("/jobs/")?;
        if thing_name.contains('/') {
            return None;
        }
        let (operation, job_id) = match rest.split_once('/') {
            None if rest == "get" => (Some(Operation::GetPending), None),
            None if rest == "start-next" => (Some(Operation::StartNext), None),
            Some((job_id, "get")) => (Some(Operation::Describe), Some(job_id)),
            Some((job_id, "update")) => (Some(Operation::Update), Some(job_id)),
            _ => (None, None),
        };
        Some(JobsTopic {
            thing_name,
            operation,
            job_id,
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StartNextRequest {
    pub(super) status_details: Option<StatusDetails>,
    pub(super) step_timeout_in_minutes: Option<StepTimeout>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeRequest {
    pub(super) execution_number: Option<u64>,
    pub(super) include_job_document: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UpdateRequest {
    #[serde(deserialize_with = "status")]
    pub(super) status: Status,
    pub(super) status_details: Option<StatusDetails>,
    #[serde(default, deserialize_with = "number_or_text")]
    pub(super) expected_version: Option<u64>,
    pub(super) execution_number: Option<u64>,
    #[serde(default)]
    pub(super) include_job_execution_state: bool,
    #[serde(default)]
    pub(super) include_job_document: bool,
    pub(super) step_timeout_in_minutes: Option<StepTimeout>,
}

/// A payload, read as far as it is the same for every request.
#[derive(Debug)]
pub(super) struct Payload {
    body: Result<Value, Rejection>,
    /// To be echoed, whatever else is wrong with the payload.
    pub(super) client_token: Option<String>,
}

impl Payload {
    /// An empty payload counts as an empty object.
    pub(super) fn parse(bytes: &[u8]) -> Payload {
        let bytes = if bytes.is_empty() { b"{}" } else { bytes };
        let body = serde_json::from_slice::<Value>(bytes)
            .map_err(|_| Rejection::not_json())
            .and_then(|body| match body {
                Value::Object(_) => Ok(body),
                _ => Err(Rejection::no_object()),
            });
        let token = body
            .as_ref()
            .ok()
            .and_then(|body| body["clientToken"].as_str());
        Payload {
            client_token: token.map(str::to_owned),
            body,
        }
    }

    pub(super) fn occasion(&self, operation: Operation) -> Occasion {
        let status = self.body.as_ref().ok().map(|body| &body["status"]);
        Occasion {
            operation,
            is_progress: operation == Operation::Update
                && status.is_some_and(|status| status == Status::InProgress.name()),
        }
    }

    pub(super) fn start_next(self) -> Result<StartNextRequest, Rejection> {
        let request: StartNextRequest = self.read()?;
        check_status_details(request.status_details.as_ref())?;
        match request.step_timeout_in_minutes {
            Some(StepTimeout::Never) => Err(Rejection::invalid("there is no step timer to cancel")),
            _ => Ok(request),
        }
    }

    pub(super) fn update(self) -> Result<UpdateRequest, Rejection> {
        let request: UpdateRequest = self.read()?;
        check_status_details(request.status_details.as_ref())?;
        Ok(request)
    }

    pub(super) fn describe(self) -> Result<DescribeRequest, Rejection> {
        self.read()
    }

    pub(super) fn get_pending(self) -> Result<(), Rejection> {
        self.body.map(drop)
    }

    fn read<T: for<'de> Deserialize<'de>>(self) -> Result<T, Rejection> {
        serde_json::from_value(self.body?).map_err(|e| Rejection::invalid(&e.to_string()))
    }
}

fn status<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Status, D::Error> {
    let name = String::deserialize(from)?;
    let mut all = Status::ALL.into_iter();
    all.find(|status| status.name() == name)
        .ok_or_else(|| serde::de::Error::custom(format!("'{name}' is no status")))
}

/// The service's documentation shows `expectedVersion` as text, its SDKs send a number.
fn number_or_text<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    match Value::deserialize(from)? {
        Value::Null => Ok(None),
        Value::String(text) => text.parse().map(Some).map_err(serde::de::Error::custom),
        other => u64::deserialize(other)
            .map(Some)
            .map_err(serde::de::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics() {
        let operation = |rest: &str| {
            let topic = format!("$aws/things/my-thing/jobs/{rest}");
            let topic = JobsTopic::parse(&topic).unwrap();
            (topic.operation, topic.job_id.map(str::to_owned))
        };
        assert_eq!(operation("get"), (Some(Operation::GetPending), None));
        assert_eq!(operation("start-next"), (Some(Operation::StartNext), None));
        assert_eq!(
            operation("$next/get"),
            (Some(Operation::Describe), Some("$next".into()))
        );
        assert_eq!(
            operation("a/update"),
            (Some(Operation::Update), Some("a".into()))
        );
        assert_eq!(operation("a/get/accepted"), (None, None));
        assert_eq!(operation("a"), (None, None));
        assert_eq!(JobsTopic::parse("$aws/things/my-thing/shadow/get"), None);
        assert_eq!(JobsTopic::parse("a/b"), None);
    }

    #[test]
    fn operations_have_names() {
        for operation in Operation::ALL {
            assert_eq!(operation.to_string().parse(), Ok(operation));
        }
    }
}
