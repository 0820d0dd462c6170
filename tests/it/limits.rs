//! What a server's CONNACK limits is kept to (MQTT5, section 3.2.2.3): nothing is sent that it forbids.

use std::time::Duration;

use jobs_mqtt5::ErrorClass;
use jobs_mqtt5::mqtt::{self, ConnectionErrorKind, Event, Publish, PublishError, QoS, ReasonCode};
use local_iot_core::{Event as Seen, Tamper};

use crate::support::{World, interruption, refusal, within};

/// Puts another CONNACK in the place of each: these are its bytes after the fixed header.
struct Connack(Vec<u8>);

impl Tamper for Connack {
    fn tamper(&self, _connection: u64, mut packets: Vec<u8>) -> Vec<(Duration, Vec<u8>)> {
        if packets[0] == 0x20 {
            assert!(packets[1] < 0x80, "a length of one byte");
            let rest = packets.split_off(2 + usize::from(packets[1]));
            let length = u8::try_from(self.0.len()).unwrap();
            packets = [&[0x20, length], &self.0[..], &rest].concat();
        }
        vec![(Duration::ZERO, packets)]
    }
}

/// A world whose service says so in its CONNACK.
async fn world(connack: &[u8]) -> World {
    let world = World::open().await;
    let connack = Connack(connack.to_vec());
    world.core.set_tamper(Some(std::sync::Arc::new(connack)));
    world
}

fn sent(world: &World) -> usize {
    let is_sent = |event: &Seen| matches!(event, Seen::Publish { .. } | Seen::Subscribe { .. });
    world.core.journal().count(is_sent)
}

#[tokio::test]
async fn maximum_qos_0_lets_publishes_at_qos_0_pass_and_no_other() {
    let world = world(&[0, 0, 2, 0x24, 0]).await;
    let (mqtt, _events) = world.connect();
    let refused = within(mqtt.publish(Publish::new("a", "x"))).await;
    let what = "at QoS 1";
    assert_eq!(refused, Err(PublishError::NotAvailable { what }));
    assert_eq!(sent(&world), 0);
    within(mqtt.publish(Publish::new("a", "x").qos(QoS::AtMostOnce)))
        .await
        .unwrap();
    let publish = |event: &Seen| matches!(event, Seen::Publish { .. });
    within(world.core.journal().wait_for(publish)).await;
}

#[tokio::test]
async fn retain_available_0_lets_no_message_be_retained() {
    let world = world(&[0, 0, 2, 0x25, 0]).await;
    let (mqtt, _events) = world.connect();
    let refused = within(mqtt.publish(Publish::new("a", "x").retain(true))).await;
    let what = "to be retained";
    assert_eq!(refused, Err(PublishError::NotAvailable { what }));
    assert_eq!(sent(&world), 0);
    within(mqtt.publish(Publish::new("a", "x"))).await.unwrap();
}

#[tokio::test]
async fn subscriptions_that_the_server_does_not_have_are_refused_without_asking() {
    for (connack, filter, reason) in [
        (
            [0, 0, 2, 0x28, 0],
            "a/+",
            ReasonCode::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED,
        ),
        (
            [0, 0, 2, 0x2a, 0],
            "$share/group/a",
            ReasonCode::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED,
        ),
    ] {
        let world = world(&connack).await;
        let (mqtt, _events) = world.connect();
        let refused = mqtt.subscribe([filter]);
        assert_eq!(refusal(&refused).await.reason, reason);
        assert_eq!(sent(&world), 0);
        let plain = mqtt.subscribe(["a"]);
        within(plain.granted().wait()).await.unwrap();
    }
}

#[tokio::test]
async fn a_client_id_that_the_server_gives_is_kept_with_the_session() {
    // (local_iot_core takes the session for that of the client ID in CONNECT: only that is looked at.)
    let world = world(b"\0\0\x0f\x12\0\x0cgiven-by-you").await;
    let (mqtt, _events) = world.connect();
    within(mqtt.publish(Publish::new("a", "x"))).await.unwrap();
    world.core.drop_connections();
    let connect = |event: &Seen| matches!(event, Seen::Connect { .. });
    within(world.core.journal().wait_for_count(2, connect)).await;
    let ids = world.core.journal().events().into_iter();
    let ids: Vec<_> = ids
        .filter_map(|event| match event {
            Seen::Connect { client_id, .. } => Some(client_id),
            _ => None,
        })
        .collect();
    assert_eq!(ids[1], "given-by-you");
}

#[tokio::test]
async fn a_server_that_speaks_mqtt_3_1_1_only_is_named_and_ends_the_first_connect() {
    for connack in [[0, 1], [0, 0]] {
        let world = world(&connack).await;
        let (_mqtt, mut events) = mqtt::connect(world.settings().mqtt);
        let Some(Event::Ended(Err(error))) = within(events.next()).await else {
            panic!("it goes on");
        };
        assert_eq!(error.kind(), ConnectionErrorKind::OldProtocol);
        assert_eq!(error.class(), ErrorClass::Misconfigured);
        let words = format!("localhost:{} speaks MQTT 3.1.1 only", world.core.port());
        assert_eq!(error.to_string(), words);
    }
}

#[tokio::test]
async fn a_server_that_takes_no_packet_at_all_is_given_up() {
    let world = world(&[0, 0, 5, 0x27, 0, 0, 0, 1]).await;
    let options = world.settings().mqtt.keep_alive(Duration::from_secs(1));
    let (mqtt, mut events) = mqtt::connect(options);
    interruption(&mut events).await; // by whichever side is first
    mqtt.disconnect();
    within(mqtt.ended()).await;
}
