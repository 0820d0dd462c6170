//! What can stand in the journal.

use std::sync::Arc;

use super::Console;
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
    /// What was done at the console.
    Console(Console),
}
