//! What a message comes down to.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Deserialize;
use serde_json::value::RawValue;

/// The topics on which a message is about the job that comes next.
const ABOUT_THE_NEXT: [&str; 3] = ["notify-next", "start-next/accepted", "$next/get/accepted"];

/// The members of a JSON object, each as it was written: a job document may hold what nobody here can read
/// (numbers, escapes, depths), and no other member is lost by that.
#[derive(Deserialize)]
struct Members<'a>(#[serde(borrow)] BTreeMap<String, &'a RawValue>);

impl<'a> Members<'a> {
    fn read<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.0.get(name)?.get()).ok()
    }
}

/// What a message of the Jobs service, or to it, comes down to.
#[derive(Default)]
pub struct Gist {
    /// In a word or two; empty if it says nothing.
    pub says: String,
    /// The job that it says is next.
    pub next_job: Option<String>,
    /// What a request and its reply have in common, as a number that says nothing else.
    pub token: Option<u32>,
}

impl Gist {
    /// `topic` is what stands behind `jobs/`.
    pub fn of(topic: &str, payload: &[u8]) -> Self {
        let Ok(message) = serde_json::from_slice::<Members>(payload) else {
            return Self::default();
        };
        let execution: Option<Members> = message.read("execution");
        let next_job = execution.as_ref().and_then(|one| one.read("jobId"));
        let next_job = next_job.filter(|_| ABOUT_THE_NEXT.contains(&topic));
        Self {
            says: says(topic, &message, execution, next_job.as_deref()),
            next_job,
            token: message.read("clientToken").map(|token: String| {
                let mut hasher = DefaultHasher::new();
                token.hash(&mut hasher);
                hasher.finish() as u32
            }),
        }
    }
}

fn says(
    topic: &str,
    message: &Members,
    execution: Option<Members>,
    next_job: Option<&str>,
) -> String {
    if topic.ends_with("/rejected") {
        return message.read("code").unwrap_or_default();
    }
    if let Some(status) = message.read::<String>("status") {
        return match message.read("statusDetails").and_then(progress) {
            Some(progress) => format!("{status}, {progress}"),
            None => status,
        };
    }
    if topic.ends_with("/get/accepted") && !topic.starts_with("$next/") {
        let status = execution.and_then(|one| one.read("status"));
        return status.unwrap_or_default();
    }
    if ABOUT_THE_NEXT.contains(&topic) {
        let is_none = match execution {
            Some(execution) => execution.0.is_empty(),
            None => !message.0.contains_key("execution"),
        };
        return match next_job {
            Some(job_id) => format!("next: {job_id}"),
            None if is_none => "nothing is pending".to_owned(),
            None => "what is next can't be read".to_owned(),
        };
    }
    let list = |name: &str| message.read::<Vec<&RawValue>>(name).map(|list| list.len());
    match (list("inProgressJobs"), list("queuedJobs")) {
        (Some(in_progress), Some(queued)) => {
            format!("{in_progress} in progress, {queued} queued")
        }
        _ => String::new(),
    }
}

/// How far the work is, if status details tell it as a share of a hundred: `percent`, or a value with `%`.
fn progress(details: Members) -> Option<String> {
    let mut details = details.0.keys().filter_map(|name| {
        let number: String = details.read(name)?;
        let number = number.trim();
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
            let gist = Gist::of(topic, payload.as_bytes());
            assert_eq!(gist.says, said, "{topic} {payload}");
        }
    }

    #[test]
    fn a_document_that_nobody_can_read_hides_nothing_else() {
        let gist = |payload: &str| Gist::of("start-next/accepted", payload.as_bytes());
        let token = |payload: &str| gist(payload).token;
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        for document in [r#"{"n": 1e400}"#, r#"{"say": "\ud83d"}"#, &deep] {
            let execution = format!(r#"{{"jobDocument": {document}, "jobId": "a"}}"#);
            let gist = gist(&format!(
                r#"{{"execution": {execution}, "clientToken": "x"}}"#
            ));
            assert_eq!(gist.says, "next: a");
            assert_eq!(gist.next_job.as_deref(), Some("a"));
            assert_eq!(gist.token, token(r#"{"clientToken": "x"}"#));
        }
        assert_ne!(
            token(r#"{"clientToken": "y"}"#),
            token(r#"{"clientToken": "x"}"#)
        );
        assert_eq!(token("{}"), None);
    }
}
