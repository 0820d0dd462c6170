//! Every shape that a payload of the service can have is read, or refused.

use jobs_mqtt5::jobs::{
    ErrorCode, ExecutionReply, JobExecution, JobStatus, PendingJobExecutions, Rejection,
    UpdatedExecution,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn read<T: DeserializeOwned>(payload: Value) -> T {
    serde_json::from_value(payload).unwrap()
}

fn execution() -> Value {
    json!({
        "jobId": "j", "jobDocument": {"do": "it"}, "status": "IN_PROGRESS",
        "statusDetails": {"step": "1"}, "queuedAt": 1_795_512_600, "startedAt": 1_795_512_601,
        "lastUpdatedAt": 1_795_512_602, "versionNumber": 2, "executionNumber": 1,
        "approximateSecondsBeforeTimedOut": 60
    })
}

/// The execution with one field changed, or (by `null`) left out.
fn with(field: &str, value: Value) -> Value {
    let mut execution = execution();
    match value {
        Value::Null => drop(execution.as_object_mut().unwrap().remove(field)),
        value => execution[field] = value,
    }
    execution
}

#[test]
fn a_job_execution_has_every_field_that_the_service_sends() {
    let read: JobExecution = read(execution());
    assert_eq!(read.job_id, "j");
    assert_eq!(
        (read.status, read.version_number, read.execution_number),
        (JobStatus::InProgress, 2, 1)
    );
    assert_eq!(read.job_document.text(), r#"{"do":"it"}"#);
    assert_eq!(read.status_details.get("step"), Some("1"));
    assert_eq!(
        read.queued_at.unwrap().to_string(),
        "2026-11-24 09:30:00 UTC"
    );
    assert_eq!(read.approximate_seconds_before_timed_out, Some(60));
}

#[test]
fn nothing_pending_is_an_execution_that_is_absent_null_or_empty() {
    for reply in [
        json!({"timestamp": 1}),
        json!({"timestamp": 1, "execution": {}}),
        json!({"timestamp": 1, "execution": null}),
    ] {
        assert_eq!(read::<ExecutionReply>(reply).execution, None);
    }
    assert!(
        read::<ExecutionReply>(json!({"execution": execution()}))
            .execution
            .is_some()
    );
}

#[test]
fn what_is_optional_may_be_absent_or_null_and_what_is_unknown_is_ignored() {
    for field in [
        "jobDocument",
        "statusDetails",
        "queuedAt",
        "startedAt",
        "lastUpdatedAt",
        "approximateSecondsBeforeTimedOut",
    ] {
        read::<JobExecution>(with(field, Value::Null));
        let mut null = execution();
        null[field] = Value::Null;
        read::<JobExecution>(null);
    }
    let read: JobExecution = read(with("forceCanceled", json!({"new": [1, 2]})));
    assert_eq!(read.job_id, "j");
}

#[test]
fn an_execution_without_what_the_program_relies_on_is_refused() {
    for field in ["jobId", "status", "versionNumber", "executionNumber"] {
        assert!(
            serde_json::from_value::<JobExecution>(with(field, Value::Null)).is_err(),
            "{field}"
        );
    }
    assert!(serde_json::from_value::<JobExecution>(with("versionNumber", json!("2"))).is_err());
}

#[test]
fn times_come_in_seconds_or_milliseconds_whole_or_fractional_and_nonsense_costs_nothing() {
    for time in [
        json!(1_795_512_600),
        json!(1_795_512_600.9),
        json!(1_795_512_600_900_u64),
        json!(1_795_512_600_900.5),
    ] {
        let read: JobExecution = read(with("queuedAt", time));
        let shown = read.queued_at.unwrap().to_string();
        assert!(shown.starts_with("2026-11-24 09:30:0"), "{shown}");
    }
    for nonsense in [json!("soon"), json!(-5), json!(1e300), json!({"at": 1})] {
        assert_eq!(
            read::<JobExecution>(with("queuedAt", nonsense)).queued_at,
            None
        );
    }
}

#[test]
fn every_status_is_read_and_written_and_a_new_one_is_kept() {
    for name in [
        "QUEUED",
        "IN_PROGRESS",
        "SUCCEEDED",
        "FAILED",
        "REJECTED",
        "TIMED_OUT",
        "CANCELED",
        "REMOVED",
        "PAUSED",
    ] {
        let status: JobStatus = read(json!(name));
        assert_eq!(status.to_string(), name);
        assert_eq!(serde_json::to_value(&status).unwrap(), json!(name));
        assert_eq!(matches!(status, JobStatus::Other(_)), name == "PAUSED");
    }
}

#[test]
fn a_list_has_both_kinds_and_either_may_be_left_out() {
    let summary = json!({
        "jobId": "j", "queuedAt": 1_795_512_600, "lastUpdatedAt": 1_795_512_600.5,
        "versionNumber": 1, "executionNumber": 1
    });
    let list: PendingJobExecutions = read(json!({"inProgressJobs": [summary], "queuedJobs": null}));
    assert_eq!(
        (list.in_progress_jobs.len(), list.queued_jobs.len()),
        (1, 0)
    );
    assert_eq!(list.in_progress_jobs[0].job_id, "j");
    let list: PendingJobExecutions = read(json!({}));
    assert!(list.in_progress_jobs.is_empty() && list.queued_jobs.is_empty());
}

#[test]
fn an_update_s_reply_may_tell_the_state_or_not() {
    assert_eq!(
        read::<UpdatedExecution>(json!({"timestamp": 1})).execution_state,
        None
    );
    let reply = json!({"executionState": {"status": "SUCCEEDED", "versionNumber": 3}});
    let state = read::<UpdatedExecution>(reply).execution_state.unwrap();
    assert_eq!(
        (state.status, state.version_number),
        (JobStatus::Succeeded, Some(3))
    );
}

#[test]
fn every_error_code_is_read_and_a_new_one_is_kept_and_may_pass() {
    for (code, passing) in [
        ("InvalidTopic", false),
        ("InvalidJson", false),
        ("InvalidRequest", false),
        ("InvalidStateTransition", false),
        ("ResourceNotFound", false),
        ("VersionMismatch", false),
        ("TerminalStateReached", false),
        ("InternalError", true),
        ("RequestThrottled", true),
        ("BrandNewError", true),
    ] {
        let rejection: Rejection = read(json!({
            "code": code, "message": "m", "timestamp": 1, "clientToken": "x",
            "executionState": {"status": "CANCELED", "statusDetails": {}, "versionNumber": 4}
        }));
        assert_eq!(rejection.code.to_string(), code);
        assert_eq!(rejection.code.is_transient(), passing, "{code}");
        assert_eq!(
            rejection.execution_state.unwrap().status,
            JobStatus::Canceled
        );
    }
    let bare: Rejection = read(json!({"code": "InvalidTopic"}));
    assert_eq!(
        (bare.code, bare.message.raw()),
        (ErrorCode::InvalidTopic, "")
    );
}

#[test]
fn a_status_or_code_that_repaints_the_terminal_is_shown_printable() {
    let status: JobStatus = read(json!("\u{1b}[2J\u{202e}DEECCUS"));
    assert_eq!(status.to_string(), r"\u{1b}[2J\u{202e}DEECCUS");
    let rejection: Rejection = read(json!({"code": "\u{1b}c", "message": "a\nb"}));
    assert_eq!(rejection.to_string(), r"code:'\u{1b}c' message:'a\nb'");
    assert!(!format!("{status:?} {rejection:?}").contains(['\u{1b}', '\u{202e}', '\n']));
}

#[test]
fn a_job_id_that_aws_can_not_have_makes_an_execution_that_can_not_be_read() {
    for job_id in ["a#b", "a/+", "a/b", "../../etc/passwd", "", "a\0"] {
        let sent = with("jobId", json!(job_id));
        assert!(serde_json::from_value::<JobExecution>(sent).is_err());
    }
}
