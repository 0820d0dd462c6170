//! The faults and their names, as a test or a person at a prompt writes them.

use std::{fmt, time::Duration};

use super::{breach::Breach, on::On};

/// Something that the service can be told to do wrong. [`names`] explains each.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "names() explains each")]
pub enum Fault {
    DropAfterAccept,
    NoTlsAnswer,
    NotTls,
    DropAfterTls,
    NoConnack,
    Connack(u8),
    ConnectDeniedCloses,
    DropAfterConnack,
    SessionLost,
    ClaimSession,
    ReceiveMaximumZero,
    NoPingresp,
    NoSuback,
    /// The code, and a part of the filter that it is for.
    Suback(u8, String),
    NoPuback,
    Breach(Breach),
    /// The code, and a part of the topic that it is for.
    Puback(u8, String),
    Disconnect(u8),
    DropOnPublish,
    PubacksOutOfOrder,
    DoubleDeliveries,
    /// A part of the topic that it is for.
    UnreadableDelivery(String),
    LoseReply(On),
    LateReply(On, Duration),
    DoubleReply(On),
    OtherThingReply(On),
    ForeignTokenReply(On),
    NoTokenReply(On),
    NotJsonReply(On),
    WrongShapeReply(On),
    HugeReply(On),
    OvertakenReply(On),
    /// The job, and the field that is broken.
    BrokenExecution(String, String),
    /// The error code.
    Reject(On, String),
    DropBefore(On),
    DropAfter(On),
    DropAfterLost(On),
}

/// Every fault as it is written, with a line that explains it. `OP` is one of [`operations`](super::operations);
/// `BREACH` one of [`breaches`](super::breaches); `CODE` is a reason code such as 0x87; what stands in brackets can be left out.
pub fn names() -> &'static [(&'static str, &'static str)] {
    &[
        (
            "drop-after-accept",
            "the TCP connection is accepted and dropped",
        ),
        ("no-tls-answer", "the TLS handshake is never answered"),
        ("not-tls", "the TLS handshake is answered by an HTTP server"),
        (
            "drop-after-tls",
            "the connection is dropped after the TLS handshake",
        ),
        ("no-connack", "CONNECT is never answered"),
        ("connack CODE", "CONNECT is refused"),
        (
            "connect-denied-closes",
            "a CONNECT that the policy denies gets no CONNACK, only a close",
        ),
        (
            "drop-after-connack",
            "the connection is dropped after CONNACK",
        ),
        (
            "session-lost",
            "the session is forgotten at the next CONNECT",
        ),
        (
            "claim-session",
            "CONNACK says that there is a session, whether there is one or not",
        ),
        (
            "receive-maximum-0",
            "CONNACK allows no publish at all, which MQTT forbids",
        ),
        ("no-pingresp", "PINGREQ is not answered"),
        ("no-suback", "SUBSCRIBE is ignored"),
        (
            "suback CODE [FILTER-PART]",
            "SUBSCRIBE is refused, for filters with this part",
        ),
        ("no-puback", "PUBLISH is taken, but not acknowledged"),
        (
            "breach BREACH",
            "PUBLISH is answered with something that MQTT forbids",
        ),
        (
            "puback CODE [TOPIC-PART]",
            "PUBLISH is refused, on topics with this part",
        ),
        (
            "disconnect CODE",
            "the next PUBLISH is answered with DISCONNECT",
        ),
        (
            "drop-on-publish",
            "the next PUBLISH is ignored and the connection dropped",
        ),
        (
            "pubacks-out-of-order",
            "a PUBACK leaves after that of the next PUBLISH, or half a second late",
        ),
        (
            "double-deliveries",
            "a QoS 1 message comes twice, with different packet ids and no DUP",
        ),
        (
            "unreadable-delivery [TOPIC-PART]",
            "a QoS 1 message is a packet that can't be read, in each connection of the session",
        ),
        ("lose-reply OP", "the reply is never sent"),
        ("late-reply OP MILLIS", "the reply comes late"),
        ("double-reply OP", "the reply comes twice"),
        (
            "other-thing-reply OP",
            "the reply comes on the topic of another thing",
        ),
        (
            "foreign-token-reply OP",
            "the reply carries another client token",
        ),
        ("no-token-reply OP", "the reply carries no client token"),
        ("not-json-reply OP", "the reply is not JSON"),
        (
            "wrong-shape-reply OP",
            "the reply is JSON, but its fields are of the wrong types",
        ),
        ("huge-reply OP", "the reply has an unknown field of 100 KiB"),
        (
            "overtaken-reply OP",
            "the notify and notify-next that a request causes come before its reply",
        ),
        (
            "broken-execution JOB [FIELD]",
            "this field of the execution has the wrong type, or with -FIELD is missing",
        ),
        (
            "reject OP ERROR",
            "the request is rejected with this error code, such as RequestThrottled",
        ),
        (
            "drop-before OP",
            "the connection is dropped and the request not taken",
        ),
        (
            "drop-after OP",
            "the request is carried out, the connection dropped before any answer",
        ),
        (
            "drop-after-lost OP",
            "as drop-after, and the session is lost as well",
        ),
    ]
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::DropAfterAccept => write!(f, "drop-after-accept"),
            Fault::NoTlsAnswer => write!(f, "no-tls-answer"),
            Fault::NotTls => write!(f, "not-tls"),
            Fault::DropAfterTls => write!(f, "drop-after-tls"),
            Fault::NoConnack => write!(f, "no-connack"),
            Fault::Connack(code) => write!(f, "connack 0x{code:02x}"),
            Fault::ConnectDeniedCloses => write!(f, "connect-denied-closes"),
            Fault::DropAfterConnack => write!(f, "drop-after-connack"),
            Fault::SessionLost => write!(f, "session-lost"),
            Fault::ClaimSession => write!(f, "claim-session"),
            Fault::ReceiveMaximumZero => write!(f, "receive-maximum-0"),
            Fault::NoPingresp => write!(f, "no-pingresp"),
            Fault::NoSuback => write!(f, "no-suback"),
            Fault::Suback(code, part) => write_with_part(f, "suback", *code, part),
            Fault::NoPuback => write!(f, "no-puback"),
            Fault::Breach(breach) => write!(f, "breach {breach}"),
            Fault::Puback(code, part) => write_with_part(f, "puback", *code, part),
            Fault::Disconnect(code) => write!(f, "disconnect 0x{code:02x}"),
            Fault::DropOnPublish => write!(f, "drop-on-publish"),
            Fault::PubacksOutOfOrder => write!(f, "pubacks-out-of-order"),
            Fault::DoubleDeliveries => write!(f, "double-deliveries"),
            Fault::UnreadableDelivery(part) => write_optional(f, "unreadable-delivery", part),
            Fault::LoseReply(on) => write!(f, "lose-reply {on}"),
            Fault::LateReply(on, delay) => write!(f, "late-reply {on} {}", delay.as_millis()),
            Fault::DoubleReply(on) => write!(f, "double-reply {on}"),
            Fault::OtherThingReply(on) => write!(f, "other-thing-reply {on}"),
            Fault::ForeignTokenReply(on) => write!(f, "foreign-token-reply {on}"),
            Fault::NoTokenReply(on) => write!(f, "no-token-reply {on}"),
            Fault::NotJsonReply(on) => write!(f, "not-json-reply {on}"),
            Fault::WrongShapeReply(on) => write!(f, "wrong-shape-reply {on}"),
            Fault::HugeReply(on) => write!(f, "huge-reply {on}"),
            Fault::OvertakenReply(on) => write!(f, "overtaken-reply {on}"),
            Fault::BrokenExecution(job, field) => {
                write_optional(f, &format!("broken-execution {job}"), field)
            }
            Fault::Reject(on, code) => write!(f, "reject {on} {code}"),
            Fault::DropBefore(on) => write!(f, "drop-before {on}"),
            Fault::DropAfter(on) => write!(f, "drop-after {on}"),
            Fault::DropAfterLost(on) => write!(f, "drop-after-lost {on}"),
        }
    }
}

fn write_with_part(f: &mut fmt::Formatter<'_>, name: &str, code: u8, part: &str) -> fmt::Result {
    write_optional(f, &format!("{name} 0x{code:02x}"), part)
}

fn write_optional(f: &mut fmt::Formatter<'_>, name: &str, part: &str) -> fmt::Result {
    let space = if part.is_empty() { "" } else { " " };
    write!(f, "{name}{space}{part}")
}
