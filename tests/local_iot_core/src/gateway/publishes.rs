//! PUBLISH: what a client sends, to the Jobs service or to other clients.

use std::{mem, time::Duration};

use mqtt_protocol_core::mqtt::{
    packet::{
        Qos,
        v5_0::{Puback, Publish},
    },
    result_code::{DisconnectReasonCode, PubackReasonCode},
};

use tokio::time::Instant;

use super::{
    connection::{Connection, End},
    properties,
    strict::Offence,
};
use crate::{
    faults::{Fault, On},
    jobs::{JobsTopic, Occasion},
    journal::Event,
    message::Message,
    options::LARGEST_PAYLOAD,
    policy::Action,
    topic,
};

/// How long a PUBACK is held back that is to leave behind a later one.
const LONGEST_HOLD: Duration = Duration::from_millis(500);

/// What is to be done about a fault that a publish meets.
enum Struck {
    Disconnect(u8),
    Drop,
    Refuse(PubackReasonCode),
}

/// When the connection breaks around a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Break {
    Before,
    After,
    AfterAndForget,
}

impl Connection {
    pub(super) fn on_publish(&mut self, client_id: &str, publish: &Publish) {
        let topic = publish.topic_name();
        self.record(Event::Publish {
            client_id: client_id.to_owned(),
            topic: topic.to_owned(),
            payload: publish.payload().as_slice().into(),
            qos: publish.qos() as u8,
            dup: publish.dup(),
            retain: publish.retain(),
            packet_id: publish.packet_id(),
            properties: properties::read(publish.props()),
        });
        if let Err(code) = self.check_protocol(client_id, publish) {
            return self.disconnect(code as u8);
        }
        if self.rate.exceeds(self.limits.publishes_per_second) {
            let limit = self.limits.publishes_per_second;
            self.violation(format!("more than {limit} publishes in a second"));
            return self.acknowledge(publish, PubackReasonCode::QuotaExceeded);
        }
        match self.strike(topic) {
            Some(Struck::Disconnect(code)) => return self.disconnect(code),
            Some(Struck::Drop) => {
                self.end = Some(End::DropAfterFlush);
                return;
            }
            Some(Struck::Refuse(code)) => return self.acknowledge(publish, code),
            None => {}
        }
        if !self.may_publish(topic, publish.retain()) {
            return match publish.qos() {
                Qos::AtMostOnce => self.disconnect(DisconnectReasonCode::NotAuthorized as u8),
                _ => self.acknowledge(publish, PubackReasonCode::NotAuthorized),
            };
        }
        if self.on_provisioning(client_id, publish) {
            return;
        }
        match JobsTopic::parse(topic) {
            Some(jobs) => {
                let occasion = jobs
                    .operation
                    .map(|operation| Occasion::request(operation, publish.payload().as_slice()));
                self.on_request(client_id, publish, occasion, jobs.thing_name);
            }
            None => {
                self.acknowledge(publish, PubackReasonCode::Success);
                self.route(client_id, publish);
            }
        }
    }

    /// Does the publish keep to MQTT's rules? If not, the connection is at an end.
    fn check_protocol(
        &mut self,
        client_id: &str,
        publish: &Publish,
    ) -> Result<(), DisconnectReasonCode> {
        let topic = publish.topic_name();
        if publish.qos() == Qos::ExactlyOnce {
            self.violation(format!("a publish at QoS 2 on {topic}"));
            return Err(DisconnectReasonCode::QosNotSupported);
        }
        if !topic::is_valid_name(topic) {
            self.violation(format!("'{topic}' is no topic to publish to"));
            return Err(DisconnectReasonCode::TopicNameInvalid);
        }
        if topic::is_closed_to_publishers(topic) {
            self.violation(format!("'{topic}' is reserved"));
            return Err(DisconnectReasonCode::TopicNameInvalid);
        }
        if publish.payload().len() > LARGEST_PAYLOAD {
            self.violation(format!("a payload of {} bytes", publish.payload().len()));
            return Err(DisconnectReasonCode::PacketTooLarge);
        }
        let Some(packet_id) = publish.packet_id() else {
            return Ok(());
        };
        match self
            .in_flight
            .receive(packet_id, self.limits.receive_maximum)
        {
            Ok(()) => {}
            Err(Offence::PacketIdInFlight) => {
                self.violation(match publish.dup() {
                    true => format!("publish {packet_id} sent again on the same connection"),
                    false => format!("packet id {packet_id} used while it is in flight"),
                });
                return Err(DisconnectReasonCode::ProtocolError);
            }
            Err(Offence::ReceiveMaximumExceeded) => {
                let maximum = self.limits.receive_maximum;
                self.violation(format!("more than {maximum} publishes in flight"));
                return Err(DisconnectReasonCode::ReceiveMaximumExceeded);
            }
        }
        let was_unfinished = self.unfinished.remove(&packet_id);
        if was_unfinished && !publish.dup() {
            self.violation(format!(
                "publish {packet_id} of the session repeated without DUP"
            ));
        }
        if publish.dup() && !self.session_present {
            self.violation(format!("publish {packet_id} repeated in a new session"));
        }
        self.gateway
            .sessions
            .begin(client_id, self.number, packet_id);
        Ok(())
    }

    fn strike(&self, topic: &str) -> Option<Struck> {
        self.gateway
            .faults
            .strike(self.number, |fault| match fault {
                Fault::Disconnect(code) => Some(Struck::Disconnect(*code)),
                Fault::DropOnPublish => Some(Struck::Drop),
                Fault::Puback(code, part) if topic.contains(part) => {
                    PubackReasonCode::try_from(*code).ok().map(Struck::Refuse)
                }
                _ => None,
            })
    }

    pub(super) fn may_publish(&self, topic: &str, retain: bool) -> bool {
        let allows = |action| self.gateway.guard.allows(self.number, action, topic);
        allows(Action::Publish) && (!retain || allows(Action::RetainPublish))
    }

    pub(super) fn acknowledge(&mut self, publish: &Publish, code: PubackReasonCode) {
        let Some(packet_id) = publish.packet_id() else {
            return;
        };
        if self.gateway.faults.strikes(self.number, &Fault::NoPuback) {
            return;
        }
        let breach = |fault: &Fault| match fault {
            Fault::Breach(breach) => Some(*breach),
            _ => None,
        };
        if let Some(breach) = self.gateway.faults.strike(self.number, breach) {
            self.output.extend(breach.bytes(packet_id));
            if breach.replaces_puback() {
                return;
            }
        }
        let mut puback = Puback::builder().packet_id(packet_id);
        if code != PubackReasonCode::Success {
            puback = puback.reason_code(code);
        }
        let puback = match puback.build() {
            Ok(puback) => puback,
            Err(why) => return self.record(Event::Dropped(format!("PUBACK {packet_id}: {why}"))),
        };
        let faults = &self.gateway.faults;
        if self.held.is_empty() && faults.strikes(self.number, &Fault::PubacksOutOfOrder) {
            self.held.push((puback, Instant::now() + LONGEST_HOLD));
            return;
        }
        self.send_puback(puback);
        self.release_pubacks();
    }

    fn send_puback(&mut self, puback: Puback) {
        let (packet_id, client_id) = (puback.packet_id(), self.client_id.clone());
        match self.send(puback) {
            Ok(()) => {
                self.in_flight.acknowledge(packet_id);
                let client_id = client_id.unwrap_or_default();
                self.gateway
                    .sessions
                    .finish(&client_id, self.number, packet_id);
            }
            Err(why) => self.record(Event::Dropped(format!("PUBACK {packet_id}: {why}"))),
        }
    }

    /// Sends the PUBACKs that were held back.
    pub(super) fn release_pubacks(&mut self) {
        for (puback, _) in mem::take(&mut self.held) {
            self.send_puback(puback);
        }
    }

    /// A publish in the Jobs namespace.
    fn on_request(
        &mut self,
        client_id: &str,
        publish: &Publish,
        occasion: Option<Occasion>,
        thing_name: &str,
    ) {
        let breaks = occasion.and_then(|occasion| self.break_around(occasion));
        if breaks.is_some() {
            self.end = Some(End::DropAfterFlush);
        } else {
            self.acknowledge(publish, PubackReasonCode::Success);
        }
        if breaks != Some(Break::Before) {
            let (topic, payload) = (publish.topic_name(), publish.payload().as_slice());
            self.gateway
                .jobs_of(thing_name)
                .answer(self.number, client_id, topic, payload);
        }
        if breaks == Some(Break::AfterAndForget) {
            self.gateway.sessions.forget(client_id);
        }
    }

    fn break_around(&self, occasion: Occasion) -> Option<Break> {
        let concerns = |on: &On| on.covers(occasion);
        self.gateway
            .faults
            .strike(self.number, |fault| match fault {
                Fault::DropBefore(on) if concerns(on) => Some(Break::Before),
                Fault::DropAfter(on) if concerns(on) => Some(Break::After),
                Fault::DropAfterLost(on) if concerns(on) => Some(Break::AfterAndForget),
                _ => None,
            })
    }

    /// A publish to whoever subscribed. The reserved topics belong to services that are not here.
    fn route(&self, client_id: &str, publish: &Publish) {
        if publish.topic_name().starts_with('$') {
            return;
        }
        let message = Message {
            topic: publish.topic_name().to_owned(),
            payload: publish.payload().as_slice().into(),
            qos: publish.qos() as u8,
            retain: publish.retain(),
            properties: properties::read(publish.props()),
        };
        let sessions = &self.gateway.sessions;
        sessions.publish_from(Some(client_id), message, false);
    }
}
