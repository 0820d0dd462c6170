//! A bad day for the Jobs service, as ordered: connections broken off around requests, events
//! that are spoiled, executions that can't be read.

use serde_json::json;

use mqtt_protocol_core::mqtt::packet::Packet;

use super::{
    client::{Client, jobs_topic, publish},
    faults::{is_silent, struck, told_to},
    story::subscribed,
};
use crate::{Event, Fault, LocalIotCore, Options, Status, Times};

#[tokio::test]
async fn broken_off() {
    for (fault, present, status, delivered) in [
        ("drop-before start-next", true, Status::Queued, false),
        ("drop-after start-next", true, Status::InProgress, true),
        (
            "drop-after-lost start-next",
            false,
            Status::InProgress,
            false,
        ),
    ] {
        let core = told_to(fault).await;
        core.jobs().create_job("a", json!({})).unwrap();
        let (mut client, _) = Client::resumed(&core, "test-1").await;
        client
            .send(publish(1, &jobs_topic("start-next"), &json!({})))
            .await;
        assert!(client.is_closed().await);
        assert_eq!(core.jobs().execution("a").unwrap().status, status);
        core.journal()
            .wait_for(|e| *e == Event::ConnectionClosed)
            .await;

        let (mut client, found) = Client::resumed(&core, "test-1").await;
        assert_eq!(found, present, "{fault}");
        if delivered {
            assert_eq!(client.message().await.0, "start-next/accepted");
        }
        let again = publish(1, &jobs_topic("start-next"), &json!({})).set_dup(present);
        client.send(again).await;
        assert!(matches!(client.next().await, Packet::V5_0Puback(_)));
        assert_eq!(client.message().await.1["execution"]["jobId"], "a");
        assert_eq!(core.jobs().execution("a").unwrap().starts, 1);
        struck(&core);
    }
}

#[tokio::test]
async fn events_can_be_spoiled_too() {
    let core = told_to("lose-reply notify-next").await;
    let mut client = Client::connected(&core, "test-1").await;
    client.subscribe(&[&jobs_topic("notify-next")]).await;
    core.jobs().create_job("a", json!({})).unwrap();
    assert!(is_silent(&mut client).await);
    struck(&core);
}

#[tokio::test]
async fn replies_to_progress_can_be_lost_alone() {
    let core = told_to("lose-reply progress").await;
    core.jobs().create_job("a", json!({})).unwrap();
    let mut client = Client::connected(&core, "test-1").await;
    let (topic, _) = client.ask(1, "start-next", json!({})).await;
    assert_eq!(topic, "start-next/accepted");
    let progress = json!({"status": "IN_PROGRESS"});
    client.publish(2, &jobs_topic("a/update"), progress).await;
    assert!(is_silent(&mut client).await);
    assert_eq!(core.jobs().execution("a").unwrap().version_number, 3);
    let (topic, _) = client.ask(3, "a/update", json!({"status": "FAILED"})).await;
    assert_eq!(topic, "a/update/accepted");
    struck(&core);

    let core = told_to("reject outcome RequestThrottled").await;
    core.jobs().create_job("a", json!({})).unwrap();
    let mut client = Client::connected(&core, "test-1").await;
    let progress = json!({"status": "IN_PROGRESS"});
    assert_eq!(
        client.ask(1, "a/update", progress).await.0,
        "a/update/accepted"
    );
    let outcome = json!({"status": "SUCCEEDED"});
    assert_eq!(
        client.ask(2, "a/update", outcome).await.0,
        "a/update/rejected"
    );
    struck(&core);
}

#[tokio::test]
async fn an_event_can_overtake_the_reply() {
    let core = told_to("overtaken-reply update").await;
    core.jobs().create_job("a", json!({})).unwrap();
    let mut client = subscribed(&core).await;
    // Nothing overtakes where there is no event.
    let progress = json!({"status": "IN_PROGRESS"});
    assert_eq!(
        client.ask(1, "a/update", progress).await.0,
        "a/update/accepted"
    );
    let outcome = json!({"status": "SUCCEEDED"});
    assert_eq!(client.ask(2, "a/update", outcome).await.0, "notify-next");
    assert_eq!(client.message().await.0, "a/update/accepted");
    struck(&core);
}

#[tokio::test]
async fn one_execution_can_be_broken() {
    let core = LocalIotCore::start(Options::default()).await.unwrap();
    let fault: Fault = "broken-execution bad".parse().unwrap();
    assert_eq!(fault, Fault::BrokenExecution("bad".into(), String::new()));
    for (round, field, is_missing) in [
        (1, "", false),
        (2, "-versionNumber", true),
        (3, "jobId", false),
    ] {
        let fault = Fault::BrokenExecution("bad".into(), field.into());
        core.faults().add(fault, Times::Always);
        let mut client = subscribed(&core).await;
        core.jobs().create_job("bad", json!({})).unwrap();
        let event = client.message().await.1;
        let (_, started) = client.ask(1, "start-next", json!({})).await;
        let (_, described) = client.ask(2, "bad/get", json!({})).await;
        for execution in [event, started, described].map(|one| one["execution"].clone()) {
            let name = match field {
                "" => "versionNumber",
                field => field.trim_start_matches('-'),
            };
            assert_eq!(execution.get(name).is_none(), is_missing, "{execution}");
            assert!(is_missing || execution[name].is_array(), "{execution}");
        }
        // The others are as they should be.
        core.jobs().create_job("good", json!({})).unwrap();
        let (_, described) = client.ask(3, "good/get", json!({})).await;
        assert_eq!(described["execution"]["versionNumber"], 1);
        // And it can be rejected.
        let rejected = json!({"status": "REJECTED"});
        assert_eq!(
            client.ask(4, "bad/update", rejected).await.0,
            "bad/update/accepted"
        );
        assert_eq!(
            core.journal().count(|e| matches!(e, Event::Fault(_))),
            3 * round
        );
        core.faults().clear();
        for job in ["bad", "good"] {
            core.jobs().delete_job(job).unwrap();
        }
        return_to_start(&core);
    }
}

/// Nothing is pending, and no fault armed.
fn return_to_start(core: &LocalIotCore) {
    assert!(
        core.jobs()
            .list()
            .iter()
            .all(|job| job.status == Status::Removed)
    );
    assert!(core.faults().armed().is_empty());
}
