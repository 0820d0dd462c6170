//! The books, without a network.

use std::time::SystemTime;

use serde_json::json;

use super::*;
use crate::{guard::Guard, policy::Policy};

pub(super) fn jobs() -> Jobs {
    let journal = Journal::new();
    let faults = Faults::new(journal.clone());
    let policy = Policy::parse(r#"{"Statement": []}"#).unwrap();
    let sessions = Arc::new(Sessions::new(
        Guard::new(policy, journal.clone()),
        faults.clone(),
    ));
    let settings = Settings {
        dialect: Dialect::default(),
        minute: Duration::from_secs(60),
        listed_executions: 10,
    };
    let clock = Clock::set_to(SystemTime::now());
    Jobs::new("my-thing", settings, clock, sessions, faults, journal)
}

pub(super) fn update(jobs: &Jobs, job_id: &str, body: Value) {
    let topic = format!("$aws/things/my-thing/jobs/{job_id}/update");
    jobs.answer(1, "test-1", &topic, body.to_string().as_bytes());
}

pub(super) fn start_next(jobs: &Jobs) {
    jobs.answer(1, "test-1", "$aws/things/my-thing/jobs/start-next", b"");
}

/// The payload of the last reply or event.
pub(super) fn last_reply(jobs: &Jobs) -> Value {
    let payload = |event: Event| match event {
        Event::Reply { payload, .. } => Some(payload),
        _ => None,
    };
    let payload = jobs.journal.events().into_iter().rev().find_map(payload);
    serde_json::from_slice(&payload.unwrap()).unwrap()
}

fn statuses(jobs: &Jobs) -> Vec<(String, Status)> {
    jobs.list()
        .into_iter()
        .map(|one| (one.job_id, one.status))
        .collect()
}

#[tokio::test]
async fn job_ids_and_documents() {
    let jobs = jobs();
    jobs.create_job("a_B-9", json!({})).unwrap();
    jobs.create_job(&"x".repeat(64), json!({})).unwrap();
    for bad in ["", "a b", "ä", "$next", "a/b", &"x".repeat(65), "a_B-9"] {
        assert!(jobs.create_job(bad, json!({})).is_err(), "{bad:?}");
    }
    assert!(
        jobs.create_job("large", json!("x".repeat(33 * 1024)))
            .is_err()
    );
}

#[tokio::test]
async fn what_is_started_comes_first() {
    let jobs = jobs();
    for id in ["a", "b", "c"] {
        jobs.create_job(id, json!({})).unwrap();
    }
    update(&jobs, "b", json!({"status": "IN_PROGRESS"}));
    start_next(&jobs);
    start_next(&jobs);
    let [a, b, c] = ["a", "b", "c"].map(|id| jobs.execution(id).unwrap());
    assert_eq!((a.status, a.version_number), (Status::Queued, 1));
    assert_eq!(
        (b.status, b.version_number, b.starts),
        (Status::InProgress, 2, 1)
    );
    assert_eq!(c.status, Status::Queued);
    update(
        &jobs,
        "b",
        json!({"status": "SUCCEEDED", "expectedVersion": "2"}),
    );
    start_next(&jobs);
    assert_eq!(jobs.execution("a").unwrap().status, Status::InProgress);
    assert_eq!(jobs.execution("b").unwrap().succeeded, 1);
}

#[tokio::test]
async fn the_end_is_the_end() {
    let jobs = jobs();
    jobs.create_job("a", json!({})).unwrap();
    // Straight from QUEUED to a terminal state is allowed.
    update(
        &jobs,
        "a",
        json!({"status": "REJECTED", "statusDetails": {"why": "because"}}),
    );
    let before = jobs.execution("a").unwrap();
    assert_eq!(before.status, Status::Rejected);
    assert_eq!(before.status_details["why"], "because");
    assert_eq!((before.starts, before.started_at), (0, None));
    update(&jobs, "a", json!({"status": "IN_PROGRESS"}));
    assert!(jobs.cancel_job("a").is_err());
    assert!(jobs.cancel_job_by_force("a").is_err());
    assert!(jobs.time_out("a").is_err());
    assert!(jobs.retry("a").is_err());
    assert_eq!(jobs.execution("a").unwrap(), before);
}

#[tokio::test]
async fn a_retry_is_a_new_execution_at_the_end_of_the_line() {
    let jobs = jobs();
    jobs.create_job("a", json!({"n": 1})).unwrap();
    jobs.create_job("b", json!({"n": 2})).unwrap();
    jobs.time_out("a").unwrap();
    jobs.retry("a").unwrap();
    let again = jobs.execution("a").unwrap();
    assert_eq!((again.execution_number, again.version_number), (2, 1));
    assert_eq!(
        (again.status, again.document),
        (Status::Queued, json!({"n": 1}).to_string())
    );
    update(
        &jobs,
        "a",
        json!({"status": "SUCCEEDED", "executionNumber": 9}),
    );
    assert_eq!(jobs.execution("a").unwrap().status, Status::Queued);
    start_next(&jobs);
    assert_eq!(
        statuses(&jobs),
        [
            ("a".to_owned(), Status::Queued),
            ("b".to_owned(), Status::InProgress),
        ]
    );
}

#[tokio::test]
async fn changes_from_the_cloud() {
    let jobs = jobs();
    jobs.create_job("a", json!({})).unwrap();
    jobs.touch("a", BTreeMap::from([("k".into(), "v".into())]))
        .unwrap();
    assert_eq!(jobs.execution("a").unwrap().version_number, 2);
    update(
        &jobs,
        "a",
        json!({"status": "SUCCEEDED", "expectedVersion": 1}),
    );
    assert_eq!(jobs.execution("a").unwrap().status, Status::Queued);
    jobs.delete_job("a").unwrap();
    update(&jobs, "a", json!({"status": "SUCCEEDED"}));
    assert_eq!(jobs.execution("a").unwrap().status, Status::Removed);
    assert!(jobs.delete_job("a").is_err());
}

#[tokio::test]
async fn what_is_in_progress_is_canceled_by_force_only() {
    let jobs = jobs();
    for id in ["a", "b"] {
        jobs.create_job(id, json!({})).unwrap();
    }
    start_next(&jobs);
    assert!(jobs.cancel_job("a").is_err());
    assert_eq!(jobs.execution("a").unwrap().status, Status::InProgress);
    jobs.cancel_job_by_force("a").unwrap();
    jobs.cancel_job("b").unwrap();
    assert!(
        statuses(&jobs)
            .iter()
            .all(|(_, status)| *status == Status::Canceled)
    );
}

#[tokio::test]
async fn a_deleted_job_leaves_its_id_to_a_new_one() {
    let jobs = jobs();
    jobs.create_job("a", json!({"n": 1})).unwrap();
    jobs.create_job("b", json!({})).unwrap();
    start_next(&jobs);
    let old = jobs.execution("a").unwrap();
    jobs.delete_job("a").unwrap();
    jobs.create_job("a", json!({"n": 2})).unwrap();
    let new = jobs.execution("a").unwrap();
    assert_eq!((new.execution_number, new.version_number), (1, 1));
    assert_eq!((new.status, new.starts), (Status::Queued, 0));
    assert_eq!(new.document, r#"{"n":2}"#);
    assert!(new.queued_at.epoch_seconds() > old.queued_at.epoch_seconds());
    // It has a new place in line, and leaves no trace of the old one.
    assert_eq!(
        statuses(&jobs),
        [
            ("b".to_owned(), Status::Queued),
            ("a".to_owned(), Status::Queued)
        ]
    );
    let books = jobs.lock();
    assert_eq!(books.count(Status::Queued), 2);
    assert_eq!(books.count(Status::Removed), 0);
    assert_eq!(books.first_in_line().unwrap().job_id, "b");
}

#[tokio::test]
async fn the_first_report_starts_an_execution_unless_it_rejects_it() {
    let jobs = jobs();
    for (id, status) in [("a", "SUCCEEDED"), ("b", "REJECTED")] {
        jobs.create_job(id, json!({})).unwrap();
        update(&jobs, id, json!({"status": status}));
    }
    assert!(jobs.execution("a").unwrap().started_at.is_some());
    assert!(jobs.execution("b").unwrap().started_at.is_none());
}

#[tokio::test]
async fn details_are_kept_or_replaced_as_a_whole() {
    let jobs = jobs();
    jobs.create_job("a", json!({})).unwrap();
    let details = json!({"statusDetails": {"k": "v", "l": "w"}, "status": "IN_PROGRESS"});
    update(&jobs, "a", details);
    update(&jobs, "a", json!({"status": "IN_PROGRESS"}));
    assert_eq!(jobs.execution("a").unwrap().status_details.len(), 2);
    let details = json!({"statusDetails": {"m": "x"}, "status": "IN_PROGRESS"});
    update(&jobs, "a", details);
    let kept = jobs.execution("a").unwrap().status_details;
    assert_eq!(kept, BTreeMap::from([("m".into(), "x".into())]));
}

#[tokio::test]
async fn waiting_for_the_books() {
    let jobs = jobs();
    jobs.create_job("a", json!({})).unwrap();
    jobs.wait_for_status("a", Status::Queued).await;
    let other = jobs.clone();
    let waiting = tokio::spawn(async move { other.wait_until(|b| b.queued().count() == 0).await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    start_next(&jobs);
    waiting.await.unwrap();
}
