//! Messages to the client.

use std::sync::Arc;

use mqtt_protocol_core::mqtt::{
    packet::{Qos, v5_0::Publish},
    result_code::MqttError,
};

use super::{connection::Connection, properties};
use crate::{journal::Event, message::Properties, session::Delivery};

impl Connection {
    /// Sends what waits in the session, as far as the client has room for it.
    pub(super) fn deliver(&mut self) {
        let Some(client_id) = self.client_id.clone() else {
            return;
        };
        let sessions = Arc::clone(&self.gateway.sessions);
        while self.end.is_none() {
            let room = self.mqtt.get_receive_maximum_vacancy_for_send();
            let Some(delivery) = sessions.next_delivery(&client_id, self.number, room) else {
                return;
            };
            let (topic, packet_id) = (delivery.message.topic().to_owned(), delivery.packet_id);
            let sent = match !delivery.dup && delivery.message.has_expired() {
                true => Err("it has expired".to_owned()),
                false => self
                    .send_delivery(delivery)
                    .map_err(|error| error.to_string()),
            };
            if let Err(why) = sent {
                self.record(Event::Dropped(format!("a message on {topic}: {why}")));
                if let Some(packet_id) = packet_id {
                    sessions.acked(&client_id, self.number, packet_id);
                }
            }
        }
    }

    fn send_delivery(&mut self, delivery: Delivery) -> Result<(), MqttError> {
        let Delivery {
            message,
            packet_id,
            dup,
        } = delivery;
        if message.unreadable {
            self.send_unreadable(message.topic(), packet_id.unwrap_or_default(), dup);
            return Ok(());
        }
        let message = message.into_message();
        let publish = Publish::builder()
            .topic_name(&message.topic)?
            .payload(message.payload)
            .retain(message.retain)
            .props(properties::write(&message.properties)?);
        let publish = match packet_id {
            Some(packet_id) => {
                self.mqtt.register_packet_id(packet_id)?;
                publish.qos(Qos::AtLeastOnce).packet_id(packet_id).dup(dup)
            }
            None => publish.qos(Qos::AtMostOnce),
        };
        self.send(publish.build()?)
    }

    /// A PUBLISH with a property that does not exist. Nobody acknowledges it, so it stays in
    /// the session.
    fn send_unreadable(&mut self, topic: &str, packet_id: u16, dup: bool) {
        const TOPIC: &[u8; 10] = b"unreadable";
        const PROPERTIES: [u8; 2] = [1, 0xff]; // their length, and the one that does not exist
        let first_byte = 0b0011_0010 | u8::from(dup) << 3;
        self.output.extend([first_byte, 16, 0, 10]); // the lengths of packet and topic
        self.output.extend(TOPIC);
        self.output.extend(packet_id.to_be_bytes());
        self.output.extend(PROPERTIES);
        self.record(Event::Deliver {
            topic: topic.to_owned(),
            packet_id: Some(packet_id),
            dup,
            retain: false,
            payload: Arc::default(),
            properties: Properties::default(),
        });
    }
}
