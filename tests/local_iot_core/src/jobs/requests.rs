//! What a device asks the Jobs service for: topics and payloads.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::Deserialize;
use serde_json::Value;

use super::{execution::Status, replies::Rejection};

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

/// `[a-zA-Z0-9_-]{1,64}`
pub(crate) fn is_job_id(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    (1..=64).contains(&text.len()) && text.chars().all(allowed)
}

type StatusDetails = BTreeMap<String, String>;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StartNextRequest {
    pub(super) status_details: Option<StatusDetails>,
    pub(super) step_timeout_in_minutes: Option<u64>,
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
    #[serde(deserialize_with = "reported_status")]
    pub(super) status: Status,
    pub(super) status_details: Option<StatusDetails>,
    #[serde(default, deserialize_with = "number_or_text")]
    pub(super) expected_version: Option<u64>,
    pub(super) execution_number: Option<u64>,
    #[serde(default)]
    pub(super) include_job_execution_state: bool,
    #[serde(default)]
    pub(super) include_job_document: bool,
    pub(super) step_timeout_in_minutes: Option<u64>,
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
            .map_err(|e| Rejection::new("InvalidJson", format!("not JSON: {e}")))
            .and_then(|body| match body {
                Value::Object(_) => Ok(body),
                _ => Err(Rejection::invalid("the request is not a JSON object")),
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

    pub(super) fn start_next(self) -> Result<StartNextRequest, Rejection> {
        let request: StartNextRequest = self.read()?;
        check_status_details(request.status_details.as_ref())?;
        check_step_timeout(request.step_timeout_in_minutes)?;
        Ok(request)
    }

    pub(super) fn update(self) -> Result<UpdateRequest, Rejection> {
        let request: UpdateRequest = self.read()?;
        check_status_details(request.status_details.as_ref())?;
        check_step_timeout(request.step_timeout_in_minutes)?;
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

fn check_status_details(details: Option<&StatusDetails>) -> Result<(), Rejection> {
    let key_character = |c: char| c.is_ascii_alphanumeric() || ":_-".contains(c);
    for (key, value) in details.into_iter().flatten() {
        if !(1..=128).contains(&key.len()) || !key.chars().all(key_character) {
            return Err(Rejection::invalid(
                "a key in statusDetails is not [a-zA-Z0-9:_-]{1,128}",
            ));
        }
        let length = value.chars().count();
        if !(1..=1024).contains(&length) || value.contains(char::is_control) {
            return Err(Rejection::invalid(
                "a value in statusDetails is empty, longer than 1024 characters, \
                 or holds control characters",
            ));
        }
    }
    Ok(())
}

fn check_step_timeout(minutes: Option<u64>) -> Result<(), Rejection> {
    match minutes {
        None | Some(1..=10_080) => Ok(()),
        Some(_) => Err(Rejection::invalid(
            "stepTimeoutInMinutes is not in 1..=10080",
        )),
    }
}

/// The states that a device may report.
fn reported_status<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Status, D::Error> {
    let name = String::deserialize(from)?;
    [
        Status::InProgress,
        Status::Succeeded,
        Status::Failed,
        Status::Rejected,
    ]
    .into_iter()
    .find(|status| status.name() == name)
    .ok_or_else(|| serde::de::Error::custom(format!("'{name}' is no status to report")))
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
