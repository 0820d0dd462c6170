//! One job, packet by packet, as the service sees it.

use std::fmt;
use std::time::Instant;

use local_iot_core::{Entry, Event};

use crate::round_trips::{ROUND_TRIP, TCP};
use crate::table::write_aligned;
use crate::world::{World, is_success};

/// What went over the line, with the time of each in round trips since the process was started.
#[derive(Default)]
pub struct Packets(Vec<(f64, String)>);

impl Packets {
    /// From the start of the process to the moment when the job was SUCCEEDED.
    pub fn of(world: &World, started: Instant, until: Instant) -> Self {
        let prefix = format!("$aws/things/{}/", world.core.thing_name());
        let entries = world.core.journal().entries();
        let shown = entries
            .iter()
            .take_while(|entry| entry.at <= until)
            .filter_map(|entry| Some((time(entry, started), words(&entry.event, &prefix)?)));
        Self(shown.collect())
    }
}

/// When the service saw it. From the TLS handshake on, TCP's one round trip has been added.
fn time(entry: &Entry, started: Instant) -> f64 {
    let tcp = match entry.event {
        Event::TcpAccepted => 0.0,
        _ => TCP,
    };
    tcp + (entry.at - started).as_secs_f64() / ROUND_TRIP.as_secs_f64()
}

/// A packet in few words, or nothing for what is no packet.
fn words(event: &Event, prefix: &str) -> Option<String> {
    let short = |topic: &str| topic.strip_prefix(prefix).unwrap_or(topic).to_owned();
    Some(match event {
        Event::TcpAccepted => "-> TCP connection".to_owned(),
        Event::TlsDone { version, .. } => format!("-> end of the TLS handshake ({version})"),
        Event::Connect { .. } => "-> CONNECT".to_owned(),
        Event::Connack { .. } => "<- CONNACK".to_owned(),
        Event::Subscribe { filters, .. } => format!("-> SUBSCRIBE to {} filters", filters.len()),
        Event::Suback { .. } => "<- SUBACK".to_owned(),
        Event::Publish { topic, .. } => format!("-> PUBLISH {}", short(topic)),
        Event::Puback { .. } => "<- PUBACK".to_owned(),
        Event::Deliver { topic, .. } => format!("<- PUBLISH {}", short(topic)),
        Event::DeliveryAcked { .. } => "-> PUBACK".to_owned(),
        event if is_success(event) => "   the job is SUCCEEDED".to_owned(),
        _ => return None,
    })
}

impl fmt::Display for Packets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = vec![vec![
            "round trips".to_owned(),
            "one job, as the service sees it (-> from the device, <- to it)".to_owned(),
        ]];
        let line = |(time, words): &(f64, String)| vec![format!("{time:>11.2}"), words.clone()];
        lines.extend(self.0.iter().map(line));
        write_aligned(f, &lines)
    }
}
