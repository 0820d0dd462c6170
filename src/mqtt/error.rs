//! What can go wrong, as values: a kind to count by, a class, the reason code where there is one. (What
//! to check is the program's to say: it knows what its settings are called.)

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::filter::is_filter;
use super::reason::ReasonCode;
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
    /// The TLS handshake failed: the error's source says how.
    Tls,
    /// The server refused the connection: CONNACK (MQTT5, section 3.2.2.2).
    Refused,
    /// The server ended the connection: DISCONNECT (MQTT5, section 3.14.2.1).
    Disconnected,
    /// The connection was closed without a word before the server had accepted it.
    ClosedEarly,
    /// The connection was closed without a word.
    Closed,
    /// Nothing came for too long while the connection was made.
    Silent,
    /// The answer to a packet did not come in time.
    Overdue,
    /// The server broke the rules of MQTT5.
    Violation,
    /// The socket failed.
    Broken,
    /// The endpoint can't be the name of a server.
    BadEndpoint,
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
    pub(super) fn new(kind: ConnectionErrorKind, what: String) -> Self {
        Self {
            kind,
            class: ErrorClass::Transient,
            reason_code: None,
            what,
            in_flight: Vec::new(),
            source: None,
        }
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

    /// Whether trying again soon is of no use, because somebody has to fix it.
    pub(super) fn needs_operator(&self) -> bool {
        self.class == ErrorClass::Misconfigured
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

/// Why a message was not published to `topic`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)] // the texts say what the fields are
pub enum PublishError {
    /// The server began a new session before it acknowledged the message: it may have arrived.
    #[error("the session was lost before the message was acknowledged")]
    SessionLost,
    /// The policy does not allow it: PUBACK 0x87, or DISCONNECT 0x87 while it was the oldest that was
    /// not acknowledged.
    #[error(
        "the server refused a publish to {}: {} 0x87 (not authorized)",
        printable(topic),
        if *disconnected { "DISCONNECT" } else { "PUBACK" }
    )]
    NotAuthorized { topic: String, disconnected: bool },
    /// The server did not take it for another reason, which may pass.
    #[error(
        "the server refused a publish to {}: PUBACK {reason}",
        printable(topic)
    )]
    Refused { topic: String, reason: ReasonCode },
    /// It is larger (bytes) than CONNACK's Maximum Packet Size, or than AWS's 128 KiB of payload; or one
    /// of its properties has more than 65,535 bytes.
    #[error("the message has {size} bytes, and the server takes up to {limit}")]
    TooLarge { size: usize, limit: usize },
    /// It is no topic to publish to: it is empty, or has a wildcard (`#` or `+`) in it.
    #[error("'{}' is no topic to publish to", printable(&cut(topic, 300)))]
    BadTopic { topic: String },
    /// The connection has ended for good.
    #[error("the connection has ended")]
    Ended,
}

impl PublishError {
    /// What can be done about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::SessionLost | Self::Refused { .. } => ErrorClass::Transient,
            Self::NotAuthorized { .. } => ErrorClass::Misconfigured,
            Self::TooLarge { .. } | Self::BadTopic { .. } | Self::Ended => ErrorClass::Permanent,
        }
    }

    /// The reason code, where the server gave one.
    pub fn reason_code(&self) -> Option<ReasonCode> {
        match self {
            Self::NotAuthorized { .. } => Some(ReasonCode::NOT_AUTHORIZED),
            Self::Refused { reason, .. } => Some(*reason),
            _ => None,
        }
    }
}

/// The server did not grant a topic filter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscribeError {
    /// The filter that was refused.
    pub filter: String,
    /// Why.
    pub reason: ReasonCode,
    /// Whether all filters of the subscription were granted before: then this is no first mistake.
    pub was_granted: bool,
}

impl SubscribeError {
    /// Whether the policy is the reason (SUBACK 0x87).
    pub fn is_denied(&self) -> bool {
        self.reason == ReasonCode::NOT_AUTHORIZED
    }

    /// What can be done about it.
    pub fn class(&self) -> ErrorClass {
        if self.is_denied() {
            ErrorClass::Misconfigured
        } else if is_filter(&self.filter) {
            ErrorClass::Transient
        } else {
            ErrorClass::Permanent
        }
    }
}

impl Error for SubscribeError {}

impl fmt::Display for SubscribeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filter = cut(&self.filter, 300);
        let filter = printable(&filter);
        if is_filter(&self.filter) {
            let reason = self.reason;
            write!(
                f,
                "the server refused the subscription to {filter}: SUBACK {reason}"
            )
        } else {
            write!(f, "'{filter}' is no topic filter (MQTT5, section 4.7)")
        }
    }
}

/// The connection has ended for good; nothing can be published any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection has ended")]
pub struct Ended;
