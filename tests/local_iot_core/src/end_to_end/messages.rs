//! Messages between clients: QoS, RETAIN, wills, properties, and those for one client alone.

use mqtt_protocol_core::mqtt::packet::{
    ContentType, CorrelationData, MessageExpiryInterval, Property, Qos, ResponseTopic,
    RetainHandling, SubEntry, SubOpts, UserProperty, WillDelayInterval,
    v5_0::{Connect, Disconnect, Publish, Subscribe},
};
use mqtt_protocol_core::mqtt::result_code::DisconnectReasonCode;

use super::{client::Client, faults::is_silent};
use crate::{Event, LocalIotCore, Message, Options, Properties};

const EVERYTHING: &str = r#"{"Statement": [
    {"Effect": "Allow", "Action": "iot:*", "Resource": "*"},
    {"Effect": "Deny", "Action": "iot:RetainPublish", "Resource": "*:topic/passing"},
    {"Effect": "Deny", "Action": "iot:Receive", "Resource": "*:topic/secret"}]}"#;

/// A service that allows everything, but for a topic or two.
pub async fn open() -> LocalIotCore {
    let options = Options {
        policy: EVERYTHING.to_owned(),
        ..Options::default()
    };
    LocalIotCore::start(options).await.unwrap()
}

/// A publish at QoS 0.
fn publish(topic: &str, payload: &str, retain: bool) -> Publish {
    let publish = Publish::builder().topic_name(topic).unwrap();
    let publish = publish.qos(Qos::AtMostOnce).payload(payload);
    publish.retain(retain).build().unwrap()
}

fn subscribe(filter: &str, options: SubOpts) -> Subscribe {
    let entry = SubEntry::new(filter, options).unwrap();
    let subscribe = Subscribe::builder().packet_id(1).entries(vec![entry]);
    subscribe.build().unwrap()
}

async fn subscribed(client: &mut Client, filter: &str, options: SubOpts) {
    client.send(subscribe(filter, options)).await;
    client.next().await;
}

fn retained(core: &LocalIotCore, topic: &str, payload: &str) {
    let mut message = Message::new(topic, payload);
    message.retain = true;
    core.publish_message(message).unwrap();
}

async fn text(client: &mut Client) -> (String, bool) {
    let delivery = client.delivery().await;
    let text = String::from_utf8_lossy(delivery.payload().as_slice()).into_owned();
    (text, delivery.retain())
}

#[tokio::test]
async fn qos_0_and_1_both_ways() {
    let core = open().await;
    let mut client = Client::connected(&core, "test-1").await;
    let at_most_once = SubOpts::new().set_qos(Qos::AtMostOnce);
    subscribed(&mut client, "zero", at_most_once).await;
    subscribed(&mut client, "one", SubOpts::new().set_qos(Qos::AtLeastOnce)).await;
    for (topic, published, expected) in [
        ("zero", Qos::AtMostOnce, Qos::AtMostOnce),
        ("one", Qos::AtMostOnce, Qos::AtMostOnce),
        ("zero", Qos::AtLeastOnce, Qos::AtMostOnce),
        ("one", Qos::AtLeastOnce, Qos::AtLeastOnce),
    ] {
        match published {
            Qos::AtMostOnce => client.send(publish(topic, "text", false)).await,
            _ => assert_eq!(client.publish(7, topic, "text".into()).await, 0),
        }
        assert_eq!(client.delivery().await.qos(), expected, "{topic}");
    }
    assert_eq!(core.journal().violations(), [""; 0]);
}

#[tokio::test]
async fn a_retained_message_is_kept_for_those_who_come_later() {
    let core = open().await;
    let mut early = Client::connected(&core, "test-1").await;
    early.subscribe(&["a/+"]).await;
    early.send(publish("a/1", "first", true)).await;
    early.send(publish("a/1", "second", true)).await;
    // To those who have subscribed before, it is a message like any other.
    assert_eq!(text(&mut early).await, ("first".to_owned(), false));
    assert_eq!(text(&mut early).await, ("second".to_owned(), false));
    let mut late = Client::connected(&core, "test-2").await;
    late.subscribe(&["a/+"]).await;
    assert_eq!(text(&mut late).await, ("second".to_owned(), true));
    // Each SUBSCRIBE asks for it again, if it does not say otherwise.
    late.subscribe(&["a/+"]).await;
    assert_eq!(text(&mut late).await, ("second".to_owned(), true));
    for handling in [
        RetainHandling::SendRetainedIfNotExists,
        RetainHandling::DoNotSendRetained,
    ] {
        subscribed(&mut late, "a/+", SubOpts::new().set_rh(handling)).await;
    }
    subscribed(
        &mut late,
        "a/#",
        SubOpts::new().set_rh(RetainHandling::DoNotSendRetained),
    )
    .await;
    // An empty one takes it away.
    early.send(publish("a/1", "", true)).await;
    assert_eq!(text(&mut early).await, (String::new(), false));
    assert_eq!(text(&mut late).await, (String::new(), false));
    late.subscribe(&["a/1"]).await;
    assert!(is_silent(&mut late).await);
    assert_eq!(core.journal().violations(), [""; 0]);
}

#[tokio::test]
async fn a_subscriber_can_ask_for_the_flag_as_it_was_published() {
    let core = open().await;
    let mut client = Client::connected(&core, "test-1").await;
    subscribed(&mut client, "a", SubOpts::new().set_rap(true)).await;
    retained(&core, "a", "kept");
    core.publish("a", "passing").unwrap();
    assert_eq!(text(&mut client).await, ("kept".to_owned(), true));
    assert_eq!(text(&mut client).await, ("passing".to_owned(), false));
}

#[tokio::test]
async fn the_policy_says_who_may_retain_and_receive() {
    let core = open().await;
    retained(&core, "secret", "for others");
    let mut client = Client::connected(&core, "test-1").await;
    client.subscribe(&["secret"]).await;
    let kept = Publish::builder().topic_name("passing").unwrap();
    let kept = kept.qos(Qos::AtLeastOnce).packet_id(1u16).retain(true);
    client.send(kept.payload("x").build().unwrap()).await;
    assert_eq!(client.puback_code(1).await, 0x87);
    assert_eq!(client.publish(2, "passing", "x".into()).await, 0);
    // At QoS 0, there is only one way to say so.
    client.send(publish("passing", "x", true)).await;
    assert_eq!(client.disconnect_code().await, 0x87);
}

/// Connects with a will.
async fn with_will(core: &LocalIotCore, topic: &str) -> (Client, u8) {
    let mut client = Client::new(core).await;
    let delay: Property = WillDelayInterval::new(0).unwrap().into();
    let content: Property = ContentType::new("text/plain").unwrap().into();
    let connect = Connect::builder().client_id("test-1").unwrap();
    let connect = connect
        .will_message(topic, "gone", Qos::AtLeastOnce, true)
        .unwrap()
        .will_props(vec![delay, content]);
    client.send(connect.build().unwrap()).await;
    let code = match client.next().await {
        mqtt_protocol_core::mqtt::packet::Packet::V5_0Connack(connack) => {
            connack.reason_code() as u8
        }
        other => panic!("{other:?}"),
    };
    (client, code)
}

#[tokio::test]
async fn a_will_is_published_if_its_client_does_not_take_leave() {
    let core = open().await;
    let mut watcher = Client::connected(&core, "test-2").await;
    watcher.subscribe(&["status"]).await;
    drop(with_will(&core, "status").await);
    let will = watcher.delivery().await;
    assert_eq!(will.payload().as_slice(), b"gone");
    assert!(matches!(&will.props()[..], [Property::ContentType(_)]));
    let mut late = Client::connected(&core, "test-3").await;
    late.subscribe(&["status"]).await;
    assert_eq!(text(&mut late).await, ("gone".to_owned(), true));

    let (mut client, _) = with_will(&core, "status").await;
    let disconnect = |code| Disconnect::builder().reason_code(code).build().unwrap();
    let normal = disconnect(DisconnectReasonCode::NormalDisconnection);
    client.send(normal).await;
    assert!(client.is_closed().await);
    assert!(is_silent(&mut watcher).await);
    let (mut client, _) = with_will(&core, "status").await;
    let with_its_will = disconnect(DisconnectReasonCode::DisconnectWithWillMessage);
    client.send(with_its_will).await;
    watcher.delivery().await;
    let is_will = |event: &Event| matches!(event, Event::Will { topic, .. } if topic == "status");
    assert_eq!(core.journal().count(is_will), 2);

    let (mut refused, code) = with_will(&core, "passing").await; // it may not be retained
    assert_eq!(code, 0x87);
    assert!(refused.is_closed().await);
    assert_eq!(core.journal().count(is_will), 2);
}

#[tokio::test]
async fn properties_reach_the_subscriber() {
    let core = open().await;
    let mut client = Client::connected(&core, "test-1").await;
    client.subscribe(&["a"]).await;
    let properties: Vec<Property> = vec![
        ResponseTopic::new("answers").unwrap().into(),
        CorrelationData::new(vec![1, 2, 3]).unwrap().into(),
        UserProperty::new("key", "value").unwrap().into(),
        UserProperty::new("key", "another").unwrap().into(),
        MessageExpiryInterval::new(60).unwrap().into(),
        ContentType::new("text/plain").unwrap().into(),
    ];
    let sent = Publish::builder().topic_name("a").unwrap();
    let sent = sent.qos(Qos::AtMostOnce).payload("x");
    client
        .send(sent.props(properties.clone()).build().unwrap())
        .await;
    assert_eq!(client.delivery().await.props(), &properties);
    let expected = Properties {
        response_topic: Some("answers".into()),
        correlation_data: Some(vec![1, 2, 3]),
        user_properties: [("key", "value"), ("key", "another")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec(),
        message_expiry: Some(60),
        content_type: Some("text/plain".into()),
        is_text: None,
    };
    let published = |event: &Event| matches!(event, Event::Publish { properties, .. } if *properties == expected);
    assert_eq!(core.journal().count(published), 1);
}

#[tokio::test]
async fn a_message_that_has_expired_is_not_delivered() {
    let core = open().await;
    let (mut client, _) = Client::resumed(&core, "test-1").await;
    client.subscribe(&["a"]).await;
    drop(client);
    let closed = |event: &Event| *event == Event::ConnectionClosed;
    core.journal().wait_for(closed).await;
    for (text, seconds) in [("expired", 0), ("fresh", 60)] {
        let mut message = Message::new("a", text);
        message.properties.message_expiry = Some(seconds);
        core.publish_message(message).unwrap();
    }
    let (mut client, present) = Client::resumed(&core, "test-1").await;
    assert!(present);
    assert_eq!(text(&mut client).await.0, "fresh");
    let dropped = Event::Dropped("a message on a: it has expired".to_owned());
    assert_eq!(core.journal().count(|event| *event == dropped), 1);
}

#[tokio::test]
async fn a_direct_message_needs_no_subscription() {
    let core = open().await;
    let message = Message::new("never/subscribed", "hello");
    assert!(core.send_direct_message("test-1", message.clone()).is_err());
    let mut client = Client::connected(&core, "test-1").await;
    core.send_direct_message("test-1", message).unwrap();
    let delivery = client.delivery().await;
    assert_eq!(delivery.topic_name(), "never/subscribed");
    assert_eq!(delivery.qos(), Qos::AtLeastOnce);
    let reserved = Message::new("$aws/things", "hello");
    assert!(core.send_direct_message("test-1", reserved).is_err());
    core.send_direct_message("test-1", Message::new("secret", "hello"))
        .unwrap();
    assert!(is_silent(&mut client).await); // the policy does not allow it to receive that
}
