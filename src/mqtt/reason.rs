//! MQTT5 reason codes, as number and name (MQTT5, section 2.4), so that they can be looked up.

use std::fmt::Debug;

/// `0x87 (not authorized)`, for a reason code of any packet. rumqttc keeps most of their numbers to
/// itself, and has an enum for each packet: all that they have in common is their names.
pub(super) fn of(code: impl Debug) -> String {
    let (number, name) = match format!("{code:?}").as_str() {
        "NormalDisconnection" => (0x00, "success"),
        "DisconnectWithWillMessage" => (0x04, "disconnect with will message"),
        "UnspecifiedError" | "Unspecified" | "Failure" => (0x80, "unspecified error"),
        "MalformedPacket" => (0x81, "malformed packet"),
        "ProtocolError" => (0x82, "protocol error"),
        "ImplementationSpecificError" | "ImplementationSpecific" => {
            (0x83, "implementation specific error")
        }
        "UnsupportedProtocolVersion" => (0x84, "unsupported protocol version"),
        "ClientIdentifierNotValid" => (0x85, "client identifier not valid"),
        "BadUserNamePassword" => (0x86, "bad user name or password"),
        "NotAuthorized" => (0x87, "not authorized"),
        "ServerUnavailable" => (0x88, "server unavailable"),
        "ServerBusy" => (0x89, "server busy"),
        "Banned" => (0x8A, "banned"),
        "ServerShuttingDown" => (0x8B, "server shutting down"),
        "BadAuthenticationMethod" => (0x8C, "bad authentication method"),
        "KeepAliveTimeout" => (0x8D, "keep alive timeout"),
        "SessionTakenOver" => (0x8E, "session taken over"),
        "TopicFilterInvalid" => (0x8F, "topic filter invalid"),
        "TopicNameInvalid" => (0x90, "topic name invalid"),
        "PacketIdentifierInUse" | "PkidInUse" => (0x91, "packet identifier in use"),
        "ReceiveMaximumExceeded" => (0x93, "receive maximum exceeded"),
        "TopicAliasInvalid" => (0x94, "topic alias invalid"),
        "PacketTooLarge" => (0x95, "packet too large"),
        "MessageRateTooHigh" => (0x96, "message rate too high"),
        "QuotaExceeded" => (0x97, "quota exceeded"),
        "AdministrativeAction" => (0x98, "administrative action"),
        "PayloadFormatInvalid" => (0x99, "payload format invalid"),
        "RetainNotSupported" => (0x9A, "retain not supported"),
        "QoSNotSupported" => (0x9B, "QoS not supported"),
        "UseAnotherServer" => (0x9C, "use another server"),
        "ServerMoved" => (0x9D, "server moved"),
        "SharedSubscriptionNotSupported" | "SharedSubscriptionsNotSupported" => {
            (0x9E, "shared subscriptions not supported")
        }
        "ConnectionRateExceeded" => (0x9F, "connection rate exceeded"),
        "MaximumConnectTime" => (0xA0, "maximum connect time"),
        "SubscriptionIdentifiersNotSupported" | "SubscriptionIdNotSupported" => {
            (0xA1, "subscription identifiers not supported")
        }
        "WildcardSubscriptionsNotSupported" => (0xA2, "wildcard subscriptions not supported"),
        other => return other.to_owned(),
    };
    format!("0x{number:02X} ({name})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rumqttc::v5::mqttbytes::v5::{DisconnectReasonCode, PubAckReason, SubscribeReasonCode};

    #[test]
    fn every_disconnect_has_its_own_number() {
        let codes = (0..=u8::MAX).filter_map(|code| DisconnectReasonCode::try_from(code).ok());
        for code in codes.clone() {
            let number = format!("0x{:02X} (", code as u8);
            assert!(of(code).starts_with(&number), "{code:?}");
        }
        assert_eq!(codes.count(), 29);
    }

    #[test]
    fn every_puback_and_suback_that_refuses_has_its_number_and_words() {
        use PubAckReason as P;
        use SubscribeReasonCode as S;
        for (words, is) in [
            (of(P::UnspecifiedError), "0x80 (unspecified error)"),
            (
                of(P::ImplementationSpecificError),
                "0x83 (implementation specific error)",
            ),
            (of(P::NotAuthorized), "0x87 (not authorized)"),
            (of(P::TopicNameInvalid), "0x90 (topic name invalid)"),
            (
                of(P::PacketIdentifierInUse),
                "0x91 (packet identifier in use)",
            ),
            (of(P::QuotaExceeded), "0x97 (quota exceeded)"),
            (of(P::PayloadFormatInvalid), "0x99 (payload format invalid)"),
            (of(S::Failure), "0x80 (unspecified error)"),
            (of(S::Unspecified), "0x80 (unspecified error)"),
            (
                of(S::ImplementationSpecific),
                "0x83 (implementation specific error)",
            ),
            (of(S::NotAuthorized), "0x87 (not authorized)"),
            (of(S::TopicFilterInvalid), "0x8F (topic filter invalid)"),
            (of(S::PkidInUse), "0x91 (packet identifier in use)"),
            (of(S::QuotaExceeded), "0x97 (quota exceeded)"),
            (
                of(S::SharedSubscriptionsNotSupported),
                "0x9E (shared subscriptions not supported)",
            ),
            (
                of(S::SubscriptionIdNotSupported),
                "0xA1 (subscription identifiers not supported)",
            ),
            (
                of(S::WildcardSubscriptionsNotSupported),
                "0xA2 (wildcard subscriptions not supported)",
            ),
        ] {
            assert_eq!(words, is);
        }
    }
}
