//! A publish that the policy does not allow: PUBACK 0x87, or (some paths of AWS IoT Core) DISCONNECT
//! 0x87. Both are treated alike, and the message names what was in flight.

use jobs_mqtt5::mqtt::{self, Publish, PublishError, ReasonCode};
use local_iot_core::{Event as Seen, Fault, Times};

use crate::support::{World, interruption, quick_work, within};

fn connects(world: &World) -> usize {
    let connect = |event: &Seen| matches!(event, Seen::Connect { .. });
    world.core.journal().count(connect)
}

#[tokio::test]
async fn whoever_published_hears_of_a_disconnect_as_of_a_puback() {
    let world = World::open().await;
    let (mqtt, mut events) = world.connect();
    within(mqtt.publish(Publish::new("a", "x"))).await.unwrap();
    world
        .core
        .faults()
        .add(Fault::Disconnect(0x87), Times::Once);
    let denied = within(mqtt.publish(Publish::new("dt/lamp", "x"))).await;
    let expected = PublishError::Refused {
        topic: "dt/lamp".to_owned(),
        reason: ReasonCode::NOT_AUTHORIZED,
        disconnected: true,
    };
    assert_eq!(denied, Err(expected));
    let words = denied.unwrap_err().to_string();
    assert!(
        words.contains("dt/lamp") && words.contains("0x87"),
        "{words}"
    );
    let error = interruption(&mut events).await;
    assert_eq!(error.reason_code(), Some(ReasonCode(0x87)));
    assert_eq!(error.in_flight(), ["dt/lamp"]);
    // It has worked before, so it is tried again.
    within(mqtt.publish(Publish::new("a", "x"))).await.unwrap();
    assert_eq!(connects(&world), 2);
    assert_eq!(world.core.journal().violations(), [""; 0]);
}

#[tokio::test]
async fn only_the_oldest_in_flight_is_refused_and_the_others_are_sent_again() {
    let world = World::open().await;
    let (mqtt, _) = world.connect();
    within(mqtt.publish(Publish::new("a", "x"))).await.unwrap();
    world
        .core
        .faults()
        .add(Fault::Disconnect(0x87), Times::Once);
    let (first, second) = tokio::join!(
        within(mqtt.publish(Publish::new("b", "x"))),
        within(mqtt.publish(Publish::new("c", "x"))),
    );
    assert!(first.unwrap_err().is_denied());
    assert_eq!(second, Ok(()));
    assert_eq!(world.core.journal().violations(), [""; 0]);
}

#[tokio::test]
async fn at_the_first_connect_the_program_ends_and_names_the_topic_and_policy_json() {
    let world = World::with_jobs(&["job"]).await;
    world
        .core
        .faults()
        .add(Fault::Disconnect(0x87), Times::Always);
    let ended = world.start(&[]).end().await;
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(
        ended.err.contains("$aws/things/my-thing/jobs/"),
        "{}",
        ended.err
    );
    assert!(ended.err.contains("iot:Publish"), "{}", ended.err);
    assert!(ended.err.contains("policy.json"), "{}", ended.err);
    assert_eq!(connects(&world), 1, "no retry");
}

#[tokio::test]
async fn policy_json_is_named_only_where_it_has_the_statement() {
    let world = World::new().await; // with policy.json as its policy
    let mut settings = world.settings();
    settings.mqtt.client_id = "test-x".to_owned();
    let (mqtt, _) = mqtt::connect(settings.mqtt);
    let denied = within(mqtt.publish(Publish::new("dt/my-thing/lux", "17"))).await;
    let words = denied.unwrap_err().to_string();
    assert!(words.contains("dt/my-thing/lux"), "{words}");
    assert!(!words.contains("policy.json"), "{words}");
}

#[tokio::test]
async fn a_device_that_has_worked_goes_on_after_it() {
    let world = World::with_jobs(&["first"]).await;
    let running = world.run(world.settings(), quick_work());
    world.succeeds("first").await;
    world
        .core
        .faults()
        .add(Fault::Disconnect(0x87), Times::Once);
    world.queue(&["second"]);
    world.succeeds("second").await;
    running.err.wait_for("0x87 (not authorized").await;
    running.err.wait_for("$aws/things/my-thing/jobs/").await;
    running.stop().await.unwrap();
    assert_eq!(world.core.journal().violations(), [""; 0]);
}
