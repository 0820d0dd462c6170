//! The service client: every shape that a payload of the service can have, and its interface as a
//! program of one's own would use it.

use std::time::Duration;

use jobs_mqtt5::agent::{Event, Outcome};
use jobs_mqtt5::jobs::{
    ErrorCode, ExecutionReply, JobExecution, JobId, JobStatus, PendingJobExecutions, Rejection,
    UpdatedExecution,
};
use local_iot_core::{Fault, On, Operation, Status, Times};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::support::{World, long_waits, within};

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

#[tokio::test]
async fn a_job_id_that_aws_can_not_have_is_an_error_before_anything_is_sent() {
    let long = "x".repeat(65);
    for text in [
        "a#b",
        "a/+",
        "a/b",
        "../../etc/passwd",
        "",
        "a\0b",
        "$next",
        &long,
    ] {
        let error = JobId::new(text).unwrap_err();
        assert!(error.to_string().contains("1 to 64 letters"), "{error}");
    }
    let world = World::with_jobs(&["job"]).await;
    let (client, mqtt) = world.jobs_client();
    let job_id = JobId::new("job").unwrap();
    let described = within(client.describe(&job_id)).await.unwrap().unwrap();
    assert_eq!(described.status, JobStatus::Queued);
    mqtt.disconnect();
    mqtt.ended().await;
}

#[tokio::test]
async fn a_running_job_can_be_described_for_a_fresh_url_until_it_is_gone() {
    let world = World::new().await;
    let document = json!({"url": "${aws:iot:s3-presigned-url:https://localhost/firmware}"});
    let jobs = world.core.jobs();
    jobs.create_job("job", document.clone()).unwrap();
    let mut device = world.device(|_| {});
    let job = device.next().await;
    let described = job.describe().await.unwrap().unwrap();
    assert_eq!(described.status, JobStatus::InProgress);
    let (first, fresh) = (&job.execution().job_document, described.job_document);
    assert!(fresh.text().contains("https://localhost/firmware?X-Amz-"));
    assert_ne!(*first, fresh);

    jobs.delete_job("job").unwrap();
    assert_eq!(job.describe().await.unwrap(), None);
    jobs.create_job("job", document).unwrap(); // another one, under the same name
    assert_eq!(job.describe().await.unwrap(), None);
    device.mqtt.disconnect();
    device.mqtt.ended().await;
}

#[tokio::test]
async fn an_execution_that_is_damaged_once_is_started_and_one_that_stays_unreadable_is_rejected() {
    for (damaged, lost, status) in [
        (1, 0, Status::InProgress),
        (2, 0, Status::Rejected),
        (2, 1, Status::Rejected), // the reply to its rejection, which is then refused: it is REJECTED
    ] {
        let world = World::with_jobs(&["broken", "next"]).await;
        let mut device = world.device(|_| {});
        let mut events = device.agent.events();
        let faults = world.core.faults();
        let fault = Fault::BrokenExecution("broken".to_owned(), "versionNumber".to_owned());
        faults.add(fault, Times::Count(damaged));
        if lost > 0 {
            faults.add(Fault::LoseReply(On::Outcome), Times::Count(lost));
        }
        let job = device.next().await;
        let broken = world.core.jobs().execution("broken").unwrap();
        assert_eq!(broken.status, status);
        if status == Status::Rejected {
            assert_eq!(*job.id(), "next"); // it is not in the way
            let reason = &broken.status_details["reason"];
            let begins = "the job execution can't be read: invalid type: ";
            assert!(reason.starts_with(begins), "{reason}");
            let is_told = |event: &Event| matches!(event, Event::UnreadableRejected { job_id } if *job_id == "broken");
            while !is_told(&within(events.next()).await.unwrap()) {}
        }
        within(job.finish(Outcome::succeeded())).await.unwrap();
        device.mqtt.disconnect();
        device.mqtt.ended().await;
    }
}

#[tokio::test]
async fn an_execution_whose_replies_alone_are_damaged_down_to_its_name_is_asked_for_again() {
    let world = World::with_jobs(&["damaged"]).await;
    let fault = Fault::BrokenExecution("damaged".to_owned(), "-jobId".to_owned());
    world.core.faults().add(fault, Times::Count(2)); // the description is whole again
    let mut device = world.device(|_| {});
    let mut events = device.agent.events();
    let job = device.next().await;
    assert_eq!(*job.id(), "damaged");
    let is_told = |event: &Event| matches!(event, Event::StartFailed(error) if error.to_string().contains("can't be read (missing field `jobId`"));
    while !is_told(&within(events.next()).await.unwrap()) {}
    within(job.finish(Outcome::succeeded())).await.unwrap();
    device.mqtt.disconnect();
    device.mqtt.ended().await;
}

#[tokio::test]
async fn a_reply_that_comes_while_a_request_waits_for_its_next_try_is_as_good() {
    let world = World::with_jobs(&["job"]).await;
    let start = Operation::StartNext;
    let late = Fault::LateReply(On::Only(start), Duration::from_millis(300));
    world.core.faults().add(late, Times::Once);
    let mut device = world.device(|settings| {
        settings.jobs.reply_timeout = Duration::from_millis(50);
        settings.jobs.backoff = long_waits(Duration::from_secs(60));
    });
    let job = device.next().await;
    assert_eq!(*job.id(), "job");
    assert_eq!(world.requests(start), 1);
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
