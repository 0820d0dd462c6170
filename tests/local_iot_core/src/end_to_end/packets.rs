//! What the tests send.

use mqtt_protocol_core::mqtt::packet::{
    Qos, SubEntry, SubOpts,
    v5_0::{Connect, Publish, Subscribe},
};
use serde_json::{Value, json};

pub fn jobs_topic(rest: &str) -> String {
    format!("$aws/things/my-thing/jobs/{rest}")
}

pub fn connect(client_id: &str) -> Connect {
    Connect::builder()
        .client_id(client_id)
        .unwrap()
        .clean_start(true)
        .build()
        .unwrap()
}

pub fn subscribe(filters: &[&str]) -> Subscribe {
    let options = SubOpts::new().set_qos(Qos::AtLeastOnce);
    let entries = filters
        .iter()
        .map(|filter| SubEntry::new(*filter, options).unwrap());
    let entries: Vec<_> = entries.collect();
    Subscribe::builder()
        .packet_id(1)
        .entries(entries)
        .build()
        .unwrap()
}

pub fn publish(packet_id: u16, topic: &str, payload: &Value) -> Publish {
    Publish::builder()
        .topic_name(topic)
        .unwrap()
        .qos(Qos::AtLeastOnce)
        .packet_id(packet_id)
        .payload(payload.to_string())
        .build()
        .unwrap()
}

/// A request for the list of what is pending.
pub fn get(packet_id: u16) -> Publish {
    publish(packet_id, &jobs_topic("get"), &json!({}))
}
