//! The session of one client.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use super::Link;
use crate::{message::Waiting, topic};

/// The most QoS 1 messages on their way to one client.
const LONGEST_DELIVERY_WINDOW: usize = 100;

/// What a client wants of the messages that a topic filter covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subscription {
    /// The highest QoS.
    pub(crate) qos: u8,
    /// Whether the RETAIN flag stays as the publisher set it.
    pub(crate) retain_as_published: bool,
    /// Whether it is not for what the client itself publishes.
    pub(crate) no_local: bool,
}

/// A message as it goes out on a connection.
pub(crate) struct Delivery {
    pub(crate) message: Waiting,
    pub(crate) packet_id: Option<u16>,
    pub(crate) dup: bool,
}

#[derive(Debug, Default)]
pub(super) struct Session {
    /// By topic filter.
    pub(super) subscriptions: BTreeMap<String, Subscription>,
    /// Not sent yet.
    pub(super) waiting: VecDeque<Waiting>,
    /// Sent, but not acknowledged.
    pub(super) unacked: VecDeque<Unacked>,
    last_packet_id: u16,
    /// Publishes of the client that are not acknowledged.
    pub(super) unfinished: HashSet<u16>,
    pub(super) link: Option<Link>,
    pub(super) expiry: Duration,
    /// Set while the client is away.
    pub(super) expires_at: Option<Instant>,
    /// Does not outlive the connection, whatever its expiry says.
    pub(super) forgotten: bool,
}

#[derive(Debug)]
pub(super) struct Unacked {
    pub(super) packet_id: u16,
    message: Waiting,
    /// The connection on which it was sent last.
    connection: u64,
}

impl Session {
    pub(super) fn is_on(&self, connection: u64) -> bool {
        self.link
            .as_ref()
            .is_some_and(|link| link.connection == connection)
    }

    /// Does it outlive its connection?
    pub(super) fn is_alive(&self) -> bool {
        let expired = self.expires_at.is_some_and(|at| at <= Instant::now());
        !self.forgotten && !self.expiry.is_zero() && !expired
    }

    /// What all subscriptions to a topic want together.
    pub(super) fn subscribed(&self, topic: &str) -> Option<Subscription> {
        self.together(topic, |_| true)
    }

    /// The same, where the client itself publishes to the topic.
    pub(super) fn subscribed_to_its_own(&self, topic: &str) -> Option<Subscription> {
        self.together(topic, |subscription| !subscription.no_local)
    }

    fn together(
        &self,
        topic: &str,
        counts: impl Fn(&Subscription) -> bool,
    ) -> Option<Subscription> {
        let covering = self
            .subscriptions
            .iter()
            .filter(|(filter, subscription)| topic::covers(filter, topic) && counts(subscription))
            .map(|(_, subscription)| *subscription);
        covering.reduce(|one, other| Subscription {
            qos: one.qos.max(other.qos),
            retain_as_published: one.retain_as_published || other.retain_as_published,
            no_local: false,
        })
    }

    pub(super) fn next_delivery(&mut self, connection: u64, room: Option<u16>) -> Option<Delivery> {
        let has_room = room != Some(0);
        let left_over = |unacked: &&mut Unacked| unacked.connection != connection;
        if let Some(unacked) = self.unacked.iter_mut().find(left_over) {
            if !has_room {
                return None;
            }
            unacked.connection = connection;
            let packet_id = Some(unacked.packet_id);
            return Some(Delivery {
                message: unacked.message.clone(),
                packet_id,
                dup: true,
            });
        }
        let needs_room = self.waiting.front()?.qos() > 0;
        if needs_room && (!has_room || self.unacked.len() >= LONGEST_DELIVERY_WINDOW) {
            return None;
        }
        let message = self.waiting.pop_front()?;
        let packet_id = needs_room.then(|| self.free_packet_id());
        if let Some(packet_id) = packet_id {
            let message = message.clone();
            self.unacked.push_back(Unacked {
                packet_id,
                message,
                connection,
            });
        }
        Some(Delivery {
            message,
            packet_id,
            dup: false,
        })
    }

    /// There is always one free: far fewer than 65,535 messages are on their way.
    fn free_packet_id(&mut self) -> u16 {
        loop {
            self.last_packet_id = self.last_packet_id.checked_add(1).unwrap_or(1);
            let id = self.last_packet_id;
            if self.unacked.iter().all(|unacked| unacked.packet_id != id) {
                return id;
            }
        }
    }
}
