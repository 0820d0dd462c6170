//! MQTT5 as other people test it: what Eclipse Paho's conformance tests for brokers
//! (`client_test5.py`) ask of one, as far as AWS IoT Core offers it. In no time at all: the clock is
//! paused, and there is no TLS in between. For QoS 2, which AWS does not have, QoS 1 stands in.
//!
//! | theirs | here, or why it is not |
//! |---|---|
//! | `basic` | `basics`; a second CONNECT: `strict::a_second_connect`; another protocol: `strict::other_versions_…` |
//! | `retained_message` | `a_retained_message_keeps_its_properties` |
//! | `will_message`, `keepalive` | `whoever_is_silent_for_too_long_leaves_a_will` |
//! | `zero_length_clientid`, `assigned_clientid` | `strict::a_client_without_an_id_gets_one` |
//! | `offline_message_queueing` | `what_comes_while_a_client_is_away_waits_for_it` |
//! | `overlapping_subscriptions` | `overlapping_subscriptions_bring_one_message_at_the_highest_qos` |
//! | `redelivery_on_reconnect` | `what_was_not_acknowledged_comes_again` |
//! | `subscribe_failure` | `sessions::what_the_policy_denies` |
//! | `dollar_topics` | `strict::reserved_topics_that_are_none_of_aws`: nobody may publish to them; `topic::tests::coverage` |
//! | `unsubscribe` | `what_is_unsubscribed_from_comes_no_more` |
//! | `session_expiry` | `a_session_lives_as_long_as_was_asked_for_last` |
//! | `user_properties`, `payload_format`, `request_response` | `messages::properties_reach_the_subscriber`, `the_payload_format_is_passed_on` |
//! | `publication_expiry` | `a_message_says_how_long_it_still_lives`; `messages::a_message_that_has_expired_…` |
//! | `subscribe_options` | `no_local_keeps_from_a_client_what_it_published`; the rest is in `messages` |
//! | `subscribe_identifiers` | not: AWS has none. `strict::a_subscription_identifier` |
//! | `client_topic_alias` | `an_alias_lives_as_long_as_its_connection`; one of 0: `strict::a_topic_alias_of_0` |
//! | `server_topic_alias` | not: a server need not use any, and this one does not |
//! | `maximum_packet_size` | `what_is_too_large_for_a_client_is_not_sent_to_it`; `strict::a_packet_that_is_too_large` |
//! | `server_keep_alive` | `the_servers_keep_alive_counts` |
//! | `flow_control1` | `no_more_is_sent_than_the_client_has_room_for` |
//! | `flow_control2` | `strict::more_than_the_receive_maximum` |
//! | `will_delay` | not: a will is published at once here. No device that runs jobs waits for one |
//! | `shared_subscriptions` | not: every member of a group gets every message here. A device has no group |

use std::time::Duration;

use mqtt_protocol_core::mqtt::packet::{
    MaximumPacketSize, MessageExpiryInterval, Packet, PayloadFormat, PayloadFormatIndicator,
    Property, Qos, ReceiveMaximum, SessionExpiryInterval, SubEntry, SubOpts, TopicAlias,
    UserProperty,
    v5_0::{Connack, Connect, Disconnect, Publish, Subscribe, Unsubscribe},
};
use mqtt_protocol_core::mqtt::result_code::DisconnectReasonCode;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::client::Client;
use super::faults::is_silent;
use crate::{Event, Limits, Options, Service};

const EVERYTHING: &str =
    r#"{"Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}"#;

fn open() -> Service {
    with_limits(Limits::default())
}

fn with_limits(limits: Limits) -> Service {
    let options = Options {
        policy: EVERYTHING.to_owned(),
        limits,
        ..Options::default()
    };
    Service::new(options).unwrap()
}

/// Connects with a new session that ends with the connection.
async fn connected(service: &Service, client_id: &str) -> Client {
    connected_with(service, client_id, Vec::new()).await.0
}

async fn connected_with(
    service: &Service,
    client_id: &str,
    properties: Vec<Property>,
) -> (Client, Connack) {
    let connect = Connect::builder().client_id(client_id).unwrap();
    let connect = connect.clean_start(true).props(properties);
    let mut client = Client::beside(service);
    client.send(connect.build().unwrap()).await;
    match client.next().await {
        Packet::V5_0Connack(connack) => (client, connack),
        other => panic!("{other:?}"),
    }
}

/// Connects with a session that lasts for so many seconds. Returns whether there was one already.
async fn resumed(service: &Service, client_id: &str, seconds: u32) -> (Client, bool) {
    let mut client = Client::beside(service);
    let (code, session_present) = client.connect(client_id, false, seconds).await;
    assert_eq!(code, 0);
    (client, session_present)
}

/// Takes leave; with a number, the session is to last for so many seconds.
async fn leave(service: &Service, mut client: Client, seconds: Option<u32>) {
    let expiry = seconds.map(|seconds| SessionExpiryInterval::new(seconds).unwrap().into());
    let disconnect = Disconnect::builder()
        .reason_code(DisconnectReasonCode::NormalDisconnection)
        .props(Vec::from_iter(expiry));
    let closed = |event: &Event| *event == Event::ConnectionClosed;
    let before = service.journal().count(closed);
    client.send(disconnect.build().unwrap()).await;
    drop(client);
    service.journal().wait_for_count(before + 1, closed).await;
}

fn message(topic: &str, qos: Qos, properties: Vec<Property>) -> Publish {
    retained_or_not(topic, qos, properties, false)
}

fn retained_or_not(topic: &str, qos: Qos, properties: Vec<Property>, retain: bool) -> Publish {
    let publish = Publish::builder().topic_name(topic).unwrap().qos(qos);
    let publish = match qos {
        Qos::AtMostOnce => publish,
        _ => publish.packet_id(9_u16),
    };
    let publish = publish.payload("text").props(properties);
    publish.retain(retain).build().unwrap()
}

async fn subscribe_with(client: &mut Client, filters: &[(&str, SubOpts)]) {
    let entries = filters
        .iter()
        .map(|(filter, options)| SubEntry::new(*filter, *options).unwrap());
    let entries: Vec<SubEntry> = entries.collect();
    let subscribe = Subscribe::builder().packet_id(1).entries(entries);
    client.send(subscribe.build().unwrap()).await;
    assert!(matches!(client.next().await, Packet::V5_0Suback(_)));
}

#[tokio::test(start_paused = true)]
async fn basics() {
    let service = open();
    let mut client = connected(&service, "test-1").await;
    client.subscribe(&["a/b"]).await;
    client.send(message("a/b", Qos::AtMostOnce, vec![])).await;
    assert_eq!(client.delivery().await.qos(), Qos::AtMostOnce);
    client.send(message("a/b", Qos::AtLeastOnce, vec![])).await;
    assert_eq!(client.puback_code(9).await, 0);
    assert_eq!(client.delivery().await.qos(), Qos::AtLeastOnce);
    assert_eq!(service.journal().violations(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_retained_message_keeps_its_properties() {
    let service = open();
    let mut client = connected(&service, "test-1").await;
    let properties: Vec<Property> = [("a", "2"), ("c", "3")]
        .map(|(name, value)| UserProperty::new(name, value).unwrap().into())
        .to_vec();
    for (topic, qos) in [("a/0", Qos::AtMostOnce), ("a/1", Qos::AtLeastOnce)] {
        let kept = retained_or_not(topic, qos, properties.clone(), true);
        client.send(kept).await;
    }
    client.puback_code(9).await;
    let mut later = connected(&service, "test-2").await;
    later.subscribe(&["a/+"]).await;
    for qos in [Qos::AtMostOnce, Qos::AtLeastOnce] {
        let delivery = later.delivery().await;
        assert_eq!((delivery.qos(), delivery.retain()), (qos, true));
        assert_eq!(delivery.props(), &properties);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_silent_for_too_long_leaves_a_will() {
    let service = open();
    let mut watcher = connected(&service, "test-2").await;
    watcher.subscribe(&["status"]).await;
    let name: Property = UserProperty::new("a", "2").unwrap().into();
    let connect = Connect::builder().client_id("test-1").unwrap();
    let connect = connect
        .keep_alive(2)
        .will_message("status", "gone", Qos::AtLeastOnce, false)
        .unwrap()
        .will_props(vec![name.clone()]);
    let mut client = Client::beside(&service);
    client.send(connect.build().unwrap()).await;
    client.next().await;
    let began = Instant::now();
    let will = watcher.delivery().await;
    assert_eq!(began.elapsed(), Duration::from_secs(3)); // 1.5 times the keep alive
    assert_eq!(will.payload().as_slice(), b"gone");
    assert_eq!(will.props(), &vec![name]);
    assert_eq!(client.disconnect_code().await, 0x8d);
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_a_client_is_away_waits_for_it() {
    let service = open();
    let (mut client, _) = resumed(&service, "test-1", 3600).await;
    client.subscribe(&["a/+"]).await;
    leave(&service, client, None).await;
    let mut other = connected(&service, "test-2").await;
    other.send(message("a/0", Qos::AtMostOnce, vec![])).await;
    assert_eq!(other.publish(1, "a/1", json!({})).await, 0);
    let (mut client, session_present) = resumed(&service, "test-1", 3600).await;
    assert!(session_present);
    assert_eq!(client.delivery().await.topic_name(), "a/1"); // only QoS 1 waits
    assert!(is_silent(&mut client).await);
}

#[tokio::test(start_paused = true)]
async fn overlapping_subscriptions_bring_one_message_at_the_highest_qos() {
    let service = open();
    let mut client = connected(&service, "test-1").await;
    let filters = [
        ("a/#", SubOpts::new().set_qos(Qos::AtLeastOnce)),
        ("a/+", SubOpts::new().set_qos(Qos::AtMostOnce)),
    ];
    subscribe_with(&mut client, &filters).await;
    assert_eq!(client.publish(1, "a/b", json!({})).await, 0);
    assert_eq!(client.delivery().await.qos(), Qos::AtLeastOnce);
    assert!(is_silent(&mut client).await);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_acknowledged_comes_again() {
    let service = open();
    let (mut client, _) = resumed(&service, "test-1", 3600).await;
    client.subscribe(&["a"]).await;
    client.acknowledges = false;
    service.publish("a", "text").unwrap();
    let first = client.delivery().await;
    assert!(!first.dup());
    leave(&service, client, None).await;
    let (mut client, _) = resumed(&service, "test-1", 3600).await;
    let again = client.delivery().await;
    assert!(again.dup());
    assert_eq!(again.packet_id(), first.packet_id());
    leave(&service, client, None).await;
    let (mut client, _) = resumed(&service, "test-1", 3600).await;
    assert!(is_silent(&mut client).await); // it was acknowledged
}

#[tokio::test(start_paused = true)]
async fn what_is_unsubscribed_from_comes_no_more() {
    let service = open();
    let mut client = connected(&service, "test-1").await;
    client.subscribe(&["a", "b"]).await;
    let unsubscribe = Unsubscribe::builder().packet_id(2_u16).entries(vec!["a"]);
    client.send(unsubscribe.unwrap().build().unwrap()).await;
    assert!(matches!(client.next().await, Packet::V5_0Unsuback(_)));
    service.publish("a", "text").unwrap();
    service.publish("b", "text").unwrap();
    assert_eq!(client.delivery().await.topic_name(), "b");
    assert!(is_silent(&mut client).await);
}

#[tokio::test(start_paused = true)]
async fn a_session_lives_as_long_as_was_asked_for_last() {
    for (in_connect, in_disconnect, away, is_kept) in [
        (0, None, 0, false),
        (5, None, 2, true),
        (5, None, 6, false),
        (1, Some(5), 3, true),
        (5, Some(0), 0, false),
    ] {
        let service = open();
        let (client, session_present) = resumed(&service, "test-1", in_connect).await;
        assert!(!session_present);
        leave(&service, client, in_disconnect).await;
        sleep(Duration::from_secs(away)).await;
        let (_, session_present) = resumed(&service, "test-1", in_connect).await;
        assert_eq!(
            session_present, is_kept,
            "{in_connect} {in_disconnect:?} {away}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_payload_format_is_passed_on() {
    let service = open();
    let mut client = connected(&service, "test-1").await;
    client.subscribe(&["a"]).await;
    for format in [PayloadFormat::String, PayloadFormat::Binary] {
        let format: Property = PayloadFormatIndicator::new(format).unwrap().into();
        client
            .send(message("a", Qos::AtMostOnce, vec![format.clone()]))
            .await;
        assert_eq!(client.delivery().await.props(), &vec![format]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_says_how_long_it_still_lives() {
    let service = open();
    let (mut client, _) = resumed(&service, "test-1", 3600).await;
    client.subscribe(&["a"]).await;
    leave(&service, client, None).await;
    let mut other = connected(&service, "test-2").await;
    let expiry = MessageExpiryInterval::new(6).unwrap().into();
    other
        .send(message("a", Qos::AtLeastOnce, vec![expiry]))
        .await;
    other.puback_code(9).await;
    sleep(Duration::from_secs(4)).await;
    let (mut client, _) = resumed(&service, "test-1", 3600).await;
    let left = MessageExpiryInterval::new(2).unwrap().into();
    assert_eq!(client.delivery().await.props(), &vec![left]);
}

#[tokio::test(start_paused = true)]
async fn no_local_keeps_from_a_client_what_it_published() {
    let service = open();
    let options = SubOpts::new().set_qos(Qos::AtLeastOnce).set_nl(true);
    let mut clients = Vec::new();
    for client_id in ["test-1", "test-2"] {
        let mut client = connected(&service, client_id).await;
        subscribe_with(&mut client, &[("a", options)]).await;
        clients.push(client);
    }
    assert_eq!(clients[0].publish(1, "a", json!({})).await, 0);
    clients[1].delivery().await;
    assert!(is_silent(&mut clients[0]).await);
    // Another subscription brings it all the same.
    clients[0].subscribe(&["+"]).await;
    assert_eq!(clients[0].publish(2, "a", json!({})).await, 0);
    clients[0].delivery().await;
}

#[tokio::test(start_paused = true)]
async fn an_alias_lives_as_long_as_its_connection() {
    let service = open();
    let alias = || vec![TopicAlias::new(1).unwrap().into()];
    let (mut client, _) = resumed(&service, "test-1", 3600).await;
    client.subscribe(&["a"]).await;
    for topic in ["a", ""] {
        client.send(message(topic, Qos::AtMostOnce, alias())).await;
        assert_eq!(client.delivery().await.topic_name(), "a");
    }
    leave(&service, client, None).await;
    let (mut client, session_present) = resumed(&service, "test-1", 3600).await;
    assert!(session_present);
    client.send(message("", Qos::AtMostOnce, alias())).await;
    assert_eq!(client.disconnect_code().await, 0x94);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_for_a_client_is_not_sent_to_it() {
    let service = open();
    let most = MaximumPacketSize::new(64).unwrap().into();
    let (mut client, _) = connected_with(&service, "test-1", vec![most]).await;
    client.subscribe(&["a"]).await;
    service.publish("a", "x".repeat(64)).unwrap();
    service.publish("a", "x".repeat(32)).unwrap();
    assert_eq!(client.delivery().await.payload().len(), 32);
    assert!(is_silent(&mut client).await);
}

#[tokio::test(start_paused = true)]
async fn the_servers_keep_alive_counts() {
    let service = with_limits(Limits {
        server_keep_alive: Some(60),
        ..Limits::default()
    });
    let connect = Connect::builder().client_id("test-1").unwrap();
    let mut client = Client::beside(&service);
    client.send(connect.keep_alive(1200).build().unwrap()).await;
    let Packet::V5_0Connack(connack) = client.next().await else {
        panic!("no CONNACK");
    };
    let says_so = |property: &Property| matches!(property, Property::ServerKeepAlive(seconds) if seconds.val() == 60);
    assert!(connack.props().iter().any(says_so));
    let closed = |event: &Event| *event == Event::ConnectionClosed;
    let began = Instant::now();
    service.journal().wait_for(closed).await;
    assert_eq!(began.elapsed().as_secs(), 91); // 1.5 times the keep alive, and a second to take leave
}

#[tokio::test(start_paused = true)]
async fn no_more_is_sent_than_the_client_has_room_for() {
    let service = open();
    let room = ReceiveMaximum::new(2).unwrap().into();
    let (mut client, _) = connected_with(&service, "test-1", vec![room]).await;
    client.subscribe(&["a"]).await;
    client.acknowledges = false;
    for text in ["one", "two", "three"] {
        service.publish("a", text).unwrap();
    }
    let first = client.delivery().await;
    client.delivery().await;
    assert!(is_silent(&mut client).await);
    client.acknowledge_id(first.packet_id().unwrap()).await;
    assert_eq!(client.delivery().await.payload().as_slice(), b"three");
}
