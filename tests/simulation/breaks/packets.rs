//! Faults that are made on the way, packet by packet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::network::{Packet, Publish, SharedTamper, Tamper, Way};

/// Every this many acknowledgements, one is forgotten.
const FORGOTTEN: u32 = 5;
/// The packet ids of what was never sent by the device.
const FORGED_IDS: u16 = 0x8000;

/// A fault that needs no memory: what becomes of a packet.
struct Plain(fn(Way, Packet) -> Packet);

impl Tamper for Plain {
    fn packet(&mut self, way: Way, packet: Packet) -> Vec<Packet> {
        vec![(self.0)(way, packet)]
    }
}

fn plain(change: fn(Way, Packet) -> Packet) -> SharedTamper {
    Arc::new(Mutex::new(Plain(change)))
}

/// A PUBLISH with its JSON changed, if it goes that way and its topic ends so.
fn edited(mut packet: Packet, ends: &str, edit: impl FnOnce(&mut Value)) -> Packet {
    let publish = packet.publish();
    let edited = publish
        .filter(|publish| publish.topic.ends_with(ends))
        .and_then(|publish| publish.edited(edit));
    edited.map_or(packet, |publish| publish.packet())
}

pub fn confused_execution() -> SharedTamper {
    plain(|way, packet| match way {
        Way::Down => packet,
        Way::Up => edited(packet, "/update", |update| {
            if let Some(fields) = update.as_object_mut() {
                fields.remove("executionNumber");
                fields.remove("expectedVersion");
            }
        }),
    })
}

pub fn guessed_version() -> SharedTamper {
    plain(|way, packet| match way {
        Way::Down => packet,
        Way::Up => edited(packet, "/update", |update| {
            let version = update["expectedVersion"].as_u64().unwrap_or_default();
            update["expectedVersion"] = json!(version + 1);
        }),
    })
}

pub fn always_succeeded() -> SharedTamper {
    plain(|way, packet| match way {
        Way::Down => packet,
        Way::Up => edited(packet, "/update", |update| {
            if update["status"] == "FAILED" {
                update["status"] = json!("SUCCEEDED");
            }
        }),
    })
}

pub fn lost_session_resumed() -> SharedTamper {
    plain(|way, packet| connack(way, packet, |body| body[0] = 1))
}

/// In CONNACK, the receive maximum is the second property, behind five bytes of the first.
pub fn no_receive_maximum() -> SharedTamper {
    const RECEIVE_MAXIMUM: u8 = 0x21;
    plain(|way, packet| {
        connack(way, packet, |body| {
            if body[8] == RECEIVE_MAXIMUM {
                body[9..11].copy_from_slice(&100u16.to_be_bytes());
            }
        })
    })
}

/// A CONNACK that says yes, changed.
fn connack(way: Way, mut packet: Packet, change: fn(&mut [u8])) -> Packet {
    if way == Way::Down && packet.kind() == Packet::CONNACK {
        let body = packet.body();
        if body[1] == 0 {
            change(body);
        }
    }
    packet
}

pub fn repeated_without_dup() -> SharedTamper {
    plain(|way, mut packet| match packet.publish() {
        Some(publish) if way == Way::Up => publish.sent_first().packet(),
        _ => packet,
    })
}

pub fn deaf_to_events() -> SharedTamper {
    struct Deaf;
    impl Tamper for Deaf {
        fn packet(&mut self, way: Way, mut packet: Packet) -> Vec<Packet> {
            let is_event = |publish: &Publish| publish.topic.ends_with("/notify-next");
            let unheard = way == Way::Down && packet.publish().as_ref().is_some_and(is_event);
            if unheard { Vec::new() } else { vec![packet] }
        }
    }
    Arc::new(Mutex::new(Deaf))
}

/// In a session that goes on, it subscribes to something else.
pub fn comes_back_deaf() -> SharedTamper {
    #[derive(Default)]
    struct Deaf {
        session_goes_on: bool,
    }
    impl Tamper for Deaf {
        fn packet(&mut self, way: Way, mut packet: Packet) -> Vec<Packet> {
            match packet.kind() {
                Packet::CONNACK if way == Way::Down => self.session_goes_on = packet.body()[0] == 1,
                Packet::SUBSCRIBE if way == Way::Up && self.session_goes_on => {
                    packet.replace(b"notify-next", b"notify-nope");
                }
                _ => {}
            }
            vec![packet]
        }
    }
    Arc::new(Mutex::new(Deaf::default()))
}

pub fn forgotten_puback() -> SharedTamper {
    #[derive(Default)]
    struct Forgetful(u32);
    impl Tamper for Forgetful {
        fn packet(&mut self, way: Way, packet: Packet) -> Vec<Packet> {
            if way == Way::Up && packet.kind() == Packet::PUBACK {
                self.0 += 1;
                if self.0.is_multiple_of(FORGOTTEN) {
                    return Vec::new();
                }
            }
            vec![packet]
        }
    }
    Arc::new(Mutex::new(Forgetful::default()))
}

pub fn update_sent_twice() -> SharedTamper {
    #[derive(Default)]
    struct Twice(BTreeSet<u16>);
    impl Tamper for Twice {
        fn connected(&mut self) {
            self.0.clear();
        }

        fn packet(&mut self, way: Way, mut packet: Packet) -> Vec<Packet> {
            match (way, packet.publish()) {
                (Way::Up, Some(publish)) if publish.topic.ends_with("/update") => {
                    let id = publish.packet_id.unwrap_or_default() | FORGED_IDS;
                    let mut again = publish.sent_first();
                    again.packet_id = Some(id);
                    // The service would find fault with the packet id if the first were under way.
                    if self.0.insert(id) {
                        return vec![packet, again.packet()];
                    }
                }
                (Way::Down, None) => {
                    let forged = packet.acknowledged().filter(|id| self.0.remove(id));
                    if forged.is_some() {
                        return Vec::new();
                    }
                }
                _ => {}
            }
            vec![packet]
        }
    }
    Arc::new(Mutex::new(Twice::default()))
}

pub fn reply_without_token() -> SharedTamper {
    /// The last token of each request's topic.
    #[derive(Default)]
    struct Careless(BTreeMap<String, Value>);
    impl Tamper for Careless {
        fn packet(&mut self, way: Way, mut packet: Packet) -> Vec<Packet> {
            let Some(publish) = packet.publish() else {
                return vec![packet];
            };
            if way == Way::Up {
                let request: Option<Value> = serde_json::from_slice(&publish.payload).ok();
                let token = request.map(|request| request["clientToken"].clone());
                self.0.extend(token.map(|token| (publish.topic, token)));
                return vec![packet];
            }
            let Some(asked) = publish.topic.rsplit_once('/').map(|(asked, _)| asked) else {
                return vec![packet];
            };
            let token = self.0.get(asked).cloned();
            let taken =
                token.and_then(|token| publish.edited(|reply| reply["clientToken"] = token));
            vec![taken.map_or(packet, |publish| publish.packet())]
        }
    }
    Arc::new(Mutex::new(Careless::default()))
}
