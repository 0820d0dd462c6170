//! A server that breaks MQTT's rules, as ordered; and those forms of packets that only look odd.

use std::{sync::Arc, time::Duration};

use mqtt_protocol_core::mqtt::packet::{Packet, v5_0::Pingreq};
use serde_json::json;

use super::{
    client::{Client, connect, get, jobs_topic, subscribe, tls_config},
    faults::{struck, told_to},
};
use crate::{Breach, LocalIotCore, Options, PacketForms, Tamper, Times, breaches};

async fn with_forms(packet_forms: PacketForms) -> LocalIotCore {
    let options = Options {
        packet_forms,
        ..Options::default()
    };
    LocalIotCore::start(options).await.unwrap()
}

/// What comes, until so many bytes have come.
async fn bytes(client: &mut Client, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < count {
        bytes.extend(client.packet_bytes().await);
    }
    bytes
}

#[tokio::test]
async fn each_breach_comes_with_the_puback_or_in_its_place() {
    for (name, breach, _) in breaches() {
        let core = told_to(&format!("breach {name}")).await;
        let mut client = Client::connected(&core, "test-1").await;
        client.send(get(7)).await;
        let expected = breach.bytes(7);
        let came = bytes(&mut client, expected.len() + 4).await;
        assert!(came.starts_with(&expected), "{name}: {:?}", &came[..10]);
        let is_acknowledged = came[expected.len()..].starts_with(&[0x40, 2, 0, 7]);
        assert_eq!(is_acknowledged, !breach.replaces_puback(), "{name}");
        struck(&core);
    }
}

#[tokio::test]
async fn what_connack_and_the_handshake_can_have_wrong() {
    let core = told_to("not-tls").await;
    let config = tls_config(&core, &core.pki().device().unwrap());
    let error = Client::over(&core, config).await.err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "{error}");
    struck(&core);
    let core = told_to("claim-session").await;
    let mut client = Client::new(&core).await;
    assert_eq!(client.connect("test-1", true, 0).await, (0, true));
    struck(&core);
    let core = told_to("receive-maximum-0").await;
    let mut client = Client::new(&core).await;
    client.send(connect("test-1")).await;
    let connack = client.packet_bytes().await;
    assert!(connack.windows(3).any(|at| at == [0x21, 0, 0]));
    struck(&core);
}

#[tokio::test]
async fn the_forms_of_packets_are_an_option() {
    for (forms, puback, disconnect) in [
        (
            PacketForms::Shortest,
            &[0x40_u8, 2, 0, 7][..],
            &[0xe0, 1, 0x8b][..],
        ),
        (
            PacketForms::WithCode,
            &[0x40, 4, 0, 7, 0, 0],
            &[0xe0, 2, 0x8b, 0],
        ),
        (
            PacketForms::WithWords,
            b"\x40\x0e\0\x07\0\x0a\x1f\0\x07Success",
            b"\xe0\x17\x8b\x15\x1f\0\x12ServerShuttingDown",
        ),
    ] {
        let core = with_forms(forms).await;
        let mut client = Client::connected(&core, "test-1").await;
        assert_eq!(client.subscribe(&["a"]).await, [0x87]);
        client.send(get(7)).await;
        let came = bytes(&mut client, puback.len()).await;
        assert!(came.starts_with(puback), "{came:?}");
        core.disconnect(0x8b);
        loop {
            let came = client.packet_bytes().await;
            if came.ends_with(disconnect) {
                break;
            }
        }
    }
}

#[tokio::test]
async fn any_bytes_can_be_sent_at_any_time() {
    let core = LocalIotCore::start(Options::default()).await.unwrap();
    let mut client = Client::connected(&core, "test-1").await;
    core.send_bytes(b"\x00nonsense");
    assert_eq!(client.packet_bytes().await, b"\x00nonsense");
}

/// Sends each packet byte by byte, with every bit turned over.
struct Upside;

impl Tamper for Upside {
    fn tamper(&self, connection: u64, packets: Vec<u8>) -> Vec<(Duration, Vec<u8>)> {
        assert_eq!(connection, 1);
        let pieces = packets
            .iter()
            .map(|byte| (Duration::from_millis(1), vec![!byte]));
        pieces.collect()
    }
}

#[tokio::test]
async fn all_that_is_sent_can_be_changed() {
    let core = LocalIotCore::start(Options::default()).await.unwrap();
    let mut client = Client::connected(&core, "test-1").await;
    core.set_tamper(Some(Arc::new(Upside)));
    client.send(Pingreq::new()).await;
    assert_eq!(bytes(&mut client, 2).await, [!0xd0, !0]);
    core.set_tamper(None);
    client.send(Pingreq::new()).await;
    assert!(matches!(client.next().await, Packet::V5_0Pingresp(_)));
}

#[tokio::test]
async fn a_breach_is_over_when_it_has_struck() {
    let core = LocalIotCore::start(Options::default()).await.unwrap();
    let faults = core.faults();
    faults.add(crate::Fault::Breach(Breach::Auth), Times::Once);
    let mut client = Client::connected(&core, "test-1").await;
    client.send(get(1)).await;
    assert!(bytes(&mut client, 6).await.starts_with(&[0xf0, 0]));
    client.send(subscribe(&[&jobs_topic("get/+")])).await;
    client.send(get(2)).await;
    assert_eq!(core.journal().violations(), [""; 0]);
    core.jobs().create_job("a", json!({})).unwrap();
}
