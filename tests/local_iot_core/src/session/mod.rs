//! MQTT sessions: what the service keeps of a client, also while it is away.

mod state;

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};

use crate::{
    faults::{Fault, Faults},
    guard::Guard,
    policy::Action,
};
use state::Session;

pub(crate) use state::{Delivery, Message};

/// What a connection can be told from outside.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    /// Close without a word.
    Drop,
    /// Send DISCONNECT with this reason code, then close.
    Disconnect(u8),
}

/// How to reach a connection.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) connection: u64,
    pub(crate) orders: mpsc::UnboundedSender<Order>,
    /// Told when the session has something to deliver.
    pub(crate) wake: Arc<Notify>,
}

/// What a client finds when it connects.
pub(crate) struct Attached {
    pub(crate) session_present: bool,
    /// Packet ids of publishes that the client sent on an earlier connection, and that the
    /// service did not acknowledge.
    pub(crate) unfinished: HashSet<u16>,
    /// The connection that the same client id has had until now.
    pub(crate) previous: Option<Link>,
}

/// The sessions of all clients, by client id.
#[derive(Debug)]
pub(crate) struct Sessions {
    sessions: Mutex<BTreeMap<String, Session>>,
    guard: Guard,
    faults: Faults,
}

/// Coming and going.
impl Sessions {
    pub(crate) fn new(guard: Guard, faults: Faults) -> Sessions {
        Sessions {
            sessions: Mutex::default(),
            guard,
            faults,
        }
    }

    pub(crate) fn attach(
        &self,
        client_id: &str,
        clean_start: bool,
        expiry: Duration,
        link: Link,
    ) -> Attached {
        let mut sessions = self.lock();
        let mut old = sessions.remove(client_id);
        let previous = old.as_mut().and_then(|session| session.link.take());
        let kept = old.filter(|session| !clean_start && session.is_alive());
        let session_present = kept.is_some();
        let mut session = kept.unwrap_or_default();
        session.link = Some(link);
        session.expiry = expiry;
        session.expires_at = None;
        let unfinished = session.unfinished.clone();
        sessions.insert(client_id.to_owned(), session);
        Attached {
            session_present,
            unfinished,
            previous,
        }
    }

    /// The connection is closed.
    pub(crate) fn detach(&self, client_id: &str, connection: u64) {
        let mut sessions = self.lock();
        let Some(session) = sessions.get_mut(client_id) else {
            return;
        };
        if !session.is_on(connection) {
            return; // Another connection has taken the session over.
        }
        session.link = None;
        session.expires_at = Instant::now().checked_add(session.expiry);
        if !session.is_alive() {
            sessions.remove(client_id);
        }
    }

    pub(crate) fn set_expiry(&self, client_id: &str, connection: u64, expiry: Duration) {
        self.with(client_id, connection, |session| session.expiry = expiry);
    }

    /// Lets the session end with its connection.
    pub(crate) fn forget(&self, client_id: &str) {
        let mut sessions = self.lock();
        match sessions.get_mut(client_id) {
            Some(session) if session.link.is_some() => session.forgotten = true,
            _ => drop(sessions.remove(client_id)),
        }
    }

    pub(crate) fn forget_all(&self) {
        let mut sessions = self.lock();
        sessions.retain(|_, session| session.link.is_some());
        sessions
            .values_mut()
            .for_each(|session| session.forgotten = true);
    }
}

/// Subscriptions.
impl Sessions {
    /// Returns whether there was room for it.
    pub(crate) fn subscribe(
        &self,
        client_id: &str,
        connection: u64,
        filter: &str,
        qos: u8,
        limit: usize,
    ) -> bool {
        let subscribe = |session: &mut Session| {
            let known = session.subscriptions.contains_key(filter);
            let room = known || session.subscriptions.len() < limit;
            if room {
                session.subscriptions.insert(filter.to_owned(), qos);
            }
            room
        };
        self.with(client_id, connection, subscribe).unwrap_or(false)
    }

    /// Returns whether there was such a subscription.
    pub(crate) fn unsubscribe(&self, client_id: &str, connection: u64, filter: &str) -> bool {
        let unsubscribe = |session: &mut Session| session.subscriptions.remove(filter).is_some();
        self.with(client_id, connection, unsubscribe)
            .unwrap_or(false)
    }

    pub(crate) fn has_subscriber(&self, topic: &str) -> bool {
        self.lock()
            .values()
            .any(|session| session.granted_qos(topic).is_some())
    }
}

/// Messages to clients.
impl Sessions {
    /// Sends a message to everybody who subscribed to its topic. With `always`, the policy
    /// is not asked.
    pub(crate) fn publish(&self, message: &Message, always: bool) {
        for session in self.lock().values_mut() {
            if let Some(qos) = session.granted_qos(&message.topic) {
                self.put(session, message, qos, always);
            }
        }
    }

    /// Sends a message to one client, subscribed or not.
    pub(crate) fn reply(&self, client_id: &str, message: &Message, always: bool) {
        if let Some(session) = self.lock().get_mut(client_id) {
            let qos = session.granted_qos(&message.topic).unwrap_or(1);
            self.put(session, message, qos, always);
        }
    }

    fn put(&self, session: &mut Session, message: &Message, granted_qos: u8, always: bool) {
        let connection = session.link.as_ref().map_or(0, |link| link.connection);
        if !always
            && !self
                .guard
                .allows(connection, Action::Receive, &message.topic)
        {
            return;
        }
        let qos = message.qos.min(granted_qos);
        if qos == 0 && session.link.is_none() {
            return; // Only QoS 1 messages wait for an absent client.
        }
        let spoils = |fault: &Fault| match fault {
            Fault::UnreadableDelivery(part) => message.topic.contains(part).then_some(()),
            _ => None,
        };
        let message = Message {
            qos,
            unreadable: qos == 1 && self.faults.strike(connection, spoils).is_some(),
            ..message.clone()
        };
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
}

/// Messages from clients.
impl Sessions {
    /// A publish of the client waits for its acknowledgement.
    pub(crate) fn begin(&self, client_id: &str, connection: u64, packet_id: u16) {
        self.with(client_id, connection, |session| {
            session.unfinished.insert(packet_id)
        });
    }

    /// A publish of the client is acknowledged.
    pub(crate) fn finish(&self, client_id: &str, connection: u64, packet_id: u16) {
        self.with(client_id, connection, |session| {
            session.unfinished.remove(&packet_id)
        });
    }
}

impl Sessions {
    /// Does something with the session that this connection has.
    fn with<T>(
        &self,
        client_id: &str,
        connection: u64,
        act: impl FnOnce(&mut Session) -> T,
    ) -> Option<T> {
        let mut sessions = self.lock();
        let session = sessions.get_mut(client_id)?;
        session.is_on(connection).then(|| act(session))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
