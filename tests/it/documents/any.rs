//! Any document, and any reply of the service, is read as it was sent.

use std::collections::BTreeMap;

use jobs_mqtt5::jobs::{ExecutionReply, JobExecution, JobStatus};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A JSON string as AWS writes it: any character, some as escapes, and surrogates that are alone.
fn string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => any::<char>().prop_map(|c| {
            let quoted = json!(c.to_string()).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        }),
        1 => any::<u16>().prop_map(|unit| format!("\\u{unit:04x}")),
        1 => Just(r"\ud83d\ude00".to_owned()),
        1 => proptest::sample::select(&[r"\/", r"\b", r"\f", r"\n", r"\\", "\\\"", "}", "]"][..])
            .prop_map(str::to_owned),
    ];
    vec(piece, 0..8).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

/// A document as AWS writes it: any JSON text, keys that come twice and numbers beyond a double among
/// it.
fn document() -> impl Strategy<Value = String> {
    let number = "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?";
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|yes| yes.to_string()),
        number.prop_map(|number| number),
        string(),
    ];
    let inner = leaf.prop_recursive(6, 40, 5, |inner| {
        let member = (string(), inner.clone()).prop_map(|(key, value)| format!("{key}:{value}"));
        prop_oneof![
            vec(inner, 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            vec(member, 0..5).prop_map(|members| format!("{{{}}}", members.join(", "))),
        ]
    });
    (inner, 0..2_000_usize).prop_map(|(inner, depth)| {
        format!("{}{inner}{}", "[".repeat(depth), "]".repeat(depth)) // deeper than any parser likes
    })
}

/// Status details as the service keeps them.
fn kept_details() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map("[a-zA-Z0-9:_-]{1,20}", "[^\\p{C}]{1,40}", 0..4)
}

proptest! {
    #[test]
    fn any_document_comes_through_as_it_was_sent(document in document()) {
        let reply = format!(
            r#"{{"clientToken":"t","execution":{{"jobId":"j","jobDocument":{document},"status":"QUEUED",
            "versionNumber":1,"executionNumber":1}},"timestamp":1}}"#
        );
        let next: ExecutionReply = serde_json::from_slice(reply.as_bytes())?;
        let execution = next.execution.unwrap();
        prop_assert_eq!(execution.job_document.text(), document.as_str());
        prop_assert_eq!(execution.job_id, "j");
        // As values, it is what serde_json makes of it, or an error with words.
        match (execution.job_document.read::<Value>(), serde_json::from_str::<Value>(&document)) {
            (Ok(read), Ok(expected)) => prop_assert_eq!(read, expected),
            (Err(read), Err(_)) => prop_assert!(!read.to_string().is_empty()),
            (read, _) => prop_assert!(false, "{read:?}"),
        }
    }

    #[test]
    fn any_reply_reads_as_it_was_sent(
        job_id in "[a-zA-Z0-9_-]{1,64}",
        status in proptest::sample::select(&["QUEUED", "IN_PROGRESS", "TIMED_OUT", "PAUSED"][..]),
        details in kept_details(),
        (version, number) in (1..i64::MAX, 1..i64::MAX),
        (queued, started) in (0..4_000_000_000_u64, proptest::option::of(0..4_000_000_000_u64)),
        left in proptest::option::of(0..1_000_000_i64),
        document in document(),
    ) {
        let mut execution = json!({
            "jobId": job_id, "status": status, "queuedAt": queued, "lastUpdatedAt": queued,
            "versionNumber": version, "executionNumber": number, "newField": {"a": [1, null]}
        });
        if !details.is_empty() {
            execution["statusDetails"] = json!(details);
        }
        if let Some(started) = started {
            execution["startedAt"] = json!(started);
        }
        if let Some(left) = left {
            execution["approximateSecondsBeforeTimedOut"] = json!(left);
        }
        let execution = execution.to_string();
        let execution = format!(r#"{},"jobDocument":{document}}}"#, &execution[..execution.len() - 1]);
        let reply = format!(r#"{{"timestamp":1,"execution":{execution},"clientToken":"x"}}"#);
        let read: ExecutionReply = serde_json::from_str(&reply)?;
        let read: JobExecution = read.execution.unwrap();
        prop_assert_eq!(read.job_id, job_id.as_str());
        prop_assert_eq!(read.status.to_string(), status);
        prop_assert_eq!(matches!(read.status, JobStatus::Other(_)), status == "PAUSED");
        prop_assert_eq!((read.version_number, read.execution_number), (version, number));
        prop_assert_eq!(read.queued_at.map(|time| time.seconds()), Some(queued));
        prop_assert_eq!(read.started_at.map(|time| time.seconds()), started);
        prop_assert_eq!(read.approximate_seconds_before_timed_out, left);
        prop_assert_eq!(read.job_document.text(), document);
        let read = read.status_details.iter().map(|(name, value)| (name.into(), value.into()));
        prop_assert_eq!(read.collect::<BTreeMap<_, _>>(), details);
    }
}
