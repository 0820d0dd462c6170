//! MQTT sessions: what the service keeps of a client, also while it is away.

mod messages;
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

use crate::{faults::Faults, guard::Guard, message::Waiting};
use state::Session;

pub(crate) use state::{Delivery, Subscription};

/// What a connection can be told from outside.
#[derive(Debug, Clone)]
pub(crate) enum Order {
    /// Close without a word.
    Drop,
    /// Send DISCONNECT with this reason code, then close.
    Disconnect(u8),
    /// Send these bytes, whatever they are.
    Send(Arc<[u8]>),
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

/// What came of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subscribed {
    /// The session had none to this filter.
    Anew,
    /// It takes the place of one to this filter.
    Again,
    /// There are too many.
    NoRoom,
}

/// The sessions of all clients, by client id.
#[derive(Debug)]
pub(crate) struct Sessions {
    sessions: Mutex<BTreeMap<String, Session>>,
    /// The retained messages, by topic.
    retained: Mutex<BTreeMap<String, Waiting>>,
    guard: Guard,
    faults: Faults,
}

/// Coming and going.
impl Sessions {
    pub(crate) fn new(guard: Guard, faults: Faults) -> Sessions {
        Sessions {
            sessions: Mutex::default(),
            retained: Mutex::default(),
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
    pub(crate) fn forget_subscriptions(&self) {
        let mut sessions = self.lock();
        sessions
            .values_mut()
            .for_each(|one| one.subscriptions.clear());
    }

    pub(crate) fn subscribe(
        &self,
        client_id: &str,
        connection: u64,
        filter: &str,
        subscription: Subscription,
        limit: usize,
    ) -> Subscribed {
        let subscribe = |session: &mut Session| {
            let known = session.subscriptions.contains_key(filter);
            if !known && session.subscriptions.len() >= limit {
                return Subscribed::NoRoom;
            }
            session
                .subscriptions
                .insert(filter.to_owned(), subscription);
            if known {
                Subscribed::Again
            } else {
                Subscribed::Anew
            }
        };
        self.with(client_id, connection, subscribe)
            .unwrap_or(Subscribed::NoRoom)
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
            .any(|session| session.subscribed(topic).is_some())
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
