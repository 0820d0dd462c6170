//! What the service does not put up with.

use mqtt_protocol_core::mqtt::packet::{
    Packet, Qos, SubEntry, SubOpts, SubscriptionIdentifier, TopicAlias,
    v5_0::{Pingreq, Publish, Subscribe, Unsubscribe},
};
use serde_json::json;

use super::client::{Client, connect, get, jobs_topic, publish, subscribe};
use super::messages::open;
use crate::{Event, Limits, LocalIotCore, Options};

/// Starts the service, lets a client do something, and expects a DISCONNECT and a violation.
async fn breaks_a_rule(limits: Limits, packets: Vec<Packet>, code: u8) {
    let core = LocalIotCore::start(Options {
        limits,
        ..Options::default()
    })
    .await
    .unwrap();
    let mut client = Client::connected(&core, "test-1").await;
    client.send_all(packets).await;
    let disconnect = loop {
        match client.next().await {
            Packet::V5_0Disconnect(disconnect) => break disconnect,
            Packet::V5_0Puback(_) | Packet::V5_0Publish(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(disconnect.reason_code().unwrap() as u8, code);
    assert!(client.is_closed().await);
    assert_eq!(
        core.journal().violations().len(),
        1,
        "{:?}",
        core.journal().violations()
    );
}

#[tokio::test]
async fn nine_filters_in_one_subscribe() {
    breaks_a_rule(Limits::default(), vec![subscribe(&["a"; 9]).into()], 0x97).await;
}

#[tokio::test]
async fn a_subscription_identifier() {
    let entry = SubEntry::new("a", SubOpts::new()).unwrap();
    let identifier = SubscriptionIdentifier::new(1).unwrap().into();
    let packet = Subscribe::builder()
        .packet_id(1)
        .entries(vec![entry])
        .props(vec![identifier]);
    breaks_a_rule(
        Limits::default(),
        vec![packet.build().unwrap().into()],
        0xa1,
    )
    .await;
}

#[tokio::test]
async fn qos_2() {
    let packet = Publish::builder()
        .topic_name(jobs_topic("get"))
        .unwrap()
        .qos(Qos::ExactlyOnce);
    let packet = packet.packet_id(1u16).payload("{}").build().unwrap();
    breaks_a_rule(Limits::default(), vec![packet.into()], 0x9b).await;
}

#[tokio::test]
async fn a_packet_id_in_flight() {
    breaks_a_rule(Limits::default(), vec![get(1).into(), get(1).into()], 0x82).await;
}

#[tokio::test]
async fn the_same_publish_on_the_same_connection() {
    let again = get(1).set_dup(true);
    breaks_a_rule(Limits::default(), vec![get(1).into(), again.into()], 0x82).await;
}

#[tokio::test]
async fn more_than_the_receive_maximum() {
    let limits = Limits {
        receive_maximum: 2,
        ..Limits::default()
    };
    breaks_a_rule(
        limits,
        vec![get(1).into(), get(2).into(), get(3).into()],
        0x93,
    )
    .await;
}

#[tokio::test]
async fn a_packet_that_is_too_large() {
    let limits = Limits {
        maximum_packet_size: 1000,
        ..Limits::default()
    };
    let large = publish(1, &jobs_topic("get"), &json!({"padding": "x".repeat(1000)}));
    breaks_a_rule(limits, vec![large.into()], 0x95).await;
}

#[tokio::test]
async fn a_second_connect() {
    breaks_a_rule(Limits::default(), vec![connect("test-1").into()], 0x82).await;
}

#[tokio::test]
async fn a_publish_before_connect() {
    let core = LocalIotCore::start(Options::default()).await.unwrap();
    let mut client = Client::new(&core).await;
    client.send(get(1)).await;
    assert!(client.is_closed().await);
    assert_eq!(core.journal().violations().len(), 1);
}

#[tokio::test]
async fn a_publish_before_connack() {
    let core = LocalIotCore::start(Options::default()).await.unwrap();
    let mut client = Client::new(&core).await;
    client
        .send_all(vec![connect("test-1").into(), get(1).into()])
        .await;
    assert!(matches!(client.next().await, Packet::V5_0Connack(_)));
    assert_eq!(client.disconnect_code().await, 0x82);
    assert_eq!(core.journal().violations().len(), 1);
}

#[tokio::test]
async fn a_payload_that_is_too_large() {
    let large = publish(1, &jobs_topic("get"), &json!("x".repeat(128 * 1024)));
    breaks_a_rule(Limits::default(), vec![large.into()], 0x95).await;
}

#[tokio::test]
async fn too_many_publishes_in_a_second() {
    let limits = Limits {
        publishes_per_second: 2,
        ..Limits::default()
    };
    let core = LocalIotCore::start(Options {
        limits,
        ..Options::default()
    })
    .await
    .unwrap();
    let mut client = Client::connected(&core, "test-1").await;
    client.ask(1, "get", json!({})).await;
    client.ask(2, "get", json!({})).await;
    assert_eq!(client.publish(3, &jobs_topic("get"), json!({})).await, 0x97);
    assert_eq!(core.journal().violations().len(), 1);
}

/// (When, is in `conformance`, whose clock is paused.)
#[tokio::test]
async fn silence() {
    let limits = Limits {
        server_keep_alive: Some(1),
        ..Limits::default()
    };
    let core = LocalIotCore::start(Options {
        limits,
        ..Options::default()
    })
    .await
    .unwrap();
    let mut client = Client::connected(&core, "test-1").await;
    client.send(Pingreq::new()).await;
    assert!(matches!(client.next().await, Packet::V5_0Pingresp(_)));
    assert_eq!(client.disconnect_code().await, 0x8d);
    assert_eq!(core.journal().count(|e| *e == Event::Pingreq), 1);
}

/// A packet that no well-kept library writes: DISCONNECT 0x81.
#[tokio::test]
async fn a_publish_without_the_length_of_its_properties() {
    let at_qos_1 = b"\x32\x09\0\x05dt/1x\0\x07"; // topic and packet id, and nothing behind them
    let at_qos_0 = b"\x30\x07\0\x05dt/1x";
    for bytes in [&at_qos_1[..], at_qos_0] {
        let core = open().await;
        let mut client = Client::connected(&core, "test-1").await;
        client.send_bytes(bytes).await;
        assert_eq!(client.disconnect_code().await, 0x81);
        assert!(client.is_closed().await);
        assert_eq!(core.journal().violations().len(), 1);
    }
}

#[tokio::test]
async fn a_publish_that_comes_byte_by_byte_is_one_like_any_other() {
    let core = open().await;
    let mut client = Client::connected(&core, "test-1").await;
    for byte in b"\x32\x0a\0\x05dt/1x\0\x07\0" {
        client.send_bytes(&[*byte]).await;
    }
    assert_eq!(client.puback_code(7).await, 0);
    assert_eq!(core.journal().violations(), [""; 0]);
}

#[tokio::test]
async fn topics_and_filters_of_more_than_seven_slashes() {
    let core = open().await;
    let mut client = Client::connected(&core, "test-1").await;
    let (seven, eight) = ("1/2/3/4/5/6/7/8", "1/2/3/4/5/6/7/8/9");
    assert_eq!(client.subscribe(&[seven, eight]).await, [1, 0x8f]);
    assert_eq!(client.publish(1, seven, json!({})).await, 0);
    client.delivery().await;
    client.send(publish(2, eight, &json!({}))).await;
    assert_eq!(client.disconnect_code().await, 0x90);
    assert_eq!(core.journal().violations().len(), 2);
}

#[tokio::test]
async fn reserved_topics_that_are_none_of_aws() {
    for topic in ["$foo/x", "$aws/other", "$aws/events/presence/connected/a"] {
        let core = open().await;
        let mut client = Client::connected(&core, "test-1").await;
        client.send(publish(1, topic, &json!({}))).await;
        assert_eq!(client.disconnect_code().await, 0x90, "{topic}");
        assert_eq!(core.journal().violations().len(), 1);
    }
    for filter in ["$SYS/#", "$share/group/$SYS/#", "$aws/other/+"] {
        let core = open().await;
        let mut client = Client::connected(&core, "test-1").await;
        client.send(subscribe(&["a", filter])).await;
        assert_eq!(client.disconnect_code().await, 0x8f, "{filter}");
        assert_eq!(core.journal().violations().len(), 1);
    }
}

#[tokio::test]
async fn a_topic_alias_of_0() {
    let core = open().await;
    let mut client = Client::connected(&core, "test-1").await;
    client
        .send_bytes(b"\x32\x0d\0\x05dt/1x\0\x07\x03\x23\0\0")
        .await;
    assert_eq!(client.disconnect_code().await, 0x82);
    assert!(client.is_closed().await);
    assert_eq!(core.journal().violations().len(), 1);
}

#[tokio::test]
async fn what_is_allowed() {
    let core = LocalIotCore::start(Options::default()).await.unwrap();
    let mut client = Client::connected(&core, "test-1").await;
    let get = jobs_topic("get/+");
    assert_eq!(client.subscribe(&[&get]).await, [1]);
    let unsubscribe = Unsubscribe::builder()
        .packet_id(1u16)
        .entries(vec![get.as_str(), "x"]);
    client.send(unsubscribe.unwrap().build().unwrap()).await;
    assert!(matches!(client.next().await, Packet::V5_0Unsuback(_)));
    // A topic alias, first set and then used.
    for (id, topic) in [(1u16, jobs_topic("get")), (2, String::new())] {
        let alias = TopicAlias::new(8).unwrap().into();
        let publish = Publish::builder()
            .topic_name(topic)
            .unwrap()
            .qos(Qos::AtLeastOnce);
        let publish = publish
            .packet_id(id)
            .payload("")
            .props(vec![alias])
            .build()
            .unwrap();
        client.send(publish).await;
        assert_eq!(client.puback_code(id).await, 0);
        assert_eq!(client.message().await.0, "get/accepted");
    }
    assert_eq!(core.journal().violations(), [""; 0]);
}
