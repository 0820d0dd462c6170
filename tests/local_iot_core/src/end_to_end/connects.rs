//! CONNECT: other versions of MQTT, and clients without an ID.

use mqtt_protocol_core::mqtt::packet::{Packet, Property};

use super::client::{Client, connect};
use super::messages::open;
use crate::{LocalIotCore, Message, Options};

/// CONNECT from `test-1` with this protocol name and version, and the properties that MQTT5 has.
fn connect_of(name: &str, version: u8, properties: &[u8]) -> Vec<u8> {
    let mut body = vec![0, name.len() as u8];
    body.extend(name.as_bytes());
    body.extend([version, 2, 0, 30]); // clean start, a keep alive of 30 s
    body.extend(properties);
    body.extend(b"\0\x06test-1");
    [vec![0x10, body.len() as u8], body].concat()
}

#[tokio::test]
async fn other_versions_of_mqtt_are_refused_in_their_own_form() {
    for (connect, expected) in [
        (connect_of("MQTT", 4, b""), &[0x20, 2, 0, 1][..]),
        (connect_of("MQTT", 6, b"\0"), &[0x20, 3, 0, 0x84, 0]),
        (connect_of("hj", 5, b"\0"), &[0x20, 3, 0, 0x84, 0]),
    ] {
        let core = open().await;
        let mut client = Client::new(&core).await;
        client.send_bytes(&connect).await;
        assert_eq!(client.packet_bytes().await, expected, "{connect:?}");
        assert!(client.is_closed().await);
        assert_eq!(core.journal().violations().len(), 1);
    }
}

#[tokio::test]
async fn a_client_without_an_id_gets_one() {
    let core = open().await;
    let mut client = Client::new(&core).await;
    client.send(connect("")).await;
    let Packet::V5_0Connack(connack) = client.next().await else {
        panic!("no CONNACK");
    };
    assert_eq!(connack.reason_code() as u8, 0);
    let properties = connack.props().iter();
    let assigned: Vec<&str> = properties
        .filter_map(|property| match property {
            Property::AssignedClientIdentifier(id) => Some(id.val()),
            _ => None,
        })
        .collect();
    assert_eq!(assigned, ["$GEN/1"]);
    // It is the one that counts: for whoever sends it a message, and for the policy.
    core.send_direct_message("$GEN/1", Message::new("a", "x"))
        .unwrap();
    client.delivery().await;
    let core = LocalIotCore::start(Options::default()).await.unwrap();
    let mut client = Client::new(&core).await;
    assert_eq!(client.connect("", true, 0).await.0, 0x87);
    // Nobody may take such a name.
    let mut client = Client::new(&core).await;
    assert_eq!(client.connect("$GEN/7", true, 0).await.0, 0x85);
}
