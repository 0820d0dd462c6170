//! A bad day, as ordered.

use std::time::{Duration, Instant};

use mqtt_protocol_core::mqtt::packet::v5_0::Pingreq;
use serde_json::json;

use super::client::{Client, connect, get, jobs_topic, subscribe, tls_config};
use crate::{Event, LocalIotCore, Options, Status, Times};

pub async fn told_to(fault: &str) -> LocalIotCore {
    let core = LocalIotCore::start(Options::default()).await.unwrap();
    core.faults().add(fault.parse().unwrap(), Times::Once);
    core
}

/// The fault has struck and is used up, and the client was not blamed for it.
pub fn struck(core: &LocalIotCore) {
    assert!(core.faults().armed().is_empty());
    assert_eq!(core.journal().count(|e| matches!(e, Event::Fault(_))), 1);
    assert_eq!(core.journal().violations(), [""; 0]);
}

pub async fn is_silent(client: &mut Client) -> bool {
    tokio::time::timeout(Duration::from_millis(100), client.try_next())
        .await
        .is_err()
}

#[tokio::test]
async fn before_tls() {
    let core = told_to("drop-after-accept").await;
    let config = tls_config(&core, &core.pki().device().unwrap());
    assert!(Client::over(&core, config.clone()).await.is_err());
    struck(&core);
    let core = told_to("no-tls-answer").await;
    let attempt = Client::over(&core, config);
    assert!(
        tokio::time::timeout(Duration::from_millis(100), attempt)
            .await
            .is_err()
    );
    struck(&core);
}

#[tokio::test]
async fn around_connect() {
    let core = told_to("drop-after-tls").await;
    assert!(Client::new(&core).await.is_closed().await);
    struck(&core);
    let core = told_to("no-connack").await;
    let mut client = Client::new(&core).await;
    client.send(connect("test-1")).await;
    assert!(is_silent(&mut client).await);
    struck(&core);
    let core = told_to("connack 0x89").await;
    let mut client = Client::new(&core).await;
    assert_eq!(client.connect("test-1", true, 0).await.0, 0x89);
    assert!(client.is_closed().await);
    struck(&core);
    let core = told_to("drop-after-connack").await;
    let mut client = Client::connected(&core, "test-1").await;
    assert!(client.is_closed().await);
    struck(&core);
    let core = told_to("session-lost").await;
    let mut client = Client::connected(&core, "test-1").await;
    client.ask(1, "get", json!({})).await;
    struck(&core);
}

#[tokio::test]
async fn unanswered() {
    let core = told_to("no-pingresp").await;
    let mut client = Client::connected(&core, "test-1").await;
    client.send(Pingreq::new()).await;
    assert!(is_silent(&mut client).await);
    struck(&core);
    let core = told_to("no-suback").await;
    let mut client = Client::connected(&core, "test-1").await;
    client.send(subscribe(&[&jobs_topic("get/+")])).await;
    assert!(is_silent(&mut client).await);
    struck(&core);
    let core = told_to("no-puback").await;
    let mut client = Client::connected(&core, "test-1").await;
    client.send(get(1)).await;
    assert_eq!(client.message().await.0, "get/accepted");
    struck(&core);
}

#[tokio::test]
async fn refused() {
    let core = told_to("suback 0x97 get/").await;
    let mut client = Client::connected(&core, "test-1").await;
    let filters = ["notify-next", "get/+"].map(jobs_topic);
    assert_eq!(
        client.subscribe(&[&filters[0], &filters[1]]).await,
        [1, 0x97]
    );
    struck(&core);
    let core = told_to("puback 0x87 start-next").await;
    core.jobs().create_job("a", json!({})).unwrap();
    let mut client = Client::connected(&core, "test-1").await;
    client.ask(1, "get", json!({})).await;
    assert_eq!(
        client
            .publish(2, &jobs_topic("start-next"), json!({}))
            .await,
        0x87
    );
    assert_eq!(core.jobs().execution("a").unwrap().status, Status::Queued);
    struck(&core);
    let core = told_to("disconnect 0x8e").await;
    let mut client = Client::connected(&core, "test-1").await;
    client.send(get(1)).await;
    assert_eq!(client.disconnect_code().await, 0x8e);
    struck(&core);
    let core = told_to("drop-on-publish").await;
    let mut client = Client::connected(&core, "test-1").await;
    client.send(get(1)).await;
    assert!(client.is_closed().await);
    struck(&core);
}

#[tokio::test]
async fn replies() {
    let ask = json!({"clientToken": "mine"});

    let core = told_to("lose-reply get-pending").await;
    let mut client = Client::connected(&core, "test-1").await;
    assert_eq!(client.publish(1, &jobs_topic("get"), ask.clone()).await, 0);
    assert!(is_silent(&mut client).await);
    struck(&core);

    let core = told_to("late-reply any 200").await;
    let mut client = Client::connected(&core, "test-1").await;
    let start = Instant::now();
    client.ask(1, "get", ask.clone()).await;
    assert!(start.elapsed() >= Duration::from_millis(200));
    struck(&core);

    for twice in ["double-reply get-pending", "double-deliveries"] {
        let core = told_to(twice).await;
        let mut client = Client::connected(&core, "test-1").await;
        let first = client.ask(1, "get", ask.clone()).await;
        assert_eq!(client.message().await, first);
        struck(&core);
    }

    let core = told_to("other-thing-reply get-pending").await;
    let mut client = Client::connected(&core, "test-1").await;
    client.publish(1, &jobs_topic("get"), ask.clone()).await;
    let reply = client.delivery().await;
    assert_eq!(
        reply.topic_name(),
        "$aws/things/some-other-thing/jobs/get/accepted"
    );
    struck(&core);

    let core = told_to("foreign-token-reply get-pending").await;
    let mut client = Client::connected(&core, "test-1").await;
    assert_ne!(
        client.ask(1, "get", ask.clone()).await.1["clientToken"],
        "mine"
    );
    struck(&core);

    let core = told_to("not-json-reply get-pending").await;
    let mut client = Client::connected(&core, "test-1").await;
    client.publish(1, &jobs_topic("get"), ask.clone()).await;
    let reply = client.delivery().await;
    assert!(serde_json::from_slice::<serde_json::Value>(reply.payload().as_slice()).is_err());
    struck(&core);

    let core = told_to("wrong-shape-reply get-pending").await;
    let mut client = Client::connected(&core, "test-1").await;
    let (_, reply) = client.ask(1, "get", ask.clone()).await;
    assert!(reply["queuedJobs"].is_string());
    assert_eq!(reply["clientToken"], "mine");
    struck(&core);

    let core = told_to("huge-reply get-pending").await;
    let mut client = Client::connected(&core, "test-1").await;
    let (_, reply) = client.ask(1, "get", ask.clone()).await;
    assert_eq!(reply["padding"].as_str().unwrap().len(), 100 * 1024);
    struck(&core);

    let core = told_to("reject get-pending RequestThrottled").await;
    let mut client = Client::connected(&core, "test-1").await;
    let (topic, reply) = client.ask(1, "get", ask).await;
    assert_eq!(
        (topic.as_str(), &reply["code"]),
        ("get/rejected", &json!("RequestThrottled"))
    );
    struck(&core);
}

#[tokio::test]
async fn pubacks_out_of_order() {
    let core = told_to("pubacks-out-of-order").await;
    let mut client = Client::connected(&core, "test-1").await;
    client.acknowledges = false;
    client.send_all(vec![get(1).into(), get(2).into()]).await;
    assert_eq!(client.puback_code(2).await, 0);
    assert_eq!(client.puback_code(1).await, 0);
    struck(&core);
    // Without another PUBLISH, it leaves half a second later.
    let core = told_to("pubacks-out-of-order").await;
    let mut client = Client::connected(&core, "test-1").await;
    client.send(get(1)).await;
    assert_eq!(client.message().await.0, "get/accepted");
    assert_eq!(client.puback_code(1).await, 0);
    struck(&core);
}

#[tokio::test]
async fn an_unreadable_delivery_comes_again_until_the_session_is_gone() {
    let core = told_to("unreadable-delivery notify-next").await;
    let (mut client, _) = Client::resumed(&core, "test-1").await;
    client.subscribe(&[&jobs_topic("notify-next")]).await;
    core.jobs().create_job("a", json!({})).unwrap();
    let first = client.packet_bytes().await;
    assert_eq!(first[0] & 0b1111_1000, 0b0011_0000, "PUBLISH, not DUP");
    assert_eq!(first.len(), 18);
    assert_eq!(first[16..], [1, 0xff], "a property that does not exist");
    drop(client);
    for closed in 1..=2 {
        core.journal()
            .wait_for_count(closed, |event| *event == Event::ConnectionClosed)
            .await;
        let (mut client, present) = Client::resumed(&core, "test-1").await;
        assert!(present);
        let again = client.packet_bytes().await;
        assert_eq!(again[0] & 0b0000_1000, 0b1000, "DUP");
        assert_eq!(again[1..], first[1..]);
    }
    let mut client = Client::connected(&core, "test-1").await; // clean start
    assert!(is_silent(&mut client).await);
    struck(&core);
}
