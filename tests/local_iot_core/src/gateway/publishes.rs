//! PUBLISH: what a client sends, to the Jobs service or to other clients.

use mqtt_protocol_core::mqtt::{
    packet::{
        Qos,
        v5_0::{Puback, Publish},
    },
    result_code::{DisconnectReasonCode, PubackReasonCode},
};

use super::{
    connection::{Connection, End},
    strict::Offence,
};
use crate::{
    faults::{Fault, On},
    jobs::{JobsTopic, Operation},
    journal::Event,
    options::LARGEST_PAYLOAD,
    policy::Action,
    session::Message,
    topic,
};

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
            packet_id: publish.packet_id(),
        });
        if let Err(code) = self.check_protocol(client_id, publish) {
            return self.disconnect(code as u8);
        }
        if self.rate.exceeds(self.limits.publishes_per_second) {
            let limit = self.limits.publishes_per_second;
            self.violation(format!("more than {limit} publishes in a second"));
            return self.acknowledge(client_id, publish, PubackReasonCode::QuotaExceeded);
        }
        match self.strike(topic) {
            Some(Struck::Disconnect(code)) => return self.disconnect(code),
            Some(Struck::Drop) => {
                self.end = Some(End::DropAfterFlush);
                return;
            }
            Some(Struck::Refuse(code)) => return self.acknowledge(client_id, publish, code),
            None => {}
        }
        if !self.may_publish(publish) {
            return match publish.qos() {
                Qos::AtMostOnce => self.disconnect(DisconnectReasonCode::NotAuthorized as u8),
                _ => self.acknowledge(client_id, publish, PubackReasonCode::NotAuthorized),
            };
        }
        match JobsTopic::parse(topic) {
            Some(jobs) => self.on_request(client_id, publish, jobs.operation),
            None => {
                self.acknowledge(client_id, publish, PubackReasonCode::Success);
                self.route(publish);
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

    fn may_publish(&self, publish: &Publish) -> bool {
        let allows = |action| {
            self.gateway
                .guard
                .allows(self.number, action, publish.topic_name())
        };
        allows(Action::Publish) && (!publish.retain() || allows(Action::RetainPublish))
    }

    fn acknowledge(&mut self, client_id: &str, publish: &Publish, code: PubackReasonCode) {
        let Some(packet_id) = publish.packet_id() else {
            return;
        };
        if self.gateway.faults.strikes(self.number, &Fault::NoPuback) {
            return;
        }
        let mut puback = Puback::builder().packet_id(packet_id);
        if code != PubackReasonCode::Success {
            puback = puback.reason_code(code);
        }
        match puback.build().and_then(|puback| self.send(puback)) {
            Ok(()) => {
                self.in_flight.acknowledge(packet_id);
                self.gateway
                    .sessions
                    .finish(client_id, self.number, packet_id);
            }
            Err(why) => self.record(Event::Dropped(format!("PUBACK {packet_id}: {why}"))),
        }
    }

    /// A publish in the Jobs namespace.
    fn on_request(&mut self, client_id: &str, publish: &Publish, operation: Option<Operation>) {
        let breaks = operation.and_then(|operation| self.break_around(operation));
        if breaks.is_some() {
            self.end = Some(End::DropAfterFlush);
        } else {
            self.acknowledge(client_id, publish, PubackReasonCode::Success);
        }
        if breaks != Some(Break::Before) {
            let (topic, payload) = (publish.topic_name(), publish.payload().as_slice());
            self.gateway
                .jobs
                .answer(self.number, client_id, topic, payload);
        }
        if breaks == Some(Break::AfterAndForget) {
            self.gateway.sessions.forget(client_id);
        }
    }

    fn break_around(&self, operation: Operation) -> Option<Break> {
        let concerns = |on: &On| on.covers(operation);
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
    fn route(&self, publish: &Publish) {
        if publish.topic_name().starts_with('$') {
            return;
        }
        let message = Message {
            topic: publish.topic_name().to_owned(),
            payload: publish.payload().as_slice().into(),
            qos: publish.qos() as u8,
        };
        self.gateway.sessions.publish(&message, false);
    }
}
