//! From bytes to packets, and back: what a client's bytes say, and which bytes it gets.

use std::time::Duration;

use mqtt_protocol_core::mqtt::{
    common::Cursor,
    connection::{Event as MqttEvent, TimerKind},
    packet::Packet,
    result_code::{DisconnectReasonCode, MqttError},
};
use tokio::time::Instant;

use super::{
    connect,
    connection::{Connection, End},
    forms,
    strict::PacketLength,
};
use crate::faults::Fault;

impl Connection {
    pub(super) fn receive(&mut self, bytes: &[u8]) {
        let mut cursor = Cursor::new(bytes);
        while self.end.is_none() && cursor.position() < bytes.len() as u64 {
            let before = cursor.position();
            let events = self.mqtt.recv(&mut cursor);
            self.packet_length.add(cursor.position() - before);
            let is_complete = !events.is_empty();
            for event in events {
                self.on_received(event);
            }
            if is_complete {
                self.packet_length = PacketLength::default();
            }
        }
    }

    fn on_received(&mut self, event: MqttEvent) {
        match event {
            MqttEvent::NotifyPacketReceived(packet) if self.end.is_none() => {
                if self.packet_length.lacks_properties(&packet) {
                    self.violation("a PUBLISH without the length of its properties".to_owned());
                    return self.disconnect(DisconnectReasonCode::MalformedPacket as u8);
                }
                self.handle(packet);
            }
            MqttEvent::NotifyError(error) => {
                self.violation(format!("the MQTT library objects: {error}"));
                if error == MqttError::UnsupportedProtocolVersion {
                    self.output.extend(connect::UNSUPPORTED_PROTOCOL_VERSION);
                }
                self.end.get_or_insert(End::Close);
            }
            other => self.on_sent(other),
        }
    }

    pub(super) fn keep_alive_is_over(&mut self) {
        self.violation("longer silent than 1.5 times the keep alive".to_owned());
        let events = self.mqtt.notify_timer_fired(TimerKind::PingreqRecv);
        events.into_iter().for_each(|event| self.on_sent(event));
        self.end.get_or_insert(End::Close);
    }

    /// Writes a packet for the client. Returns whether it will be sent.
    pub(super) fn send(&mut self, packet: impl Into<Packet>) -> Result<(), MqttError> {
        let events = self.mqtt.send(packet.into());
        let mut result = Ok(());
        for event in events {
            match event {
                MqttEvent::NotifyError(error) => result = Err(error),
                other => self.on_sent(other),
            }
        }
        result
    }

    fn on_sent(&mut self, event: MqttEvent) {
        match event {
            MqttEvent::RequestSendPacket { packet, .. } => {
                self.record_sent(&packet);
                self.write_packet(&packet);
            }
            MqttEvent::RequestClose => {
                self.end.get_or_insert(End::Close);
            }
            MqttEvent::RequestTimerReset {
                kind: TimerKind::PingreqRecv,
                duration_ms,
            } => {
                self.silent_too_long = Some(Instant::now() + Duration::from_millis(duration_ms));
            }
            MqttEvent::RequestTimerCancel(TimerKind::PingreqRecv) => self.silent_too_long = None,
            _ => {}
        }
    }

    fn write_packet(&mut self, packet: &Packet) {
        let mut bytes = forms::encode(packet, self.gateway.packet_forms, self.number);
        let faults = &self.gateway.faults;
        if matches!(packet, Packet::V5_0Connack(_))
            && faults.strikes(self.number, &Fault::ReceiveMaximumZero)
        {
            // The property's number (MQTT5, 3.2.2.3.3) and its value.
            let [high, low] = self.limits.receive_maximum.to_be_bytes();
            let at = bytes.windows(3).position(|at| at == [0x21, high, low]);
            at.iter().for_each(|&at| bytes[at + 1..at + 3].fill(0));
        }
        self.output.extend(bytes);
    }
}
