//! What holds for any bytes at all: the fuzz targets look for some that it does not hold for, and
//! `tests/it/bad_input.rs` tries it on the corpus and on random input.

use std::path::Path;

use jobs_mqtt5::jobs::{
    ExecutionReply, ExecutionState, Incoming, JobExecution, JobExecutionSummary,
    PendingJobExecutions, Rejection, Timestamp, Topics, UpdatedExecution,
};
use jobs_mqtt5::text::{is_printable, printable};
use jobs_mqtt5::tls::{Files, client_config};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::value::RawValue;

/// A payload is read as each reply and event that the service can send. What is read of it stands in
/// it, and can be shown; else there are words for what is wrong.
pub fn reply(payload: &[u8]) {
    if let Some(pending) = read::<PendingJobExecutions>(payload) {
        let all = [pending.in_progress_jobs, pending.queued_jobs].concat();
        all.iter().for_each(summary);
    }
    let next = read::<ExecutionReply>(payload).and_then(|next| next.execution);
    let alone = read::<JobExecution>(payload);
    for one in next.iter().chain(&alone) {
        execution(one, payload);
    }
    let updated = read::<UpdatedExecution>(payload).and_then(|updated| updated.execution_state);
    let rejection = read::<Rejection>(payload);
    if let Some(rejection) = &rejection {
        word(&rejection.code, &rejection.code.to_string());
        shown(rejection.message.raw());
    }
    let refused_in = rejection.and_then(|rejection| rejection.execution_state);
    updated.iter().chain(&refused_in).for_each(state);
}

/// A topic is ours only if it is the one that the answer to the request comes on.
pub fn topic(topic: &[u8]) {
    let Ok(topic) = std::str::from_utf8(topic) else {
        return;
    };
    let topics = Topics::new("t");
    let of_ours = match topics.read(topic) {
        None => return,
        Some(Incoming::NextJobExecutionChanged) => "$aws/things/t/jobs/notify-next".to_owned(),
        Some(Incoming::Reply {
            operation,
            job_id,
            accepted,
        }) => {
            let outcome = if accepted { "accepted" } else { "rejected" };
            let request = topics.request(operation, job_id.unwrap_or_default());
            format!("{request}/{outcome}")
        }
        Some(other) => panic!("{other:?} is new here"),
    };
    assert_eq!(topic, of_ours);
}

/// A file makes a TLS configuration, or there are one or two lines that name the file and show
/// nothing of what may be a key.
pub fn pem(content: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.pem");
    std::fs::write(&path, content).unwrap();
    pem_in(&path, content);
}

/// As [`pem`], for a file that is there already.
pub fn pem_in(path: &Path, content: &[u8]) {
    let files = Files::new(path, path);
    let mut with_ca = files.clone();
    with_ca.ca = Some(path.to_owned());
    let text = String::from_utf8_lossy(content);
    for files in [files, with_ca] {
        let Err(error) = client_config(&files) else {
            continue;
        };
        let words = error.to_string();
        assert!(words.contains("file.pem"), "{words}");
        shown_as_is(&words);
        // The lines between BEGIN and END are nobody's business. (A short one may be a word.)
        let secrets = text
            .lines()
            .filter(|line| line.len() >= 16 && !line.contains("-----"));
        for secret in secrets {
            assert!(!words.contains(secret), "{words} shows {secret}");
        }
    }
}

/// The payload as this type, if it has its form.
fn read<T: DeserializeOwned>(payload: &[u8]) -> Option<T> {
    match serde_json::from_slice(payload) {
        Ok(read) => {
            let is_json = serde_json::from_slice::<IgnoredAny>(payload).is_ok();
            assert!(is_json, "read, and not JSON");
            Some(read)
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
    }
}

fn execution(execution: &JobExecution, payload: &[u8]) {
    // The document is kept byte for byte.
    let document = execution.job_document.text();
    let is_json = serde_json::from_str::<&RawValue>(document).is_ok();
    assert!(is_json, "no JSON: {document}");
    let mut pieces = payload.windows(document.len());
    let is_whole = pieces.any(|piece| piece == document.as_bytes());
    assert!(document == "null" || is_whole, "{document}");
    let is_value = serde_json::from_str::<serde_json::Value>(document).is_ok();
    assert_eq!(
        execution.job_document.read::<serde_json::Value>().is_ok(),
        is_value
    );
    shown(document);
    // What is shown of it is shown so by its type.
    shown_as_is(&execution.job_document.to_string());
    shown_as_is(&execution.job_id.to_string());
    shown_as_is(&execution.status.to_string());
    // Details are kept as they came (AWS takes U+2028, say); whoever shows them makes them printable.
    for (name, value) in execution.status_details.iter() {
        shown(&format!("{name}:{value}"));
    }
    let times = [
        execution.queued_at,
        execution.started_at,
        execution.last_updated_at,
    ];
    times.into_iter().flatten().for_each(time);
}

fn summary(summary: &JobExecutionSummary) {
    shown_as_is(&summary.job_id.to_string());
    let times = [
        summary.queued_at,
        summary.started_at,
        summary.last_updated_at,
    ];
    times.into_iter().flatten().for_each(time);
}

fn state(state: &ExecutionState) {
    word(&state.status, &state.status.to_string());
}

/// A word of the service's is kept as it came, and shown made printable.
fn word(kept: &impl serde::Serialize, words: &str) {
    let kept = serde_json::to_value(kept).unwrap();
    assert_eq!(printable(kept.as_str().unwrap()), words);
    shown_as_is(words);
}

/// A time is a date of four digits, and not older than its own seconds.
fn time(time: Timestamp) {
    let shown = time.to_string();
    assert!(
        shown.len() == "2026-11-24 09:30:00 UTC".len() && shown.ends_with(" UTC"),
        "{shown}"
    );
    let again = Timestamp::from_number(time.seconds() as f64);
    // (Seconds of the year 5138 and later are taken for milliseconds.)
    if time.seconds() < 100_000_000_000 {
        assert_eq!(again.map(|again| again.to_string()), Some(shown));
    }
}

/// Made printable, it can't repaint the terminal, and is the same if it is made so once more.
fn shown(text: &str) {
    let printed = printable(text);
    shown_as_is(&printed);
    assert_eq!(printable(&printed), printed);
}

fn shown_as_is(text: &str) {
    assert!(is_printable(text), "{text:?}");
}
