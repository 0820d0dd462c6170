//! Messages, their properties, and who gets them.

use std::time::Duration;

use mqtt_protocol_core::mqtt::packet::{
    MaximumPacketSize, MessageExpiryInterval, Packet, PayloadFormat, PayloadFormatIndicator,
    Property, Qos, ReceiveMaximum, SubOpts, TopicAlias, UserProperty, v5_0::Unsubscribe,
};
use serde_json::json;
use tokio::time::sleep;

use super::{
    connected, connected_with, leave, message, open, resumed, retained_or_not, subscribe_with,
};
use crate::end_to_end::faults::is_silent;

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
