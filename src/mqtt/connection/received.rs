//! What the server sends, and what follows from it.

use rumqttc::v5::mqttbytes::v5::{Packet, PubAck, Publish};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::Connection;
use crate::mqtt::decode::Incoming;
use crate::mqtt::error::{ConnectionError, PublishError};
use crate::mqtt::in_flight::{Sent, topic};
use crate::mqtt::publish::Message;
use crate::mqtt::reason::{ReasonCode, Violation};

impl Connection<'_> {
    /// Takes a packet from the server. Returns whether somebody was told something.
    pub(super) fn on_packet(&mut self, packet: Incoming) -> Result<bool, ConnectionError> {
        match packet {
            Incoming::Publish { id, message } => return Ok(self.on_publish(id, &message)),
            Incoming::Puback { id, code } => {
                let sent = self.acknowledged(id, "PUBLISH", "PUBACK")?;
                let concerns_somebody = sent.is_some();
                self.on_puback(sent, code);
                return Ok(concerns_somebody);
            }
            Incoming::Suback { id, codes } => match self.acknowledged(id, "SUBSCRIBE", "SUBACK")? {
                Some(Sent::Subscribe { filters }) if filters.len() == codes.len() => {
                    self.on_suback(&filters, &codes);
                }
                Some(_) => {
                    let what = format!("a SUBACK with {} reason codes", codes.len());
                    return Err(self.violation(what));
                }
                None => {}
            },
            Incoming::Unsuback { id } => {
                let sent = self.acknowledged(id, "UNSUBSCRIBE", "UNSUBACK")?;
                if let Some(Sent::Unsubscribe { filters }) = sent {
                    self.session.subscriptions.unsubscribed(&filters);
                }
            }
            Incoming::Pingresp => self.pinging = None,
            Incoming::Disconnect { code, text } => {
                return Err(self.on_disconnect(code, &text));
            }
            Incoming::Connack { .. } | Incoming::OldConnack => {
                return Err(self.violation("a second CONNACK"));
            }
        }
        Ok(false)
    }

    /// A message. Returns whether anybody wants it.
    fn on_publish(&mut self, id: u16, message: &Message) -> bool {
        let is_wanted = self.session.subscriptions.deliver(message);
        if id != 0 {
            let _ = self.wire.send(&Packet::PubAck(PubAck::new(id, None))); // four bytes
        }
        is_wanted
    }

    /// What an acknowledgement is for.
    fn acknowledged(
        &mut self,
        id: u16,
        name: &str,
        by: &str,
    ) -> Result<Option<Sent>, ConnectionError> {
        let sent = self.session.in_flight.acknowledged(id, name);
        let sent = sent.map_err(|other| self.violation(format!("a {by} for a {other}")))?;
        if sent.is_none() {
            debug!("ignored a {by} for {id}, which is not in flight");
        }
        Ok(sent)
    }

    fn on_puback(&mut self, sent: Option<Sent>, code: ReasonCode) {
        let Some(Sent::Publish { packet, done }) = sent else {
            return;
        };
        self.is_answered = true;
        let outcome = if code.is_error() {
            Err(refused(&packet, code, false))
        } else {
            Ok(self.session.number)
        };
        self.session.has_worked |= outcome.is_ok();
        // The caller may have got its reply already, and no longer wait.
        let _ = done.send(outcome);
    }

    pub(super) fn on_suback(&mut self, filters: &[String], codes: &[ReasonCode]) {
        let session = &mut *self.session;
        let Some(refused) = session.subscriptions.subscribed(filters, codes) else {
            session.has_worked |= !codes.iter().any(|code| code.is_error());
            session.refusals.reset();
            return;
        };
        if session.retry_at.is_none() {
            // In a while, if somebody has to change the policy.
            let wait = session.refusals.wait(refused.is_denied());
            warn!(?wait, "{refused}");
            session.retry_at = Some(Instant::now() + wait);
        }
    }

    /// The server goes. If it refuses something of ours, that is among what it did not acknowledge: most
    /// likely the oldest, for it takes one after another. Sent once more, it would cost the next connection.
    fn on_disconnect(&mut self, code: ReasonCode, text: &str) -> ConnectionError {
        let error = ConnectionError::disconnected(&self.options.address(), code, text);
        let in_flight = &mut self.session.in_flight;
        let error = error.with_in_flight(in_flight.names());
        if code.refuses_a_packet()
            && let Some((packet, done)) = in_flight.take_oldest_publish()
        {
            let _ = done.send(Err(refused(&packet, code, true)));
        }
        error
    }

    fn violation(&self, what: impl Into<String>) -> ConnectionError {
        let fault = Violation::protocol_error(what);
        ConnectionError::violation(&self.options.address(), fault)
    }
}

fn refused(packet: &Publish, reason: ReasonCode, disconnected: bool) -> PublishError {
    PublishError::Refused {
        topic: topic(packet),
        reason,
        disconnected,
    }
}
