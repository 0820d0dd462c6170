//! Why a message was not published.

use crate::text::printable;

/// Why a message was not published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The server began a new session before it acknowledged the message: it may have arrived.
    #[error("the session was lost before the message was acknowledged")]
    SessionLost,
    /// The policy does not allow it (PUBACK 0x87).
    #[error(
        "The server refused a publish to {}: PUBACK 0x87 (not authorized). Add to the policy of your \
         certificate: allow iot:Publish on arn:aws:iot:REGION:ACCOUNT:topic/{} (policy.json has it \
         for every request).",
        printable(topic),
        printable(topic)
    )]
    NotAuthorized {
        /// Where it was published to.
        topic: String,
    },
    /// The server did not take it for another reason, which may pass.
    #[error(
        "the server refused a publish to {}: PUBACK {reason}",
        printable(topic)
    )]
    Refused {
        /// Where it was published to.
        topic: String,
        /// The reason code and its name.
        reason: String,
    },
    /// It is larger than the packets that this server takes.
    #[error("the message has {size} bytes, and the server takes packets of up to {limit}")]
    TooLarge {
        /// Bytes of the packet, about.
        size: usize,
        /// Bytes, from CONNACK's Maximum Packet Size.
        limit: usize,
    },
    /// It is no topic to publish to: it is empty, or has a wildcard (`#` or `+`) in it.
    #[error("'{}' is no topic to publish to", printable(topic))]
    BadTopic {
        /// Where it was to be published to.
        topic: String,
    },
    /// The connection has ended for good.
    #[error("the connection has ended")]
    Ended,
}
