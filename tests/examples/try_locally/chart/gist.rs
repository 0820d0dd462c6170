//! What a message comes down to.

use serde_json::{Value, json};

/// The topics on which a message is about the job that comes next.
const ABOUT_THE_NEXT: [&str; 3] = ["notify-next", "start-next/accepted", "$next/get/accepted"];

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
        return match message.get("statusDetails").and_then(progress) {
            Some(progress) => format!("{status}, {progress}"),
            None => status.to_owned(),
        };
    }
    if topic.ends_with("/get/accepted") && !topic.starts_with("$next/") {
        let execution = message.get("execution");
        let status = execution.and_then(|one| one.get("status")?.as_str());
        return status.unwrap_or_default().to_owned();
    }
    if ABOUT_THE_NEXT.contains(&topic) {
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

/// The job that a message says is next.
pub fn next_job(topic: &str, payload: &[u8]) -> Option<String> {
    let message: Value = match ABOUT_THE_NEXT.contains(&topic) {
        true => serde_json::from_slice(payload).ok()?,
        false => return None,
    };
    let job_id = message.get("execution")?.get("jobId")?.as_str()?;
    Some(job_id.to_owned())
}

/// How far the work is, if status details tell it as a share of a hundred: `percent`, or a value with `%`.
fn progress(details: &Value) -> Option<String> {
    let details = details.as_object()?;
    let mut details = details.iter().filter_map(|(name, value)| {
        let number = value.as_str()?.trim();
        let number = match number.strip_suffix('%') {
            Some(number) => number.trim(),
            None if name == "percent" => number,
            None => return None,
        };
        matches!(number.parse(), Ok(0.0..=100.0)).then(|| format!("{number} %"))
    });
    details.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_messages_come_down_to() {
        for (topic, payload, said) in [
            ("a/update", r#"{"status": "SUCCEEDED"}"#, "SUCCEEDED"),
            (
                "a/update",
                r#"{"status": "IN_PROGRESS", "statusDetails": {"step": "7", "done": "40%"}}"#,
                "IN_PROGRESS, 40 %",
            ),
            (
                "a/update",
                r#"{"status": "IN_PROGRESS", "statusDetails": {"percent": "12.5"}}"#,
                "IN_PROGRESS, 12.5 %",
            ),
            (
                "a/update",
                r#"{"status": "IN_PROGRESS", "statusDetails": {"percent": "400"}}"#,
                "IN_PROGRESS",
            ),
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
