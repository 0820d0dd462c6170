//! MQTT5 as other people test it: what Eclipse Paho's conformance tests for brokers
//! (`client_test5.py`) ask of one, as far as AWS IoT Core offers it. In no time at all: the clock is
//! paused, and there is no TLS in between. For QoS 2, which AWS does not have, QoS 1 stands in.
//!
//! | theirs | here, or why it is not |
//! |---|---|
//! | `basic` | `basics`; a second CONNECT: `strict::a_second_connect`; another protocol: `connects::other_versions_…` |
//! | `retained_message` | `a_retained_message_keeps_its_properties` |
//! | `will_message`, `keepalive` | `whoever_is_silent_for_too_long_leaves_a_will` |
//! | `zero_length_clientid`, `assigned_clientid` | `connects::a_client_without_an_id_gets_one` |
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

mod messages;
mod sessions;

use mqtt_protocol_core::mqtt::packet::{
    Packet, Property, Qos, SessionExpiryInterval, SubEntry, SubOpts,
    v5_0::{Connack, Connect, Disconnect, Publish, Subscribe},
};
use mqtt_protocol_core::mqtt::result_code::DisconnectReasonCode;

use super::client::Client;
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
