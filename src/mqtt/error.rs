//! Why there is no connection, and why a message was not published, as values: a kind to count by, a
//! class, the reason code where there is one. (What to check is the program's to say: it knows what its
//! settings are called.)

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use super::handshake::{self, HandshakeFailure, words};
use super::reason::{ReasonCode, Violation};
use crate::error_class::ErrorClass;
use crate::text::{cut, printable};

/// What kind of thing ended a connection, or kept it from coming about: to count by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionErrorKind {
    /// The host could not be reached, or its name not be resolved.
    Unreachable,
    /// The proxy could not be reached.
    ProxyUnreachable,
    /// The proxy refused to tunnel to the server.
    ProxyRefused,
    /// The proxy wants a user name and a password, or other ones.
    ProxyAuth,
    /// The TLS handshake failed.
    Tls(HandshakeFailure),
    /// The server refused the connection: CONNACK (MQTT5, section 3.2.2.2).
    Refused,
    /// The server speaks MQTT 3.1.1 only.
    OldProtocol,
    /// The server ended the connection: DISCONNECT (MQTT5, section 3.14.2.1).
    Disconnected,
    /// The connection was closed without DISCONNECT before the server had accepted it.
    ClosedEarly,
    /// The connection was closed without DISCONNECT.
    Closed,
    /// Nothing came for too long while the connection was made.
    Silent,
    /// The answer to a packet did not come in time.
    Overdue,
    /// The server broke the rules of MQTT5.
    Violation,
    /// The socket failed.
    Broken,
    /// The endpoint can't be the name of a server, or the last will or the client ID be sent.
    BadOptions,
}

/// Why there is no connection.
#[derive(Debug, Clone)]
pub struct ConnectionError {
    kind: ConnectionErrorKind,
    class: ErrorClass,
    reason_code: Option<ReasonCode>,
    what: String,
    in_flight: Vec<String>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl ConnectionError {
    /// An error that may pass, in words: what was tried, and what came back.
    pub(super) fn new(kind: ConnectionErrorKind, what: impl Into<String>) -> Self {
        Self {
            kind,
            class: ErrorClass::Transient,
            reason_code: None,
            what: what.into(),
            in_flight: Vec::new(),
            source: None,
        }
    }

    /// The connection was closed. `accepted`: whether its CONNACK had come.
    pub(super) fn closed(address: &str, accepted: bool) -> Self {
        if accepted {
            let what = format!("{address} closed the connection");
            return Self::new(ConnectionErrorKind::Closed, what);
        }
        let what = format!("{address} closed the connection before it answered CONNECT");
        Self::new(ConnectionErrorKind::ClosedEarly, what)
    }

    /// An error of the stream, below TLS. `accepted`: whether a CONNACK had come.
    pub(super) fn broken(address: &str, error: io::Error, accepted: bool) -> Self {
        use io::ErrorKind as K;
        match error.kind() {
            K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe | K::UnexpectedEof => {
                Self::closed(address, accepted)
            }
            _ => {
                let what = format!("the connection to {address} broke: {}", words(&error));
                Self::new(ConnectionErrorKind::Broken, what).with_source(error)
            }
        }
    }

    /// An error of TLS: in the handshake, or in an alert that came later.
    pub(super) fn tls(endpoint: &str, address: &str, error: rustls::Error) -> Self {
        let (failure, what) = handshake::understand(&error, endpoint, address);
        let error = Self::new(ConnectionErrorKind::Tls(failure), what).with_source(error);
        match failure {
            HandshakeFailure::NotTls | HandshakeFailure::Other => error,
            _ => error.class_of(ErrorClass::Misconfigured),
        }
    }

    /// A DISCONNECT of the server, with what it says beside the code (MQTT5, section 3.14.2.1).
    pub(super) fn disconnected(address: &str, code: ReasonCode, text: &str) -> Self {
        let mut reason = code.to_string();
        if !text.is_empty() {
            reason = format!("{}; {})", reason.trim_end_matches(')'), words(&text));
        }
        let what = format!("{address} ended the connection: DISCONNECT {reason}");
        let error = Self::new(ConnectionErrorKind::Disconnected, what).reason(code);
        match code {
            ReasonCode::SESSION_TAKEN_OVER => error.class_of(ErrorClass::Permanent),
            ReasonCode::NOT_AUTHORIZED => error.class_of(ErrorClass::Misconfigured),
            _ => error,
        }
    }

    /// What it sent is against the rules. (Whoever answers: it may not be the server at all.)
    pub(super) fn violation(address: &str, fault: Violation) -> Self {
        let Violation { code, what } = fault;
        let what = format!("{address} broke the rules of MQTT5: it sent {what}");
        Self::new(ConnectionErrorKind::Violation, what).reason(code)
    }

    pub(super) fn class_of(self, class: ErrorClass) -> Self {
        Self { class, ..self }
    }

    pub(super) fn reason(self, code: ReasonCode) -> Self {
        let reason_code = Some(code);
        Self {
            reason_code,
            ..self
        }
    }

    pub(super) fn with_source(self, source: impl Error + Send + Sync + 'static) -> Self {
        let source: Option<Arc<dyn Error + Send + Sync>> = Some(Arc::new(source));
        Self { source, ..self }
    }

    pub(super) fn with_in_flight(self, in_flight: Vec<String>) -> Self {
        Self { in_flight, ..self }
    }

    /// The same, as the end of it after this many tries.
    pub(super) fn after(mut self, tries: u32) -> Self {
        self.what += &format!(", after {tries} tries");
        self.class_of(ErrorClass::Permanent)
    }

    /// What kind of error it is, to count by.
    pub fn kind(&self) -> ConnectionErrorKind {
        self.kind
    }

    /// What can be done about it.
    pub fn class(&self) -> ErrorClass {
        self.class
    }

    /// The reason code of the CONNACK or DISCONNECT; of ours, where the server broke the rules.
    pub fn reason_code(&self) -> Option<ReasonCode> {
        self.reason_code
    }

    /// The topics and topic filters that the server had not acknowledged when it sent its DISCONNECT:
    /// what it refuses is among them.
    pub fn in_flight(&self) -> &[String] {
        &self.in_flight
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for ConnectionError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source = self.source.as_ref()?;
        Some(source.as_ref())
    }
}

/// Why a message was not published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)] // the texts say what the fields are
pub enum PublishError {
    /// The server began a new session before it acknowledged the message: it may have arrived.
    #[error("the session was lost before the message was acknowledged")]
    SessionLost,
    /// The server did not take it: a PUBACK said so, or a DISCONNECT while it was the oldest that was not
    /// acknowledged. 0x87 says that the policy does not allow it; other reasons may pass.
    #[error(
        "the server refused a publish to {}: {} {reason}",
        printable(topic),
        if *disconnected { "DISCONNECT" } else { "PUBACK" }
    )]
    Refused {
        topic: String,
        reason: ReasonCode,
        disconnected: bool,
    },
    /// It is larger (bytes) than CONNACK's Maximum Packet Size, or than AWS's 128 KiB of payload.
    #[error("the message has {size} bytes, and the server takes up to {limit}")]
    TooLarge { size: usize, limit: usize },
    /// The server's CONNACK forbids it: a QoS above its Maximum QoS, or a message to be retained where
    /// it has Retain Available 0 (MQTT5, sections 3.2.2.3.4 and 3.2.2.3.5).
    #[error("the server takes no message {what}")]
    NotAvailable { what: &'static str },
    /// It is no topic to publish to: it is empty, longer than 65,535 bytes, or has a wildcard (`#` or
    /// `+`) or a NUL in it.
    #[error("'{}' is no topic to publish to", printable(&cut(topic, 300)))]
    BadTopic { topic: String },
    /// MQTT5 can't send one of its properties.
    #[error("a property of the message has more than 65,535 bytes, or a NUL in it")]
    BadProperty,
    /// The connection has ended permanently.
    #[error("the connection has ended")]
    Ended,
}

/// What kind of error it is, to count by: [`PublishError`] without what is particular to one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs)] // PublishError says what they are
pub enum PublishErrorKind {
    SessionLost,
    NotAuthorized,
    Refused,
    TooLarge,
    NotAvailable,
    BadTopic,
    BadProperty,
    Ended,
}

impl PublishError {
    /// Whether the policy is the reason (0x87).
    pub fn is_denied(&self) -> bool {
        self.reason_code() == Some(ReasonCode::NOT_AUTHORIZED)
    }

    /// What kind of error it is, to count by.
    pub fn kind(&self) -> PublishErrorKind {
        use PublishErrorKind as K;
        match self {
            Self::SessionLost => K::SessionLost,
            Self::Refused { .. } if self.is_denied() => K::NotAuthorized,
            Self::Refused { .. } => K::Refused,
            Self::TooLarge { .. } => K::TooLarge,
            Self::NotAvailable { .. } => K::NotAvailable,
            Self::BadTopic { .. } => K::BadTopic,
            Self::BadProperty => K::BadProperty,
            Self::Ended => K::Ended,
        }
    }

    /// What can be done about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Refused { .. } if self.is_denied() => ErrorClass::Misconfigured,
            Self::SessionLost | Self::Refused { .. } => ErrorClass::Transient,
            _ => ErrorClass::Permanent,
        }
    }

    /// The reason code, where the server gave one.
    pub fn reason_code(&self) -> Option<ReasonCode> {
        match self {
            Self::Refused { reason, .. } => Some(*reason),
            _ => None,
        }
    }
}

/// The connection has ended permanently; nothing can be published any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection has ended")]
pub struct Ended;
