//! What was sent and is not acknowledged yet, with the packet ids (MQTT5, section 2.2.1). It outlives
//! the connection: what a lost one left without an acknowledgement is sent again in the resumed session
//! (section 4.4).

use std::collections::VecDeque;
use std::time::Duration;

use rumqttc::v5::mqttbytes::v5::Publish;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::error::PublishError;
use super::publish::LARGEST_PAYLOAD;

/// So many bytes on their way need no time of their own…
const FREE_BYTES: usize = 4_000;
/// …and the slowest link that is waited for takes this many bytes in a second.
const MIN_BYTES_PER_SECOND: usize = 1_000;

/// Tells a publisher how it ended: in the session with this number, or not.
pub(super) type Done = oneshot::Sender<Result<u64, PublishError>>;

/// What waits for its acknowledgement.
#[derive(Debug)]
pub(super) enum Sent {
    Publish { packet: Publish, done: Done },
    Subscribe { filters: Vec<String> },
    Unsubscribe { filters: Vec<String> },
}

impl Sent {
    /// The packet's name, for messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Publish { .. } => "PUBLISH",
            Self::Subscribe { .. } => "SUBSCRIBE",
            Self::Unsubscribe { .. } => "UNSUBSCRIBE",
        }
    }

    fn names(&self) -> Vec<String> {
        match self {
            Self::Publish { packet, .. } => vec![topic(packet)],
            Self::Subscribe { filters } | Self::Unsubscribe { filters } => filters.clone(),
        }
    }

    fn fail(self, error: PublishError) {
        if let Self::Publish { done, .. } = self {
            let _ = done.send(Err(error)); // the caller may no longer wait
        }
    }
}

pub(super) fn topic(packet: &Publish) -> String {
    String::from_utf8_lossy(&packet.topic).into_owned()
}

struct Slot {
    id: u16,
    sent: Sent,
    size: usize,
    /// When it was sent on the connection under way.
    since: Instant,
}

/// The packets in flight, oldest first.
#[derive(Default)]
pub(super) struct InFlight {
    slots: VecDeque<Slot>,
    last_id: u16,
}

impl InFlight {
    /// A packet id that is not in use.
    pub fn next_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if self.position(self.last_id).is_none() {
                return self.last_id; // there are far fewer packets than ids
            }
        }
    }

    /// A packet of `size` bytes was sent with this id.
    pub fn push(&mut self, id: u16, sent: Sent, size: usize) {
        let since = Instant::now();
        self.slots.push_back(Slot {
            id,
            sent,
            size,
            since,
        });
    }

    /// The packet with this id is acknowledged, if its name is this one. `None`: it is not in flight (a
    /// server may acknowledge what we have given up).
    ///
    /// # Errors
    /// The name of what is in flight with this id instead.
    pub fn acknowledged(&mut self, id: u16, name: &str) -> Result<Option<Sent>, &'static str> {
        let Some(nth) = self.position(id) else {
            return Ok(None);
        };
        let other = self.slots[nth].sent.name();
        if other != name {
            return Err(other);
        }
        Ok(self.slots.remove(nth).map(|slot| slot.sent))
    }

    /// How many publishes wait for their PUBACK.
    pub fn publishes(&self) -> usize {
        let is_publish = |slot: &&Slot| matches!(slot.sent, Sent::Publish { .. });
        self.slots.iter().filter(is_publish).count()
    }

    /// The oldest, if it is a publish: what a DISCONNECT that says "not authorized" refuses.
    pub fn take_oldest_publish(&mut self) -> Option<(Publish, Done)> {
        match self.slots.pop_front()? {
            Slot {
                sent: Sent::Publish { packet, done },
                ..
            } => Some((packet, done)),
            other => {
                self.slots.push_front(other);
                None
            }
        }
    }

    /// The packet that has waited longest on this connection: since when, and its name.
    pub fn oldest(&self) -> Option<(Instant, &'static str)> {
        let slot = self.slots.iter().min_by_key(|slot| slot.since)?;
        Some((slot.since, slot.sent.name()))
    }

    /// The time that the bytes on their way may take before any answer; no more than those of the largest
    /// message, for the link may be dead. (What is sent at QoS 0 is not known.)
    pub fn time_for_bytes(&self) -> Duration {
        let bytes: usize = self.slots.iter().map(|slot| slot.size).sum();
        let bytes = bytes.min(LARGEST_PAYLOAD).saturating_sub(FREE_BYTES);
        Duration::from_millis((bytes * 1_000 / MIN_BYTES_PER_SECOND) as u64)
    }

    /// Topics and filters that wait for their acknowledgement.
    pub fn names(&self) -> Vec<String> {
        self.slots
            .iter()
            .flat_map(|slot| slot.sent.names())
            .collect()
    }

    /// Drops what is made anew on the next connection: SUBSCRIBE and UNSUBSCRIBE.
    pub fn drop_subscribes(&mut self) {
        let is_publish = |slot: &Slot| matches!(slot.sent, Sent::Publish { .. });
        self.slots.retain(is_publish);
    }

    /// In the resumed session: every publish is sent again, in its order and marked as a duplicate.
    /// One that `send` refuses ends with its error.
    pub fn send_again(
        &mut self,
        mut send: impl FnMut(&Publish) -> Result<usize, PublishError>,
    ) -> u32 {
        let mut again = 0;
        for mut slot in std::mem::take(&mut self.slots) {
            if let Sent::Publish { packet, .. } = &mut slot.sent {
                packet.dup = true;
                if let Err(error) = send(packet) {
                    slot.sent.fail(error);
                    continue;
                }
                again += 1;
            }
            slot.since = Instant::now();
            self.slots.push_back(slot);
        }
        again
    }

    /// The session is gone, and all that was under way in it: whoever waits is told.
    pub fn clear(&mut self) {
        for slot in std::mem::take(&mut self.slots) {
            slot.sent.fail(PublishError::SessionLost);
        }
    }

    fn position(&self, id: u16) -> Option<usize> {
        self.slots.iter().position(|slot| slot.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(
        in_flight: &mut InFlight,
        size: usize,
    ) -> (u16, oneshot::Receiver<Result<u64, PublishError>>) {
        let (done, outcome) = oneshot::channel();
        let id = in_flight.next_id();
        let packet = super::super::Publish::new("a", "").packet(id);
        in_flight.push(id, Sent::Publish { packet, done }, size);
        (id, outcome)
    }

    #[tokio::test]
    async fn an_id_comes_round_only_when_it_is_free() {
        let mut in_flight = InFlight::default();
        let (first, _outcome) = publish(&mut in_flight, 10);
        for _ in 1..u16::MAX {
            let id = in_flight.next_id();
            assert!(id != first && id != 0);
        }
        assert_ne!(in_flight.next_id(), first);
    }

    #[tokio::test]
    async fn an_acknowledgement_of_the_wrong_kind_is_told_and_an_unknown_one_ignored() {
        let mut in_flight = InFlight::default();
        let (id, _outcome) = publish(&mut in_flight, 10);
        let mut acknowledged = |id| in_flight.acknowledged(id, "SUBSCRIBE");
        assert!(matches!(acknowledged(id), Err("PUBLISH")));
        assert!(matches!(acknowledged(id + 1), Ok(None)));
        assert_eq!(in_flight.publishes(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_large_may_take_its_time() {
        let mut in_flight = InFlight::default();
        let (_, _small) = publish(&mut in_flight, 400);
        assert_eq!(in_flight.time_for_bytes(), Duration::ZERO);
        let (_, _large) = publish(&mut in_flight, 100_000);
        assert_eq!(in_flight.time_for_bytes(), Duration::from_millis(96_400));
        let (_, _larger) = publish(&mut in_flight, 10_000_000);
        assert_eq!(in_flight.time_for_bytes().as_secs(), 127);
    }

    #[tokio::test]
    async fn a_resumed_session_repeats_publishes_in_their_order_and_a_lost_one_tells_them() {
        let mut in_flight = InFlight::default();
        let (first, lost) = publish(&mut in_flight, 10);
        let id = in_flight.next_id();
        let filters = vec!["f".to_owned()];
        in_flight.push(id, Sent::Subscribe { filters }, 10);
        let (last, too_large) = publish(&mut in_flight, 10);
        in_flight.drop_subscribes();
        let mut repeated = Vec::new();
        in_flight.send_again(|packet| {
            assert!(packet.dup);
            repeated.push(packet.pkid);
            let error = PublishError::TooLarge { size: 2, limit: 1 };
            if packet.pkid == last {
                Err(error)
            } else {
                Ok(10)
            }
        });
        assert_eq!(repeated, [first, last]);
        assert!(matches!(
            too_large.await,
            Ok(Err(PublishError::TooLarge { .. }))
        ));
        in_flight.clear();
        assert_eq!(lost.await, Ok(Err(PublishError::SessionLost)));
    }
}
