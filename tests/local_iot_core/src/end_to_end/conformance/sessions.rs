//! Sessions, keep alive and wills.

use std::time::Duration;

use mqtt_protocol_core::mqtt::packet::{
    Packet, Property, Qos, UserProperty,
    v5_0::{Connect, Pingreq},
};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{connected, leave, message, open, resumed, with_limits};
use crate::{
    Event, Limits,
    end_to_end::{client::Client, faults::is_silent},
};

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
    sleep(Duration::from_secs(60)).await;
    client.send(Pingreq::new()).await;
    assert!(matches!(client.next().await, Packet::V5_0Pingresp(_)));
    let closed = |event: &Event| *event == Event::ConnectionClosed;
    let began = Instant::now();
    service.journal().wait_for(closed).await;
    assert_eq!(began.elapsed().as_secs(), 91); // 1.5 times the keep alive, and a second to take leave
}
