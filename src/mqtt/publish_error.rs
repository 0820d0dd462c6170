//! Why a message was not published.

use super::error_class::ErrorClass;
use crate::text::printable;

/// Why a message was not published to `topic`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)] // the texts say what the fields are
pub enum PublishError {
    /// The server began a new session before it acknowledged the message: it may have arrived.
    #[error("the session was lost before the message was acknowledged")]
    SessionLost,
    /// The policy does not allow it (PUBACK 0x87).
    #[error(
        "the server refused a publish to {}: PUBACK 0x87 (not authorized)",
        printable(topic)
    )]
    NotAuthorized { topic: String },
    /// The server did not take it for another reason, which may pass.
    #[error(
        "the server refused a publish to {}: PUBACK {reason}",
        printable(topic)
    )]
    Refused { topic: String, reason: String },
    /// It is larger (bytes, about) than CONNACK's Maximum Packet Size, or than AWS's 128 KiB of payload.
    #[error("the message has {size} bytes, and the server takes packets of up to {limit}")]
    TooLarge { size: usize, limit: usize },
    /// It is no topic to publish to: it is empty, or has a wildcard (`#` or `+`) in it.
    #[error("'{}' is no topic to publish to", printable(topic))]
    BadTopic { topic: String },
    /// The connection has ended for good.
    #[error("the connection has ended")]
    Ended,
}

impl PublishError {
    /// Whether it passes by itself, by somebody's hand, or never.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::SessionLost | Self::Refused { .. } => ErrorClass::Transient,
            Self::NotAuthorized { .. } => ErrorClass::NeedsOperator,
            Self::TooLarge { .. } | Self::BadTopic { .. } | Self::Ended => ErrorClass::Permanent,
        }
    }
}
