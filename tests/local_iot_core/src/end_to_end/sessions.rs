//! Sessions, and who may have one.

use serde_json::json;

use super::client::{Client, get, jobs_topic};
use crate::{Event, LocalIotCore, Options};

#[tokio::test]
async fn a_session_outlives_its_connection() {
    let core = LocalIotCore::start(Options::default()).await.unwrap();
    let (mut client, present) = Client::resumed(&core, "test-1").await;
    assert!(!present);
    client.acknowledges = false;
    client.subscribe(&[&jobs_topic("notify-next")]).await;
    core.jobs().create_job("a", json!({})).unwrap();
    let first = client.delivery().await;
    assert!(!first.dup());

    core.drop_connections();
    assert!(client.is_closed().await);
    core.journal()
        .wait_for(|e| *e == Event::ConnectionClosed)
        .await;
    core.jobs().cancel_job("a").unwrap();

    let (mut client, present) = Client::resumed(&core, "test-1").await;
    assert!(present);
    let again = client.delivery().await;
    assert!(again.dup());
    assert_eq!(again.packet_id(), first.packet_id());
    let second = client.delivery().await;
    assert!(!second.dup());
    assert_ne!(second.packet_id(), first.packet_id());

    core.forget_sessions();
    let (_, present) = Client::resumed(&core, "test-1").await;
    assert!(!present);
    assert_eq!(core.journal().violations(), [""; 0]);
}

#[tokio::test]
async fn a_clean_start_discards_the_session() {
    let core = LocalIotCore::start(Options::default()).await.unwrap();
    drop(Client::resumed(&core, "test-1").await);
    core.journal()
        .wait_for(|e| *e == Event::ConnectionClosed)
        .await;
    let mut client = Client::new(&core).await;
    assert_eq!(client.connect("test-1", true, 3600).await, (0, false));
}

#[tokio::test]
async fn one_client_id_has_one_connection() {
    let core = LocalIotCore::start(Options::default()).await.unwrap();
    let mut first = Client::connected(&core, "test-1").await;
    let mut second = Client::connected(&core, "test-1").await;
    assert_eq!(first.disconnect_code().await, 0x8e);
    assert!(first.is_closed().await);
    second.ask(1, "get", json!({})).await;
    core.disconnect(0x8b);
    assert_eq!(second.disconnect_code().await, 0x8b);
}

#[tokio::test]
async fn a_repeated_publish_of_a_session_needs_dup() {
    let core = LocalIotCore::start(Options::default()).await.unwrap();
    core.faults()
        .add("no-puback".parse().unwrap(), crate::Times::Count(2));
    let (mut client, _) = Client::resumed(&core, "test-1").await;
    client.send(get(1)).await;
    client.message().await;
    client.send(get(2)).await;
    client.message().await;
    core.journal()
        .wait_for_count(2, |e| matches!(e, Event::DeliveryAcked { .. }))
        .await;
    core.drop_connections();
    assert!(client.is_closed().await);

    let (mut client, _) = Client::resumed(&core, "test-1").await;
    client.send(get(1).set_dup(true)).await;
    assert_eq!(client.puback_code(1).await, 0);
    client.message().await;
    assert_eq!(core.journal().violations(), [""; 0]);
    client.send(get(2)).await;
    assert_eq!(client.puback_code(2).await, 0);
    assert_eq!(core.journal().violations().len(), 1);
}

#[tokio::test]
async fn what_the_policy_denies() {
    let core = LocalIotCore::start(Options::default()).await.unwrap();
    let mut stranger = Client::new(&core).await;
    assert_eq!(stranger.connect("other-id", true, 0).await, (0x87, false));
    assert!(stranger.is_closed().await);
    let mut nameless = Client::new(&core).await;
    assert_eq!(nameless.connect("", true, 0).await, (0x87, false)); // it gets a name, and not that one

    let mut client = Client::connected(&core, "test-1").await;
    let filters = ["notify", "get/+"].map(jobs_topic);
    assert_eq!(
        client.subscribe(&[&filters[0], &filters[1]]).await,
        [0x87, 1]
    );
    let others = "$aws/things/other/jobs/get";
    assert_eq!(client.publish(1, others, json!({})).await, 0x87);
    let resource = format!("arn:aws:iot:us-east-1:123456789012:topic/{others}");
    let refused = |e: &Event| matches!(e, Event::Refused { resource: r, .. } if *r == resource);
    assert_eq!(core.journal().count(refused), 1);

    // What may not be received is not delivered, and nobody is told.
    let policy = Options::default()
        .policy
        .replace("jobs/get/*", "jobs/nothing");
    core.set_policy(policy).unwrap();
    assert_eq!(client.publish(2, &jobs_topic("get"), json!({})).await, 0);
    let (topic, _) = client.ask(3, "start-next", json!({})).await;
    assert_eq!(topic, "start-next/accepted");

    core.faults()
        .add("connect-denied-closes".parse().unwrap(), crate::Times::Once);
    let mut client = Client::new(&core).await;
    client.send(super::client::connect("other-id")).await;
    assert!(client.is_closed().await);
}
