//! What goes over a connection, packet by packet: counted, and changed where a break says so.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::lock::lock;
use super::packet::Packet;

/// Which way a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the device to the service.
    Up,
    /// From the service to the device.
    Down,
}

/// Changes packets on their way. What it returns goes on in the packet's place.
pub trait Tamper: Send {
    /// A connection begins.
    fn connected(&mut self) {}

    fn packet(&mut self, way: Way, packet: Packet) -> Vec<Packet>;
}

/// Every connection of a run has the same.
pub type SharedTamper = Arc<Mutex<dyn Tamper>>;

/// What a run has seen of what the device sends.
#[derive(Debug, Default)]
pub struct Traffic {
    recent_publishes: VecDeque<Instant>,
    /// The most publishes that left within one second, on one connection.
    pub most_publishes: usize,
    /// The longest time that nothing left on a connection.
    pub longest_silence: Duration,
    /// For how long the device has stood still so far: then, it can't send.
    pub frozen: Duration,
    /// Told whenever the device sends something.
    pub sent: Arc<Notify>,
}

impl Traffic {
    fn count_publish(&mut self) {
        let now = Instant::now();
        let is_old = |at: &Instant| now.duration_since(*at) >= Duration::from_secs(1);
        while self.recent_publishes.front().is_some_and(is_old) {
            self.recent_publishes.pop_front();
        }
        self.recent_publishes.push_back(now);
        self.most_publishes = self.most_publishes.max(self.recent_publishes.len());
    }
}

/// The packets of one connection, both ways.
pub struct Wire {
    /// The beginning of a packet, per way.
    incomplete: [Vec<u8>; 2],
    traffic: Arc<Mutex<Traffic>>,
    /// When the device last sent something, and for how long it had stood still by then.
    sent_at: (Instant, Duration),
    tamper: Option<SharedTamper>,
}

impl Wire {
    pub fn new(traffic: Arc<Mutex<Traffic>>, tamper: Option<SharedTamper>) -> Self {
        lock(&traffic).recent_publishes.clear(); // the quota is one of a connection
        if let Some(tamper) = &tamper {
            lock(tamper).connected();
        }
        let frozen = lock(&traffic).frozen;
        Self {
            incomplete: [Vec::new(), Vec::new()],
            traffic,
            sent_at: (Instant::now(), frozen),
            tamper,
        }
    }

    /// Takes bytes, and returns those that go on: whole packets only.
    pub fn carry(&mut self, way: Way, bytes: &[u8]) -> Vec<u8> {
        let mut incomplete = std::mem::take(&mut self.incomplete[way as usize]);
        incomplete.extend_from_slice(bytes);
        let mut sent = Vec::with_capacity(incomplete.len());
        while let Some(length) = Packet::length(&incomplete) {
            let packet: Vec<u8> = incomplete.drain(..length).collect();
            if way == Way::Up {
                self.sent(packet[0] >> 4 == Packet::PUBLISH);
            }
            let Some(tamper) = &self.tamper else {
                sent.extend(packet);
                continue;
            };
            for packet in lock(tamper).packet(way, Packet(packet)) {
                sent.extend(packet.0);
            }
        }
        self.incomplete[way as usize] = incomplete;
        sent
    }

    /// The device closes the connection.
    pub fn closed(&mut self) {
        self.sent(false);
    }

    fn sent(&mut self, is_publish: bool) {
        let mut traffic = lock(&self.traffic);
        let (sent_at, frozen) = self.sent_at;
        let silence = sent_at.elapsed().saturating_sub(traffic.frozen - frozen);
        traffic.longest_silence = traffic.longest_silence.max(silence);
        self.sent_at = (Instant::now(), traffic.frozen);
        traffic.sent.notify_waiters();
        if is_publish {
            traffic.count_publish();
        }
    }
}
