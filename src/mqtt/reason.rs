//! Reason codes: why the other side refuses, or goes (MQTT5, section 2.4); and why we go.

use std::fmt;

/// A reason code, shown as number and name so that it can be looked up: `0x87 (not authorized)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReasonCode(pub u8);

/// Those that the connection itself has a use for.
#[allow(missing_docs)] // the names are MQTT5's
impl ReasonCode {
    pub const MALFORMED_PACKET: Self = Self(0x81);
    pub const PROTOCOL_ERROR: Self = Self(0x82);
    pub const NOT_AUTHORIZED: Self = Self(0x87);
    pub const SESSION_TAKEN_OVER: Self = Self(0x8E);
    pub const TOPIC_FILTER_INVALID: Self = Self(0x8F);
    pub const TOPIC_NAME_INVALID: Self = Self(0x90);
    pub const TOPIC_ALIAS_INVALID: Self = Self(0x94);
    pub const PACKET_TOO_LARGE: Self = Self(0x95);
    pub const QUOTA_EXCEEDED: Self = Self(0x97);
    pub const PAYLOAD_FORMAT_INVALID: Self = Self(0x99);
    pub const QOS_NOT_SUPPORTED: Self = Self(0x9B);
    pub const SHARED_SUBSCRIPTIONS_NOT_SUPPORTED: Self = Self(0x9E);
    pub const WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED: Self = Self(0xA2);

    /// Whether it says that something was not done.
    pub fn is_error(self) -> bool {
        self.0 >= 0x80
    }

    /// Whether, in a DISCONNECT, it is about a packet that was sent.
    pub(super) fn refuses_a_packet(self) -> bool {
        matches!(
            self,
            Self::MALFORMED_PACKET
                | Self::PROTOCOL_ERROR
                | Self::NOT_AUTHORIZED
                | Self::TOPIC_NAME_INVALID
                | Self::PACKET_TOO_LARGE
                | Self::PAYLOAD_FORMAT_INVALID
                | Self::QOS_NOT_SUPPORTED
        )
    }

    /// The name that MQTT5 gives it; `None` for one that it does not know.
    pub fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0x00 => "success",
            0x04 => "disconnect with will message",
            0x10 => "no matching subscribers",
            0x80 => "unspecified error",
            0x81 => "malformed packet",
            0x82 => "protocol error",
            0x83 => "implementation specific error",
            0x84 => "unsupported protocol version",
            0x85 => "client identifier not valid",
            0x86 => "bad user name or password",
            0x87 => "not authorized",
            0x88 => "server unavailable",
            0x89 => "server busy",
            0x8A => "banned",
            0x8B => "server shutting down",
            0x8C => "bad authentication method",
            0x8D => "keep alive timeout",
            0x8E => "session taken over",
            0x8F => "topic filter invalid",
            0x90 => "topic name invalid",
            0x91 => "packet identifier in use",
            0x92 => "packet identifier not found",
            0x93 => "receive maximum exceeded",
            0x94 => "topic alias invalid",
            0x95 => "packet too large",
            0x96 => "message rate too high",
            0x97 => "quota exceeded",
            0x98 => "administrative action",
            0x99 => "payload format invalid",
            0x9A => "retain not supported",
            0x9B => "QoS not supported",
            0x9C => "use another server",
            0x9D => "server moved",
            0x9E => "shared subscriptions not supported",
            0x9F => "connection rate exceeded",
            0xA0 => "maximum connect time",
            0xA1 => "subscription identifiers not supported",
            0xA2 => "wildcard subscriptions not supported",
            _ => return None,
        })
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name().unwrap_or("unknown to MQTT5");
        write!(f, "0x{:02X} ({name})", self.0)
    }
}

/// What a server may not send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation {
    /// What our DISCONNECT says of it.
    pub code: ReasonCode,
    /// What it is, as half a sentence.
    pub what: String,
}

impl Violation {
    pub fn new(code: ReasonCode, what: impl Into<String>) -> Self {
        let what = what.into();
        Self { code, what }
    }

    pub fn protocol_error(what: impl Into<String>) -> Self {
        Self::new(ReasonCode::PROTOCOL_ERROR, what)
    }

    pub fn malformed(what: impl Into<String>) -> Self {
        Self::new(ReasonCode::MALFORMED_PACKET, what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_shown_as_number_and_name() {
        assert_eq!(
            ReasonCode::NOT_AUTHORIZED.to_string(),
            "0x87 (not authorized)"
        );
        assert_eq!(ReasonCode(0xFE).to_string(), "0xFE (unknown to MQTT5)");
    }

    #[test]
    fn no_two_codes_have_the_same_name() {
        let mut names: Vec<_> = (0..=u8::MAX)
            .filter_map(|code| ReasonCode(code).name())
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!((names.len(), count), (38, 38));
    }
}
