//! What a product publishes and hears beside its jobs: QoS 0 and 1, retained messages, a last will,
//! properties and direct messages.

use std::time::Duration;

use jobs_mqtt5::mqtt::{self, Client, Event, Message, Publish, PublishError, QoS, Subscription};
use local_iot_core::{Event as Seen, Message as Sent};

use crate::support::{World, interruption, next_message, within};

mod kept_session;

/// A client with this client ID.
fn connect_as(world: &World, client_id: &str) -> (Client, mqtt::Events<Event>) {
    let mut options = world.settings().mqtt;
    options.client_id = client_id.to_owned();
    mqtt::connect(options)
}

async fn subscribed(client: &Client, filter: &str) -> Subscription {
    let subscription = client.subscribe([filter]);
    within(subscription.granted().wait()).await.unwrap();
    subscription
}

async fn message(subscription: &mut Subscription) -> Message {
    within(subscription.next()).await.unwrap()
}

/// The publishes that the service got on a topic.
fn publishes(world: &World, on: &str) -> Vec<Seen> {
    let events = world.core.journal().events().into_iter();
    let of_topic = |event: &Seen| matches!(event, Seen::Publish { topic, .. } if topic == on);
    events.filter(of_topic).collect()
}

#[tokio::test]
async fn a_message_at_qos_0_is_sent_once_and_not_acknowledged() {
    let world = World::open().await;
    let (mqtt, _) = world.connect();
    let mut inbox = subscribed(&mqtt, "a").await;
    let at_most_once = Publish::new("a", "fast").qos(QoS::AtMostOnce);
    within(mqtt.publish(at_most_once)).await.unwrap();
    let got = message(&mut inbox).await;
    assert_eq!((got.qos, &got.payload[..]), (QoS::AtMostOnce, &b"fast"[..]));
    within(mqtt.publish(Publish::new("a", "sure")))
        .await
        .unwrap();
    assert_eq!(message(&mut inbox).await.qos, QoS::AtLeastOnce);
    let ids = publishes(&world, "a").into_iter().map(|event| match event {
        Seen::Publish { packet_id, qos, .. } => (qos, packet_id.is_some()),
        _ => unreachable!(),
    });
    assert_eq!(ids.collect::<Vec<_>>(), [(0, false), (1, true)]);
    assert_eq!(world.core.journal().violations(), [""; 0]);
}

#[tokio::test]
async fn messages_at_qos_0_need_no_room_among_those_in_flight() {
    let world = World::open_with(local_iot_core::Limits {
        receive_maximum: 1,
        ..Default::default()
    })
    .await;
    let (mqtt, _) = world.connect();
    let mut inbox = subscribed(&mqtt, "a").await;
    for _ in 0..10 {
        let publish = Publish::new("a", "x").qos(QoS::AtMostOnce);
        within(mqtt.publish(publish)).await.unwrap();
    }
    for _ in 0..10 {
        message(&mut inbox).await;
    }
    assert_eq!(world.core.journal().violations(), [""; 0]);
}

#[tokio::test]
async fn a_message_at_qos_0_that_the_policy_denies_ends_the_connection_and_not_the_device() {
    let world = World::open().await;
    let (mqtt, mut events) = world.connect();
    within(mqtt.publish(Publish::new("a", "x"))).await.unwrap();
    let denied = Publish::new("secret", "x").qos(QoS::AtMostOnce);
    within(mqtt.publish(denied)).await.unwrap(); // it was written: that is all that is known
    let code = interruption(&mut events).await.reason_code();
    assert_eq!(code, Some(mqtt::ReasonCode(0x87)));
    within(mqtt.publish(Publish::new("a", "x"))).await.unwrap();
}

#[tokio::test]
async fn a_retained_message_waits_for_those_who_subscribe_later() {
    let world = World::open().await;
    let (mqtt, _) = world.connect();
    let kept = Publish::new("state", "on").retain(true);
    within(mqtt.publish(kept)).await.unwrap();
    let (other, _) = connect_as(&world, "test-other");
    let mut inbox = subscribed(&other, "state").await;
    let got = message(&mut inbox).await;
    assert_eq!((got.retain, &got.payload[..]), (true, &b"on"[..]));
    within(mqtt.publish(Publish::new("state", "off")))
        .await
        .unwrap();
    assert!(!message(&mut inbox).await.retain);
    // An empty payload clears what is kept.
    within(mqtt.publish(Publish::new("state", "").retain(true)))
        .await
        .unwrap();
    assert_eq!(next_message(&mut inbox).await.1, "");
    let mut late = subscribed(&mqtt, "state").await;
    let nothing = tokio::time::timeout(Duration::from_millis(200), late.next()).await;
    assert!(nothing.is_err(), "{nothing:?}");
}

#[tokio::test]
async fn the_last_will_is_published_if_the_device_goes_without_a_word() {
    let world = World::open().await;
    let (watcher, _) = connect_as(&world, "test-watcher");
    let mut status = subscribed(&watcher, "status").await;
    let mut options = world.settings().mqtt;
    options.will = Some(
        Publish::new("status", "offline")
            .retain(true)
            .content_type("text/plain")
            .user_property("device", "test"),
    );
    let (mqtt, mut events) = mqtt::connect(options.clone());
    within(mqtt.publish(Publish::new("status", "online")))
        .await
        .unwrap();
    assert_eq!(next_message(&mut status).await.1, "online");
    world.core.drop_connections();
    let will = loop {
        let next = message(&mut status).await; // (the watcher was dropped as well)
        if next.payload != "online" {
            break next;
        }
    };
    assert_eq!(&will.payload[..], b"offline");
    assert_eq!(will.content_type.as_deref(), Some("text/plain"));
    assert_eq!(
        will.user_properties,
        [("device".to_owned(), "test".to_owned())]
    );
    // Who says DISCONNECT takes it back, on any connection.
    within(mqtt.publish(Publish::new("status", "online")))
        .await
        .unwrap();
    mqtt.disconnect();
    while within(events.next()).await.is_some() {}
    let closed = |event: &Seen| {
        matches!(
            event,
            Seen::Disconnect {
                by_client: true,
                ..
            }
        )
    };
    within(world.core.journal().wait_for(closed)).await;
    let wills = world
        .core
        .journal()
        .count(|event| matches!(event, Seen::Will { .. }));
    assert_eq!(wills, 1);
    let connects = world
        .core
        .journal()
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Seen::Connect {
                client_id,
                will_topic,
                ..
            } if client_id == options.client_id => will_topic,
            _ => None,
        });
    assert!(connects.count() >= 2, "each CONNECT brings it");
    assert_eq!(world.core.journal().violations(), [""; 0]);
}

#[tokio::test]
async fn a_request_is_answered_on_its_response_topic() {
    let world = World::open().await;
    let (device, _) = connect_as(&world, "test-device");
    let mut commands = subscribed(&device, "cmd/my-thing/#").await;
    let (asker, _) = connect_as(&world, "test-asker");
    let mut answers = subscribed(&asker, "answers/42").await;
    let request = Publish::new("cmd/my-thing/status", "?")
        .response_topic("answers/42")
        .correlation_data(vec![0_u8, 1, 255]);
    within(asker.publish(request)).await.unwrap();

    let request = message(&mut commands).await;
    let mut answer = Publish::new(request.response_topic.unwrap(), "fine");
    if let Some(data) = request.correlation_data {
        answer = answer.correlation_data(data);
    }
    within(device.publish(answer)).await.unwrap();

    let answer = message(&mut answers).await;
    assert_eq!(&answer.payload[..], b"fine");
    assert_eq!(
        answer.correlation_data.as_deref(),
        Some(&[0_u8, 1, 255][..])
    );
    assert_eq!(answer.response_topic, None);
}

#[tokio::test]
async fn every_property_arrives_as_it_was_set() {
    let world = World::open().await;
    let (mqtt, _) = world.connect();
    let mut inbox = subscribed(&mqtt, "a").await;
    let sent = Publish::new("a", "{}")
        .user_property("key", "value")
        .user_property("key", "another")
        .message_expiry(Duration::from_secs(3600))
        .content_type("application/json");
    within(mqtt.publish(sent)).await.unwrap();
    let got = message(&mut inbox).await;
    let pairs = [("key", "value"), ("key", "another")];
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(got.user_properties, pairs);
    let left = got.message_expiry.unwrap().as_secs();
    assert!((3590..=3600).contains(&left), "{left}");
    assert_eq!(got.content_type.as_deref(), Some("application/json"));
    within(mqtt.publish(Publish::new("a", ""))).await.unwrap();
    let plain = message(&mut inbox).await;
    assert_eq!((plain.content_type, plain.message_expiry), (None, None));
    assert!(plain.user_properties.is_empty());
}

#[tokio::test]
async fn a_property_that_can_not_be_sent_is_refused_before_it_is_sent() {
    let world = World::open().await;
    let (mqtt, _) = world.connect();
    let long = "x".repeat(65_536);
    for publish in [
        Publish::new("a", "").content_type(long.clone()),
        Publish::new("a", "").response_topic(long.clone()),
        Publish::new("a", "").correlation_data(long.clone()),
        Publish::new("a", "").user_property("key", long.clone()),
        Publish::new("a", "").user_property("k\0", "value"),
    ] {
        let error = within(mqtt.publish(publish)).await.unwrap_err();
        assert_eq!(error, PublishError::BadProperty);
    }
    for topic in ["", "a/+", "#", "a\0b", &long] {
        let error = within(mqtt.publish(Publish::new(topic, "")))
            .await
            .unwrap_err();
        assert!(matches!(error, PublishError::BadTopic { .. }), "{error}");
        assert!(error.to_string().len() < 500);
    }
    within(mqtt.publish(Publish::new("a", ""))).await.unwrap();
    assert_eq!(world.core.journal().violations(), [""; 0]);
}

#[tokio::test]
async fn a_direct_message_reaches_whoever_wants_what_nobody_subscribed_to() {
    let world = World::open().await;
    let client_id = world.settings().mqtt.client_id;
    let (mqtt, _) = connect_as(&world, &client_id);
    let mut unmatched = mqtt.subscribe_unmatched();
    let mut known = subscribed(&mqtt, "known").await;
    let direct = |topic: &str| {
        let message = Sent::new(topic, "hello");
        world.core.send_direct_message(&client_id, message).unwrap();
    };
    direct("never/subscribed");
    assert_eq!(next_message(&mut unmatched).await.0, "never/subscribed");
    direct("known");
    assert_eq!(next_message(&mut known).await.0, "known");
    direct("another");
    assert_eq!(next_message(&mut unmatched).await.0, "another"); // and not "known"
    // Each is acknowledged, whether somebody wants it or not.
    drop(unmatched);
    direct("for/nobody");
    let acked = |event: &Seen| matches!(event, Seen::DeliveryAcked { .. });
    within(world.core.journal().wait_for_count(4, acked)).await;
}
