//! What a message comes down to.

use serde_json::{Value, json};

/// What a message of the Jobs service, or to it, says in a word or two; empty if that is nothing.
/// `topic` is what stands behind `jobs/`.
pub fn gist(topic: &str, payload: &[u8]) -> String {
    let Ok(Value::Object(message)) = serde_json::from_slice(payload) else {
        return String::new();
    };
    let text = |name: &str| message.get(name).and_then(Value::as_str);
    if topic.ends_with("/rejected") {
        return text("code").unwrap_or_default().to_owned();
    }
    if let Some(status) = text("status") {
        return status.to_owned();
    }
    if topic.ends_with("/get/accepted") && !topic.starts_with("$next/") {
        let execution = message.get("execution");
        let status = execution.and_then(|one| one.get("status")?.as_str());
        return status.unwrap_or_default().to_owned();
    }
    let is_about_the_next = ["notify-next", "start-next/accepted", "$next/get/accepted"];
    if is_about_the_next.contains(&topic) {
        let Some(execution) = message.get("execution") else {
            return "nothing is pending".to_owned();
        };
        return match execution.get("jobId").and_then(Value::as_str) {
            Some(job_id) => format!("next: {job_id}"),
            None if *execution == json!({}) => "nothing is pending".to_owned(),
            None => "what is next can't be read".to_owned(),
        };
    }
    let list = |name: &str| message.get(name).and_then(Value::as_array).map(Vec::len);
    match (list("inProgressJobs"), list("queuedJobs")) {
        (Some(in_progress), Some(queued)) => {
            format!("{in_progress} in progress, {queued} queued")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_messages_come_down_to() {
        for (topic, payload, said) in [
            ("a/update", r#"{"status": "SUCCEEDED"}"#, "SUCCEEDED"),
            ("a/update/accepted", r#"{"clientToken": "x"}"#, ""),
            (
                "a/update/rejected",
                r#"{"code": "VersionMismatch"}"#,
                "VersionMismatch",
            ),
            (
                "start-next/accepted",
                r#"{"execution": {"jobId": "a"}}"#,
                "next: a",
            ),
            ("notify-next", r#"{"timestamp": 1}"#, "nothing is pending"),
            (
                "a/get/accepted",
                r#"{"execution": {"status": "QUEUED"}}"#,
                "QUEUED",
            ),
            (
                "$next/get/accepted",
                r#"{"execution": {}}"#,
                "nothing is pending",
            ),
            (
                "start-next/accepted",
                r#"{"execution": {"jobId": 7}}"#,
                "what is next can't be read",
            ),
            (
                "get/accepted",
                r#"{"inProgressJobs": [], "queuedJobs": [{}, {}]}"#,
                "0 in progress, 2 queued",
            ),
            ("start-next", "not JSON", ""),
        ] {
            assert_eq!(gist(topic, payload.as_bytes()), said, "{topic} {payload}");
        }
    }
}
