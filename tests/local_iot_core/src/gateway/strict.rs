//! What a client must not do, as far as it takes some counting to notice.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use mqtt_protocol_core::mqtt::packet::Packet;
use tokio::time::Instant;

/// The client's QoS 1 publishes that it can't know to be acknowledged yet.
///
/// A publish that comes in now was sent before the client could see an acknowledgement that
/// left less than a round trip ago. So an acknowledgement counts only after that time.
#[derive(Debug)]
pub(super) struct InFlight {
    /// By packet id; with the time when the acknowledgement left.
    publishes: HashMap<u16, Option<Instant>>,
    /// Acknowledgements that are written but have not left.
    unflushed: Vec<u16>,
    round_trip: Duration,
}

/// What is wrong with a publish.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Offence {
    /// Its packet id is in use.
    PacketIdInFlight,
    /// There are too many.
    ReceiveMaximumExceeded,
}

impl InFlight {
    pub(super) fn new(round_trip: Duration) -> InFlight {
        InFlight {
            publishes: HashMap::new(),
            unflushed: Vec::new(),
            round_trip,
        }
    }

    pub(super) fn receive(&mut self, packet_id: u16, maximum: u16) -> Result<(), Offence> {
        let now = Instant::now();
        let is_known = |left: Instant| left + self.round_trip <= now;
        self.publishes.retain(|_, left| !left.is_some_and(is_known));
        if self.publishes.contains_key(&packet_id) {
            return Err(Offence::PacketIdInFlight);
        }
        if self.publishes.len() >= usize::from(maximum) {
            return Err(Offence::ReceiveMaximumExceeded);
        }
        self.publishes.insert(packet_id, None);
        Ok(())
    }

    /// An acknowledgement is written.
    pub(super) fn acknowledge(&mut self, packet_id: u16) {
        self.unflushed.push(packet_id);
    }

    /// All that is written leaves now.
    pub(super) fn flush(&mut self) {
        let now = Instant::now();
        for packet_id in self.unflushed.drain(..) {
            self.publishes.insert(packet_id, Some(now));
        }
    }
}

/// Counts publishes in a window of one second that slides along.
#[derive(Debug, Default)]
pub(super) struct Rate {
    recent: VecDeque<Instant>,
}

impl Rate {
    /// Counts one more. Returns whether it is one too many.
    pub(super) fn exceeds(&mut self, maximum: usize) -> bool {
        let now = Instant::now();
        let is_old = |at: &Instant| now.duration_since(*at) >= Duration::from_secs(1);
        while self.recent.front().is_some_and(is_old) {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        self.recent.len() > maximum
    }
}

/// How many bytes have come of the packet that is under way.
#[derive(Debug, Default)]
pub(super) struct PacketLength(u64);

impl PacketLength {
    pub(super) fn add(&mut self, bytes: u64) {
        self.0 += bytes;
    }

    /// Does a PUBLISH end before the length of its properties? The MQTT library takes it, and the
    /// length that it says the packet has is then more than what has come. (That of one whose topic the
    /// library has filled in by its alias is more as well; but an alias is a property.)
    pub(super) fn lacks_properties(&self, packet: &Packet) -> bool {
        match packet {
            Packet::V5_0Publish(publish) => {
                !publish.topic_name_extracted() && publish.size() as u64 > self.0
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrives_together_was_sent_together() {
        let mut in_flight = InFlight::new(Duration::ZERO);
        assert_eq!(in_flight.receive(1, 2), Ok(()));
        in_flight.acknowledge(1);
        assert_eq!(in_flight.receive(1, 2), Err(Offence::PacketIdInFlight));
        assert_eq!(in_flight.receive(2, 2), Ok(()));
        assert_eq!(
            in_flight.receive(3, 2),
            Err(Offence::ReceiveMaximumExceeded)
        );
        in_flight.flush();
        assert_eq!(in_flight.receive(1, 2), Ok(()));
    }

    #[test]
    fn an_acknowledgement_travels() {
        let mut in_flight = InFlight::new(Duration::from_secs(60));
        assert_eq!(in_flight.receive(1, 2), Ok(()));
        in_flight.acknowledge(1);
        in_flight.flush();
        assert_eq!(in_flight.receive(1, 2), Err(Offence::PacketIdInFlight));
    }

    #[test]
    fn rate() {
        let mut rate = Rate::default();
        assert!((0..100).all(|_| !rate.exceeds(100)));
        assert!(rate.exceeds(100));
    }
}
