//! Every packet of a client except CONNECT and PUBLISH: what the service does about it.

use std::time::Duration;

use mqtt_protocol_core::mqtt::{
    packet::{
        Packet, Property, RetainHandling, SubEntry,
        v5_0::{Disconnect, Pingresp, Suback, Subscribe, Unsuback, Unsubscribe},
    },
    result_code::{DisconnectReasonCode, SubackReasonCode, UnsubackReasonCode},
};

use super::{
    connect::session_expiry,
    connection::{Connection, End},
    properties,
};
use crate::{
    faults::Fault,
    journal::Event,
    policy::Action,
    session::{Subscribed, Subscription},
    topic,
};

/// The reason code of a client that disconnects and wants its will published.
const DISCONNECT_WITH_WILL: u8 = 0x04;

impl Connection {
    pub(super) fn handle(&mut self, packet: Packet) {
        let Some(client_id) = self.client_id.clone() else {
            return self.handle_first(&packet);
        };
        // MQTT lets a client send before it has seen CONNACK; AWS tells it to wait.
        if !self.has_seen_connack() && !matches!(packet, Packet::V5_0Disconnect(_)) {
            let kind = packet.packet_type();
            self.violation(format!("{kind:?} before CONNACK was there"));
            return self.disconnect(DisconnectReasonCode::ProtocolError as u8);
        }
        match packet {
            Packet::V5_0Publish(publish) => self.on_publish(&client_id, &publish),
            Packet::V5_0Puback(puback) => self.on_puback(&client_id, puback.packet_id()),
            Packet::V5_0Subscribe(subscribe) => self.on_subscribe(&client_id, &subscribe),
            Packet::V5_0Unsubscribe(packet) => self.on_unsubscribe(&client_id, &packet),
            Packet::V5_0Pingreq(_) => self.on_pingreq(),
            Packet::V5_0Disconnect(disconnect) => self.on_disconnect(&client_id, &disconnect),
            packet => {
                let kind = packet.packet_type();
                self.violation(format!("{kind:?} is of no use here"));
                self.disconnect(DisconnectReasonCode::ProtocolError as u8);
            }
        }
    }

    fn handle_first(&mut self, packet: &Packet) {
        match packet {
            Packet::V5_0Connect(connect) => self.on_connect(connect),
            Packet::V3_1_1Connect(connect) => self.on_older_connect(connect),
            packet => {
                let kind = packet.packet_type();
                self.violation(format!("{kind:?} before CONNECT was accepted"));
                self.end = Some(End::Close);
            }
        }
    }

    fn on_puback(&mut self, client_id: &str, packet_id: u16) {
        self.record(Event::DeliveryAcked { packet_id });
        self.gateway
            .sessions
            .acked(client_id, self.number, packet_id);
    }

    fn on_subscribe(&mut self, client_id: &str, subscribe: &Subscribe) {
        let entries: &[SubEntry] = subscribe.entries();
        let filters = entries
            .iter()
            .map(|entry| entry.topic_filter().to_owned())
            .collect();
        self.record(Event::Subscribe {
            filters,
            packet_id: subscribe.packet_id(),
        });
        let is_identifier =
            |property: &Property| matches!(property, Property::SubscriptionIdentifier(_));
        if subscribe.props.iter().any(is_identifier) {
            self.violation("a subscription identifier".to_owned());
            let code = DisconnectReasonCode::SubscriptionIdentifiersNotSupported;
            return self.disconnect(code as u8);
        }
        if entries.len() > self.limits.filters_per_subscribe {
            self.violation(format!("{} topic filters in one SUBSCRIBE", entries.len()));
            return self.disconnect(DisconnectReasonCode::QuotaExceeded as u8);
        }
        let is_closed = |entry: &&SubEntry| topic::is_closed_to_subscribers(entry.topic_filter());
        if let Some(entry) = entries.iter().find(is_closed) {
            self.violation(format!("'{}' is reserved", entry.topic_filter()));
            return self.disconnect(DisconnectReasonCode::TopicFilterInvalid as u8);
        }
        if self.gateway.faults.strikes(self.number, &Fault::NoSuback) {
            return;
        }
        let mut codes = Vec::with_capacity(entries.len());
        let mut covering_retained = Vec::new();
        for entry in entries {
            let (code, wants_retained) = self.subscribe(client_id, entry);
            codes.push(code);
            if wants_retained {
                covering_retained.push((entry.topic_filter(), entry.sub_opts().qos() as u8));
            }
        }
        let suback = Suback::builder()
            .packet_id(subscribe.packet_id())
            .reason_codes(codes);
        match suback.build().and_then(|suback| self.send(suback)) {
            Ok(()) => {}
            Err(why) => self.record(Event::Dropped(format!("SUBACK: {why}"))),
        }
        for (filter, qos) in covering_retained {
            let sessions = &self.gateway.sessions;
            sessions.send_retained(client_id, self.number, filter, qos);
        }
    }

    /// Returns the answer, and whether the messages are wanted that were retained.
    fn subscribe(&self, client_id: &str, entry: &SubEntry) -> (SubackReasonCode, bool) {
        let (filter, options) = (entry.topic_filter(), entry.sub_opts());
        if let Some(code) = self.refusal_of(filter) {
            return (code, false);
        }
        let subscription = Subscription {
            qos: (options.qos() as u8).min(1),
            retain_as_published: options.rap(),
            no_local: options.nl(),
        };
        let limit = self.limits.subscriptions;
        let sessions = &self.gateway.sessions;
        let subscribed = sessions.subscribe(client_id, self.number, filter, subscription, limit);
        let wants_retained = match options.rh() {
            RetainHandling::SendRetained => true,
            RetainHandling::SendRetainedIfNotExists => subscribed == Subscribed::Anew,
            RetainHandling::DoNotSendRetained => false,
        };
        match subscribed {
            Subscribed::NoRoom => (SubackReasonCode::QuotaExceeded, false),
            _ if subscription.qos == 0 => (SubackReasonCode::GrantedQos0, wants_retained),
            _ => (SubackReasonCode::GrantedQos1, wants_retained),
        }
    }

    /// Why a client may not subscribe to this.
    fn refusal_of(&self, filter: &str) -> Option<SubackReasonCode> {
        let refusal = self
            .gateway
            .faults
            .strike(self.number, |fault| match fault {
                Fault::Suback(code, part) if filter.contains(part) => {
                    SubackReasonCode::try_from(*code).ok()
                }
                _ => None,
            });
        if refusal.is_some() {
            return refusal;
        }
        if !topic::is_valid_filter(filter) {
            self.violation(format!("'{filter}' is no topic filter"));
            return Some(SubackReasonCode::TopicFilterInvalid);
        }
        let guard = &self.gateway.guard;
        let allowed = guard.allows(self.number, Action::Subscribe, filter);
        (!allowed).then_some(SubackReasonCode::NotAuthorized)
    }

    fn on_unsubscribe(&mut self, client_id: &str, unsubscribe: &Unsubscribe) {
        let filters = unsubscribe
            .entries()
            .iter()
            .map(|filter| filter.as_str().to_owned());
        let filters: Vec<String> = filters.collect();
        self.record(Event::Unsubscribe {
            filters: filters.clone(),
        });
        let sessions = &self.gateway.sessions;
        let answer = |filter: &String| match sessions.unsubscribe(client_id, self.number, filter) {
            true => UnsubackReasonCode::Success,
            false => UnsubackReasonCode::NoSubscriptionExisted,
        };
        let codes = filters.iter().map(answer).collect();
        let unsuback = Unsuback::builder()
            .packet_id(unsubscribe.packet_id())
            .reason_codes(codes);
        match unsuback.build().and_then(|unsuback| self.send(unsuback)) {
            Ok(()) => {}
            Err(why) => self.record(Event::Dropped(format!("UNSUBACK: {why}"))),
        }
    }

    fn on_pingreq(&mut self) {
        self.record(Event::Pingreq);
        if !self.gateway.faults.strikes(self.number, &Fault::NoPingresp) {
            // It has no content, so it can't be too large or otherwise wrong.
            let _ = self.send(Pingresp::new());
        }
    }

    fn on_disconnect(&mut self, client_id: &str, disconnect: &Disconnect) {
        let reason = disconnect.reason_code().map_or(0, |code| code as u8);
        self.record(Event::Disconnect {
            by_client: true,
            reason,
        });
        let properties = disconnect.props.iter().flatten();
        if let Some(expiry) = properties.into_iter().find_map(session_expiry) {
            let expiry = expiry.min(self.limits.session_expiry_cap);
            let expiry = Duration::from_secs(expiry.into());
            self.gateway
                .sessions
                .set_expiry(client_id, self.number, expiry);
        }
        // 0x04: the client is going, and wants its will published all the same.
        if reason != DISCONNECT_WITH_WILL {
            self.will = None;
        }
        self.end = Some(End::Close);
    }

    /// Writes down what leaves, whoever decided on it: this code or the MQTT library.
    pub(super) fn record_sent(&self, packet: &Packet) {
        self.record(match packet {
            Packet::V5_0Connack(connack) => Event::Connack {
                code: connack.reason_code() as u8,
                session_present: connack.session_present(),
            },
            Packet::V5_0Suback(suback) => Event::Suback {
                codes: suback
                    .reason_codes()
                    .into_iter()
                    .map(|code| code as u8)
                    .collect(),
            },
            Packet::V5_0Puback(puback) => Event::Puback {
                packet_id: puback.packet_id(),
                code: puback.reason_code().map_or(0, |code| code as u8),
            },
            Packet::V5_0Publish(publish) => Event::Deliver {
                topic: publish.topic_name().to_owned(),
                packet_id: publish.packet_id(),
                dup: publish.dup(),
                retain: publish.retain(),
                payload: publish.payload().as_slice().into(),
                properties: properties::read(publish.props()),
            },
            Packet::V5_0Disconnect(disconnect) => Event::Disconnect {
                by_client: false,
                reason: disconnect.reason_code().map_or(0, |code| code as u8),
            },
            _ => return,
        });
    }
}
