//! CONNECT: who may come in, and what the service tells them.

use std::time::Duration;

use mqtt_protocol_core::mqtt::{
    packet::{
        AssignedClientIdentifier, MaximumPacketSize, MaximumQos, Property, ReceiveMaximum,
        RetainAvailable, ServerKeepAlive, SessionExpiryInterval, SharedSubscriptionAvailable,
        SubscriptionIdentifierAvailable, TopicAliasMaximum, WildcardSubscriptionAvailable, v3_1_1,
        v5_0::{Connack, Connect},
    },
    result_code::{ConnectReasonCode, ConnectReturnCode, DisconnectReasonCode, MqttError},
};

use super::{
    connection::{Connection, End},
    properties,
};
use crate::{faults::Fault, journal::Event, message::Message, policy::Action, session::Order};

/// The longest client id, in bytes.
const LONGEST_CLIENT_ID: usize = 128;

/// CONNACK with the reason code 0x84, for whoever speaks neither MQTT5 nor MQTT 3.1.1.
pub(super) const UNSUPPORTED_PROTOCOL_VERSION: [u8; 5] = [0x20, 3, 0, 0x84, 0];

impl Connection {
    /// A client of MQTT 3.1.1 is refused, in the form of that version.
    pub(super) fn on_older_connect(&mut self, connect: &v3_1_1::Connect) {
        self.violation(format!("'{}' speaks MQTT 3.1.1", connect.client_id()));
        let connack = v3_1_1::Connack::builder()
            .session_present(false)
            .return_code(ConnectReturnCode::UnacceptableProtocolVersion);
        if let Ok(connack) = connack.build() {
            // If it can't be sent, the closing has to speak for itself.
            let _ = self.send(connack);
        }
        self.end.get_or_insert(End::Close);
    }

    pub(super) fn on_connect(&mut self, connect: &Connect) {
        let is_unnamed = connect.client_id().is_empty();
        let client_id = match is_unnamed {
            true => format!("$GEN/{}", self.number), // no two connections have the same
            false => connect.client_id().to_owned(),
        };
        let requested = connect.props.iter().find_map(session_expiry).unwrap_or(0);
        self.record(Event::Connect {
            client_id: client_id.clone(),
            clean_start: connect.clean_start(),
            keep_alive: connect.keep_alive(),
            session_expiry: requested,
            will_topic: connect.will_topic().map(str::to_owned),
        });
        let faults = self.gateway.faults.clone();
        if faults.strikes(self.number, &Fault::NoConnack) {
            return;
        }
        let refusal = faults.strike(self.number, |fault| match fault {
            Fault::Connack(code) => ConnectReasonCode::try_from(*code).ok(),
            _ => None,
        });
        if let Some(code) = refusal {
            return self.refuse_connect(code);
        }
        if client_id.len() > LONGEST_CLIENT_ID || (!is_unnamed && client_id.starts_with('$')) {
            return self.refuse_connect(ConnectReasonCode::ClientIdentifierNotValid);
        }
        if !self
            .gateway
            .guard
            .allows(self.number, Action::Connect, &client_id)
        {
            if faults.strikes(self.number, &Fault::ConnectDeniedCloses) {
                self.end = Some(End::Close);
                return;
            }
            return self.refuse_connect(ConnectReasonCode::NotAuthorized);
        }
        let will = will(connect);
        // The policy is asked before the will is needed, when the client can still hear of it.
        let may_leave = |will: &Message| self.may_publish(&will.topic, will.retain);
        if !will.as_ref().is_none_or(may_leave) {
            return self.refuse_connect(ConnectReasonCode::NotAuthorized);
        }
        if will.as_ref().is_some_and(|will| will.qos > 1) {
            self.violation("a will at QoS 2".to_owned());
            return self.refuse_connect(ConnectReasonCode::QosNotSupported);
        }
        self.will = will;
        if faults.strikes(self.number, &Fault::SessionLost) {
            self.gateway.sessions.forget(&client_id);
        }
        self.accept_connect(client_id, is_unnamed, connect.clean_start(), requested);
        if faults.strikes(self.number, &Fault::DropAfterConnack) {
            self.end = Some(End::DropAfterFlush);
        }
    }

    fn accept_connect(
        &mut self,
        client_id: String,
        is_assigned: bool,
        clean_start: bool,
        requested: u32,
    ) {
        let expiry = requested.min(self.limits.session_expiry_cap);
        let lasting = Duration::from_secs(expiry.into());
        let link = self.link.clone();
        let attached = self
            .gateway
            .sessions
            .attach(&client_id, clean_start, lasting, link);
        if let Some(previous) = attached.previous {
            let taken_over = Order::Disconnect(DisconnectReasonCode::SessionTakenOver as u8);
            // It may have closed just now.
            let _ = previous.orders.send(taken_over);
        }
        self.session_present = attached.session_present;
        self.unfinished = attached.unfinished;
        let assigned = is_assigned.then_some(client_id.as_str());
        let properties = self.connack_properties(expiry, assigned);
        self.client_id = Some(client_id);
        let faults = &self.gateway.faults;
        let claims_one = faults.strikes(self.number, &Fault::ClaimSession);
        let session_present = self.session_present || claims_one;
        let connack = properties.and_then(|properties| {
            Connack::builder()
                .session_present(session_present)
                .reason_code(ConnectReasonCode::Success)
                .props(properties)
                .build()
        });
        match connack.and_then(|connack| self.send(connack)) {
            Ok(()) => {}
            Err(why) => self.record(Event::Dropped(format!("CONNACK: {why}"))),
        }
    }

    fn connack_properties(
        &self,
        expiry: u32,
        assigned: Option<&str>,
    ) -> Result<Vec<Property>, MqttError> {
        let limits = &self.limits;
        let mut properties: Vec<Property> = vec![
            SessionExpiryInterval::new(expiry)?.into(),
            ReceiveMaximum::new(limits.receive_maximum)?.into(),
            MaximumQos::new(1)?.into(),
            RetainAvailable::new(1)?.into(),
            MaximumPacketSize::new(limits.maximum_packet_size)?.into(),
            TopicAliasMaximum::new(limits.topic_alias_maximum)?.into(),
            WildcardSubscriptionAvailable::new(1)?.into(),
            SubscriptionIdentifierAvailable::new(0)?.into(),
            SharedSubscriptionAvailable::new(1)?.into(),
        ];
        if let Some(seconds) = limits.server_keep_alive {
            properties.push(ServerKeepAlive::new(seconds)?.into());
        }
        if let Some(client_id) = assigned {
            properties.push(AssignedClientIdentifier::new(client_id)?.into());
        }
        Ok(properties)
    }

    /// Publishes the will, if the client left one and did not take it back.
    pub(super) fn publish_will(&mut self, client_id: String) {
        if let Some(will) = self.will.take() {
            let topic = will.topic.clone();
            self.record(Event::Will { client_id, topic });
            self.gateway.sessions.publish(will, false);
        }
    }

    fn refuse_connect(&mut self, code: ConnectReasonCode) {
        if let Ok(connack) = Connack::builder()
            .session_present(false)
            .reason_code(code)
            .build()
        {
            // If it can't be sent, the closing has to speak for itself.
            let _ = self.send(connack);
        }
        self.end.get_or_insert(End::Close);
    }
}

/// What is to be published if the client does not take leave. (A delay is not waited for.)
fn will(connect: &Connect) -> Option<Message> {
    Some(Message {
        topic: connect.will_topic()?.to_owned(),
        payload: connect.will_payload()?.into(),
        qos: connect.will_qos() as u8,
        retain: connect.will_retain(),
        properties: properties::read(connect.will_props()),
    })
}

pub(super) fn session_expiry(property: &Property) -> Option<u32> {
    match property {
        Property::SessionExpiryInterval(seconds) => Some(seconds.val()),
        _ => None,
    }
}
