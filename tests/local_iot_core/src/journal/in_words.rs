//! An event in words: a line of the journal.

use std::fmt;

use super::Event;

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::TcpAccepted => write!(f, "TCP connection accepted"),
            Event::TlsDone { alpn, version, sni } => {
                write!(f, "TLS handshake done: {version}, SNI {sni}")?;
                alpn.iter().try_for_each(|alpn| write!(f, ", ALPN {alpn}"))
            }
            Event::TlsFailed(why) => write!(f, "TLS handshake failed: {why}"),
            Event::Connect {
                client_id,
                clean_start,
                keep_alive,
                session_expiry,
                will_topic,
            } => {
                write!(
                    f,
                    "CONNECT from '{client_id}', clean start {clean_start}, \
                     keep alive {keep_alive} s, session expiry {session_expiry} s"
                )?;
                will_topic
                    .iter()
                    .try_for_each(|topic| write!(f, ", will on {topic}"))
            }
            Event::Connack {
                code,
                session_present,
            } => {
                write!(f, "CONNACK 0x{code:02x}, session present {session_present}")
            }
            Event::Subscribe { filters, packet_id } => {
                write!(f, "SUBSCRIBE {packet_id}: {}", filters.join(" "))
            }
            Event::Suback { codes } => {
                write!(f, "SUBACK")?;
                codes.iter().try_for_each(|code| write!(f, " 0x{code:02x}"))
            }
            Event::Unsubscribe { filters } => write!(f, "UNSUBSCRIBE {}", filters.join(" ")),
            Event::Publish {
                topic,
                payload,
                packet_id,
                dup,
                retain,
                properties,
                ..
            } => {
                write!(f, "PUBLISH")?;
                write_packet_id(f, *packet_id, *dup)?;
                f.write_str(if *retain { " (RETAIN)" } else { "" })?;
                write!(f, " to {topic}{properties}: {}", Excerpt(payload))
            }
            Event::Will { client_id, topic } => {
                write!(f, "the will of '{client_id}' is published to {topic}")
            }
            Event::Puback { packet_id, code } => write!(f, "PUBACK {packet_id}: 0x{code:02x}"),
            Event::Request {
                operation,
                job_id,
                client_token,
            } => {
                write!(f, "request {operation}")?;
                job_id
                    .iter()
                    .try_for_each(|id| write!(f, " of job '{id}'"))?;
                client_token
                    .iter()
                    .try_for_each(|token| write!(f, ", client token '{token}'"))
            }
            Event::Reply { topic, payload, .. } => {
                let kind = match topic.ends_with("/notify") || topic.ends_with("/notify-next") {
                    true => "event",
                    false => "reply",
                };
                write!(f, "{kind} on {topic}: {}", Excerpt(payload))
            }
            Event::StateChange {
                job_id,
                from: Some(from),
                to,
                version,
            } => {
                write!(f, "job '{job_id}': {from} -> {to}, version {version}")
            }
            Event::StateChange {
                job_id,
                from: None,
                to,
                version,
            } => {
                write!(f, "job '{job_id}': {to}, version {version}")
            }
            Event::Deliver {
                topic,
                packet_id,
                dup,
                retain,
                payload,
                properties,
            } => {
                write!(f, "delivery")?;
                write_packet_id(f, *packet_id, *dup)?;
                f.write_str(if *retain { " (RETAIN)" } else { "" })?;
                write!(f, " on {topic}{properties}")?;
                match topic.starts_with('$') {
                    true => Ok(()), // what it says, Event::Reply has told
                    false => write!(f, ": {}", Excerpt(payload)),
                }
            }
            Event::DeliveryAcked { packet_id } => write!(f, "delivery {packet_id} acknowledged"),
            Event::Pingreq => write!(f, "PINGREQ"),
            Event::Disconnect { by_client, reason } => {
                let sender = if *by_client { "client" } else { "service" };
                write!(f, "DISCONNECT by the {sender}: 0x{reason:02x}")
            }
            Event::ConnectionClosed => write!(f, "connection closed"),
            Event::Refused { action, resource } => {
                write!(f, "refused by the policy: {action} on {resource}")
            }
            Event::Fault(fault) => write!(f, "fault: {fault}"),
            Event::Dropped(what) => write!(f, "not delivered: {what}"),
            Event::Violation(what) => write!(f, "VIOLATION: {what}"),
            Event::Note(what) => f.write_str(what),
            Event::Console(done) => done.fmt(f),
        }
        // Text from outside is quoted as it came: whoever shows it on a terminal escapes it.
    }
}

fn write_packet_id(f: &mut fmt::Formatter<'_>, id: Option<u16>, dup: bool) -> fmt::Result {
    id.iter().try_for_each(|id| write!(f, " {id}"))?;
    f.write_str(if dup { " (DUP)" } else { "" })
}

/// The beginning of a message, as text.
struct Excerpt<'a>(&'a [u8]);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 500;
        let shown = &self.0[..self.0.len().min(SHOWN)];
        for character in String::from_utf8_lossy(shown).chars() {
            match character.is_control() {
                true => write!(f, "{}", character.escape_default())?,
                false => write!(f, "{character}")?,
            }
        }
        match self.0.len() {
            0..=SHOWN => Ok(()),
            length => write!(f, "… ({length} bytes)"),
        }
    }
}
