//! What can stand in the journal.

use std::{fmt, sync::Arc};

use crate::{jobs::Operation, jobs::Status, message::Properties, policy::Action};

/// Something that the service saw or did.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A TCP connection came in.
    TcpAccepted,
    /// Its TLS handshake is done.
    TlsDone {
        /// The protocol that the client asked for and got.
        alpn: Option<String>,
        /// `TLSv1_2` or `TLSv1_3`.
        version: String,
        /// The host name that the client asked for.
        sni: String,
    },
    /// Its TLS handshake failed.
    TlsFailed(String),
    /// A client sent CONNECT.
    Connect {
        /// Its client id.
        client_id: String,
        /// Whether it wants a new session in any case.
        clean_start: bool,
        /// The longest time between two packets of the client, in seconds; 0 for none.
        keep_alive: u16,
        /// How long the session is to outlive the connection, in seconds.
        session_expiry: u32,
        /// The topic of its will.
        will_topic: Option<String>,
    },
    /// The service answered with CONNACK.
    Connack {
        /// The reason code: 0 for success.
        code: u8,
        /// Whether an earlier session goes on.
        session_present: bool,
    },
    /// The client sent SUBSCRIBE.
    Subscribe {
        /// The topic filters.
        filters: Vec<String>,
        /// The packet id.
        packet_id: u16,
    },
    /// The service answered with SUBACK.
    Suback {
        /// A reason code for each filter.
        codes: Vec<u8>,
    },
    /// The client sent UNSUBSCRIBE.
    Unsubscribe {
        /// The topic filters.
        filters: Vec<String>,
    },
    /// The client sent PUBLISH.
    Publish {
        /// Its client id.
        client_id: String,
        /// The topic, with an alias resolved.
        topic: String,
        /// The message.
        payload: Arc<[u8]>,
        /// 0 or 1.
        qos: u8,
        /// Whether the client says that it sent this before.
        dup: bool,
        /// Whether the message is to be kept for those who subscribe later.
        retain: bool,
        /// The packet id; none at QoS 0.
        packet_id: Option<u16>,
        /// What else the message says.
        properties: Properties,
    },
    /// The will of a client is published: its connection ended without DISCONNECT.
    Will {
        /// Its client id.
        client_id: String,
        /// The topic.
        topic: String,
    },
    /// The service answered with PUBACK.
    Puback {
        /// The packet id of the client's PUBLISH.
        packet_id: u16,
        /// The reason code: 0 for success.
        code: u8,
    },
    /// The Jobs service got a request.
    Request {
        /// Which operation is asked for.
        operation: Operation,
        /// The job that it concerns; `$next` is possible.
        job_id: Option<String>,
        /// The token to be echoed in the reply.
        client_token: Option<String>,
    },
    /// The Jobs service replied, or sent an event (notify, notify-next).
    Reply {
        /// The topic of the reply.
        topic: String,
        /// Whether the request was accepted.
        accepted: bool,
        /// The error code of a rejection.
        code: Option<String>,
        /// The message.
        payload: Arc<[u8]>,
    },
    /// A job execution changed its state, or was changed without a change of state.
    StateChange {
        /// The job.
        job_id: String,
        /// The state before; none for a new execution.
        from: Option<Status>,
        /// The state after.
        to: Status,
        /// The version after.
        version: u64,
    },
    /// The service sent PUBLISH to the client.
    Deliver {
        /// The topic.
        topic: String,
        /// The packet id; none at QoS 0.
        packet_id: Option<u16>,
        /// Whether it was sent on an earlier connection already.
        dup: bool,
        /// Whether the message was published before the client subscribed, and kept.
        retain: bool,
        /// The message.
        payload: Arc<[u8]>,
        /// What else it says.
        properties: Properties,
    },
    /// The client answered with PUBACK.
    DeliveryAcked {
        /// The packet id of the service's PUBLISH.
        packet_id: u16,
    },
    /// The client sent PINGREQ.
    Pingreq,
    /// One side sent DISCONNECT.
    Disconnect {
        /// Whether it was the client.
        by_client: bool,
        /// The reason code: 0 for a normal end.
        reason: u8,
    },
    /// The connection is closed.
    ConnectionClosed,
    /// The policy forbids what was tried.
    Refused {
        /// What was tried.
        action: Action,
        /// The ARN of what it was tried on.
        resource: String,
    },
    /// The service misbehaves, as it was told to.
    Fault(String),
    /// A message was not delivered, and why.
    Dropped(String),
    /// The client broke a rule of MQTT or of AWS.
    Violation(String),
    /// What whoever drives the service has to say: see [`Journal::note`](crate::Journal::note).
    Note(String),
}

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
