//! What a device does on a good day.

use serde_json::json;

use super::client::{Client, jobs_topic};
use crate::{Dialect, Event, LocalIotCore, Operation, Options, Status, TimeFormat};

const FILTERS: [&str; 5] = [
    "notify-next",
    "get/+",
    "start-next/+",
    "+/get/+",
    "+/update/+",
];

pub async fn subscribed(core: &LocalIotCore) -> Client {
    let mut client = Client::connected(core, "test-1").await;
    let filters = FILTERS.map(jobs_topic);
    let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
    assert_eq!(client.subscribe(&filters).await, [1; 5]);
    client
}

#[tokio::test]
async fn from_the_first_list_to_the_last_job() {
    let core = LocalIotCore::start(Options::default()).await.unwrap();
    core.jobs().create_job("a", json!({"do": "this"})).unwrap();
    core.jobs().create_job("b", json!({"do": "that"})).unwrap();
    let mut client = subscribed(&core).await;

    let (topic, list) = client.ask(1, "get", json!({"clientToken": "t1"})).await;
    assert_eq!(topic, "get/accepted");
    assert_eq!(list["clientToken"], "t1");
    assert_eq!(list["inProgressJobs"], json!([]));
    let ids: Vec<_> = list["queuedJobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|j| &j["jobId"])
        .collect();
    assert_eq!(ids, ["a", "b"]);
    assert!(list["timestamp"].is_u64());

    let (topic, described) = client.ask(2, "b/get", json!({})).await;
    assert_eq!(topic, "b/get/accepted");
    assert_eq!(described["execution"]["jobDocument"], json!({"do": "that"}));
    assert_eq!(described["execution"]["status"], "QUEUED");
    assert_eq!(described["execution"].get("thingName"), None);

    let (topic, started) = client
        .ask(3, "start-next", json!({"stepTimeoutInMinutes": 5}))
        .await;
    assert_eq!(topic, "start-next/accepted");
    assert_eq!(started["execution"]["jobId"], "a");
    assert_eq!(started["execution"]["status"], "IN_PROGRESS");
    assert_eq!(started["execution"]["versionNumber"], 2);
    assert!(started["execution"]["approximateSecondsBeforeTimedOut"].as_u64() > Some(290));

    let update = json!({
        "status": "SUCCEEDED", "expectedVersion": 2, "executionNumber": 1,
        "includeJobExecutionState": true, "clientToken": "t4",
    });
    let (topic, updated) = client.ask(4, "a/update", update).await;
    assert_eq!(topic, "a/update/accepted");
    assert_eq!(updated["executionState"]["status"], "SUCCEEDED");
    assert_eq!(updated["executionState"]["versionNumber"], 3);
    let (topic, next) = client.message().await;
    assert_eq!(topic, "notify-next");
    assert_eq!(next["execution"]["jobId"], "b");

    let (_, started) = client.ask(5, "start-next", json!({})).await;
    assert_eq!(started["execution"]["jobId"], "b");
    let (topic, _) = client.ask(6, "b/update", json!({"status": "FAILED"})).await;
    assert_eq!(topic, "b/update/accepted");
    let (topic, next) = client.message().await;
    assert_eq!(
        (topic.as_str(), next.get("execution")),
        ("notify-next", None)
    );
    let (_, idle) = client.ask(7, "start-next", json!({})).await;
    assert_eq!(idle.get("execution"), None);

    core.jobs().wait_for_status("b", Status::Failed).await;
    let a = core.jobs().execution("a").unwrap();
    assert_eq!((a.status, a.starts, a.succeeded), (Status::Succeeded, 1, 1));
    let journal = core.journal();
    assert_eq!(journal.violations(), [""; 0]);
    let is_start = |e: &Event| {
        matches!(
            e,
            Event::Request {
                operation: Operation::StartNext,
                ..
            }
        )
    };
    assert_eq!(journal.count(is_start), 3);
    journal
        .wait_for(|e| matches!(e, Event::DeliveryAcked { .. }))
        .await;
    assert!(
        journal
            .entries()
            .iter()
            .all(|entry| !entry.event.to_string().is_empty())
    );
}

#[tokio::test]
async fn what_is_rejected() {
    let core = LocalIotCore::start(Options::default()).await.unwrap();
    core.jobs().create_job("a", json!({})).unwrap();
    let mut client = subscribed(&core).await;
    let cases = [
        (
            "nothing/update",
            json!({"status": "FAILED"}),
            "ResourceNotFound",
        ),
        ("nothing/get", json!({}), "ResourceNotFound"),
        ("a/get", json!({"executionNumber": 7}), "ResourceNotFound"),
        ("a/update", json!({}), "InvalidRequest"),
        ("a/update", json!({"status": "DONE"}), "InvalidRequest"),
        (
            "a/update",
            json!({"status": "REMOVED"}),
            "InvalidStateTransition",
        ),
        ("a/update", json!("text"), "InvalidJson"),
        (
            "a/update",
            json!({"status": "FAILED", "expectedVersion": 9}),
            "VersionMismatch",
        ),
        (
            "a/update",
            json!({"status": "FAILED", "statusDetails": {"k": ""}}),
            "InvalidRequest",
        ),
        (
            "start-next",
            json!({"stepTimeoutInMinutes": 0}),
            "InvalidRequest",
        ),
        (
            "start-next",
            json!({"stepTimeoutInMinutes": 10081}),
            "InvalidRequest",
        ),
        (
            "start-next",
            json!({"statusDetails": {"k": "x".repeat(1025)}}),
            "InvalidRequest",
        ),
    ];
    for (id, (rest, payload, code)) in (1..).zip(cases) {
        let (topic, reply) = client.ask(id, rest, payload.clone()).await;
        assert_eq!(topic, format!("{rest}/rejected"), "{payload}");
        assert_eq!(reply["code"], code, "{payload}");
    }
    core.jobs().cancel_job("a").unwrap();
    assert_eq!(client.message().await.0, "notify-next");
    let update = json!({"status": "SUCCEEDED", "clientToken": "t"});
    let (_, reply) = client.ask(50, "a/update", update).await;
    assert_eq!(reply["code"], "InvalidStateTransition");
    assert_eq!(reply["executionState"]["status"], "CANCELED");
    assert_eq!(reply["clientToken"], "t");
    let (_, reply) = client.ask(51, "a/get", json!({})).await;
    assert_eq!(reply["code"], "TerminalStateReached");
}

#[tokio::test]
async fn outside_of_the_sample_policy() {
    let everything = r#"{"Statement": {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}}"#;
    let options = Options {
        policy: everything.to_owned(),
        ..Options::default()
    };
    let core = LocalIotCore::start(options).await.unwrap();
    let mut client = Client::connected(&core, "any-id").await;
    assert_eq!(
        client.subscribe(&["a/+", &jobs_topic("notify")]).await,
        [1, 1]
    );

    core.jobs().create_job("a", json!({})).unwrap();
    let (topic, event) = client.message().await;
    assert_eq!(topic, "notify");
    assert_eq!(event["jobs"]["QUEUED"][0]["jobId"], "a");

    let (topic, reply) = client.ask(1, "a/nonsense", json!({})).await;
    assert_eq!(
        (topic.as_str(), &reply["code"]),
        ("a/nonsense/rejected", &json!("InvalidTopic"))
    );
    assert_eq!(
        client
            .publish(2, "$aws/things/other/jobs/get", json!({}))
            .await,
        0
    );
    let reply = client.delivery().await;
    assert_eq!(reply.topic_name(), "$aws/things/other/jobs/get/rejected");

    assert_eq!(client.publish(3, "a/b", json!("hello")).await, 0);
    assert_eq!(client.delivery().await.payload().as_slice(), b"\"hello\"");
}

#[tokio::test]
async fn dialects() {
    let dialect = Dialect {
        times: TimeFormat::Milliseconds,
        empty_execution: true,
        thing_name: true,
        rewrites_documents: true,
        describes_terminal: true,
        version_first: true,
    };
    let core = LocalIotCore::start(Options {
        dialect,
        ..Options::default()
    })
    .await
    .unwrap();
    let mut client = subscribed(&core).await;
    let (_, idle) = client.ask(1, "start-next", json!({})).await;
    assert_eq!(idle["execution"], json!({}));
    assert!(idle["timestamp"].as_u64() > Some(1_000_000_000_000));
    let document = json!({"do": "this", "not": null});
    core.jobs().create_job("a", document).unwrap();
    let event = client.message().await.1;
    assert_eq!(event["execution"]["jobId"], "a");
    assert_eq!(event["execution"]["jobDocument"], json!({"do": "this"}));
    core.jobs().cancel_job("a").unwrap();
    assert_eq!(client.message().await.1["execution"], json!({}));
    let (topic, described) = client.ask(2, "a/get", json!({})).await;
    assert_eq!(topic, "a/get/accepted");
    assert_eq!(described["execution"]["thingName"], "my-thing");
    let stale = json!({"status": "SUCCEEDED", "expectedVersion": 1});
    let (_, refused) = client.ask(3, "a/update", stale).await;
    assert_eq!(refused["code"], "VersionMismatch");
    assert_eq!(refused["executionState"]["status"], "CANCELED");
}
