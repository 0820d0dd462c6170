//! A server that lies, by a seed: what local_iot_core sends is changed on its way.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use local_iot_core::{Tamper, breaches};

/// What it does to what is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trick {
    /// Some bits are turned over.
    Bits,
    /// Some bytes are left out.
    Gap,
    /// Some bytes come twice.
    Double,
    /// Random bytes in between.
    Noise,
    /// A packet that MQTT forbids there.
    Breach,
    /// Nothing comes.
    Silence,
    /// One byte at a time.
    Trickle,
    /// Far more than anybody needs.
    Flood,
}

/// Silence costs the most time and shows the least.
const TRICKS: [Trick; 15] = [
    Trick::Bits,
    Trick::Gap,
    Trick::Double,
    Trick::Noise,
    Trick::Breach,
    Trick::Trickle,
    Trick::Flood,
    Trick::Bits,
    Trick::Gap,
    Trick::Double,
    Trick::Noise,
    Trick::Breach,
    Trick::Trickle,
    Trick::Flood,
    Trick::Silence,
];

/// How many bytes a flood has.
const FLOOD: usize = 2 * 1024 * 1024;

/// It plays a trick on every other thing that is sent.
pub struct Hostile {
    random: Mutex<fastrand::Rng>,
    played: Mutex<BTreeMap<Trick, usize>>,
}

impl Hostile {
    pub fn new(seed: u64) -> Self {
        Self {
            random: Mutex::new(fastrand::Rng::with_seed(seed)),
            played: Mutex::default(),
        }
    }

    /// How often each trick was played.
    pub fn played(&self) -> BTreeMap<Trick, usize> {
        self.played.lock().unwrap().clone()
    }
}

impl Tamper for Hostile {
    fn tamper(&self, _connection: u64, packets: Vec<u8>) -> Vec<(Duration, Vec<u8>)> {
        let random = &mut *self.random.lock().unwrap();
        if random.bool() {
            return vec![(Duration::ZERO, packets)];
        }
        let trick = *random.choice(TRICKS.iter()).unwrap();
        *self.played.lock().unwrap().entry(trick).or_default() += 1;
        let mut pieces = play(trick, packets, random);
        for (_, piece) in &mut pieces {
            // A server that tells a device of a second one with its client ID ends it for good. That
            // is no lie that a device could see through.
            piece
                .iter_mut()
                .filter(|byte| **byte == 0x8e)
                .for_each(|byte| *byte = 0x8b);
        }
        pieces
    }
}

fn play(trick: Trick, mut bytes: Vec<u8>, random: &mut fastrand::Rng) -> Vec<(Duration, Vec<u8>)> {
    let at = random.usize(..=bytes.len());
    let end = (at + random.usize(1..20)).min(bytes.len());
    match trick {
        Trick::Bits => {
            for _ in 0..random.usize(1..4) {
                let nth = random.usize(..bytes.len());
                bytes[nth] ^= 1 << random.u8(..8);
            }
        }
        Trick::Gap => drop(bytes.drain(at..end)),
        Trick::Double => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
        Trick::Noise => {
            let noise: Vec<u8> = (0..random.usize(1..200)).map(|_| random.u8(..)).collect();
            bytes.splice(at..at, noise);
        }
        Trick::Breach => {
            let (.., breach, _) = random.choice(breaches().iter()).unwrap();
            bytes.extend(breach.bytes(random.u16(..)));
        }
        Trick::Silence => bytes.clear(),
        Trick::Trickle => {
            let pieces = bytes.iter().take(300);
            return pieces
                .map(|byte| (Duration::from_millis(2), vec![*byte]))
                .collect();
        }
        Trick::Flood => {
            let packet: &[u8] = match random.u8(..4) {
                0 => &[0xd0, 0],                           // PINGRESP
                1 => b"\x30\x05\0\x01a\0x",                // a message for nobody
                2 => b"\x32\x07\0\x01a\0\x07\0x",          // at QoS 1: to be acknowledged each time
                _ => b"\x30\x09\0\x01a\x04\x26\0\0\0\0xx", // with a user property (and more than that)
            };
            bytes.extend(packet.repeat(FLOOD / packet.len()));
        }
    }
    vec![(Duration::ZERO, bytes)]
}
