//! Messages on their way to clients.

use std::{
    collections::BTreeMap,
    sync::{MutexGuard, PoisonError},
};

use super::{
    Sessions,
    state::{Delivery, Session},
};
use crate::{
    faults::Fault,
    message::{Message, Waiting},
    policy::Action,
    topic,
};

impl Sessions {
    /// Sends a message to everybody who subscribed to its topic, and keeps it if it is to be
    /// retained. With `always`, the policy is not asked.
    pub(crate) fn publish(&self, message: Message, always: bool) {
        self.publish_from(None, message, always);
    }

    /// The same; a client that publishes it hears of it only where it wants to.
    pub(crate) fn publish_from(&self, client_id: Option<&str>, message: Message, always: bool) {
        let message = Waiting::new(message);
        if message.retain() {
            self.retain(&message);
        }
        for (subscriber, session) in self.lock().iter_mut() {
            let subscribed = match client_id == Some(subscriber) {
                true => session.subscribed_to_its_own(message.topic()),
                false => session.subscribed(message.topic()),
            };
            if let Some(subscription) = subscribed {
                let retain = message.retain() && subscription.retain_as_published;
                let message = message.with(message.qos().min(subscription.qos), retain);
                self.put(session, message, always);
            }
        }
    }

    /// Keeps a message for those who subscribe later, in the place of the one before. One that
    /// is empty only takes that away.
    fn retain(&self, message: &Waiting) {
        let mut retained = self.lock_retained();
        if message.is_empty() {
            retained.remove(message.topic());
        } else {
            retained.insert(message.topic().to_owned(), message.clone());
        }
    }

    /// Sends a client what was retained on the topics of a filter that it has subscribed to.
    pub(crate) fn send_retained(&self, client_id: &str, connection: u64, filter: &str, qos: u8) {
        if filter.starts_with("$share/") {
            return; // Its members are not told what was before them (MQTT5, 4.8.2).
        }
        let retained = self.lock_retained();
        let covered = retained
            .values()
            .filter(|one| topic::covers(filter, one.topic()));
        self.with(client_id, connection, |session| {
            for message in covered {
                self.put(session, message.with(message.qos().min(qos), true), false);
            }
        });
    }

    /// Sends a message to one client, subscribed or not.
    pub(crate) fn reply(&self, client_id: &str, message: &Message, always: bool) {
        if let Some(session) = self.lock().get_mut(client_id) {
            let granted = session.subscribed(&message.topic).map_or(1, |one| one.qos);
            let qos = message.qos.min(granted);
            self.put(
                session,
                Waiting::new(message.clone()).with(qos, false),
                always,
            );
        }
    }

    /// As [`reply`](Self::reply), if the client has subscribed to the topic.
    pub(crate) fn reply_if_subscribed(&self, client_id: &str, message: &Message) {
        let has_subscribed = |session: &Session| session.subscribed(&message.topic).is_some();
        if self.lock().get(client_id).is_some_and(has_subscribed) {
            self.reply(client_id, message, false);
        }
    }

    /// As [`reply`](Self::reply), if the client is connected. Returns whether it is.
    pub(crate) fn send_direct(&self, client_id: &str, message: Message) -> bool {
        let mut sessions = self.lock();
        let session = sessions.get_mut(client_id);
        let Some(session) = session.filter(|session| session.link.is_some()) else {
            return false;
        };
        self.put(session, Waiting::new(message), false);
        true
    }

    fn put(&self, session: &mut Session, mut message: Waiting, always: bool) {
        let connection = session.link.as_ref().map_or(0, |link| link.connection);
        if !always
            && !self
                .guard
                .allows(connection, Action::Receive, message.topic())
        {
            return;
        }
        let qos = message.qos();
        if qos == 0 && session.link.is_none() {
            return; // Only QoS 1 messages wait for an absent client.
        }
        let spoils = |fault: &Fault| match fault {
            Fault::UnreadableDelivery(part) => message.topic().contains(part).then_some(()),
            _ => None,
        };
        message.unreadable = qos == 1 && self.faults.strike(connection, spoils).is_some();
        if qos == 1 && self.faults.strikes(connection, &Fault::DoubleDeliveries) {
            session.waiting.push_back(message.clone());
        }
        session.waiting.push_back(message);
        if let Some(link) = &session.link {
            link.wake.notify_one();
        }
    }

    /// The next message to send on this connection, if there is one and the client has room
    /// for it: first what an earlier connection left unacknowledged, then what is new.
    pub(crate) fn next_delivery(
        &self,
        client_id: &str,
        connection: u64,
        room: Option<u16>,
    ) -> Option<Delivery> {
        self.with(client_id, connection, |session| {
            session.next_delivery(connection, room)
        })?
    }

    /// The client acknowledged a message.
    pub(crate) fn acked(&self, client_id: &str, connection: u64, packet_id: u16) {
        self.with(client_id, connection, |session| {
            session
                .unacked
                .retain(|unacked| unacked.packet_id != packet_id);
        });
    }

    fn lock_retained(&self) -> MutexGuard<'_, BTreeMap<String, Waiting>> {
        self.retained.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
