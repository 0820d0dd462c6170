//! The words for each failure, and whether it passes. (`tests/it/permanent_causes.rs` sees most of the
//! words in the program.)

use std::sync::Arc;

use proptest::prelude::*;
use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, Packet};
use rustls::{AlertDescription, ClientConfig, RootCertStore};

use super::*;

pub(in crate::mqtt) fn options(endpoint: &str) -> Options {
    let provider = Arc::new(crate::tls::provider::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    Options::new(endpoint, 8883, "me", Arc::new(tls))
}

#[test]
fn what_somebody_has_to_fix_ends_the_first_connect_and_has_long_waits_later() {
    use ConnectReturnCode as Connack;
    use DisconnectReasonCode as Disconnect;
    let options = options("example.com");
    let refused = |code| Failure::of(&ConnectionError::ConnectionRefused(code), &options, false);
    let disconnected = |reason_code| {
        let reason_string = None;
        let error = StateError::ServerDisconnect {
            reason_code,
            reason_string,
        };
        Failure::of(&ConnectionError::MqttState(error), &options, true)
    };
    for (failure, first, later, long) in [
        (
            refused(Connack::ClientIdentifierNotValid),
            false,
            true,
            true,
        ),
        (refused(Connack::BadUserNamePassword), false, true, true),
        (refused(Connack::NotAuthorized), false, true, true),
        (refused(Connack::ServerBusy), true, true, false),
        (refused(Connack::QuotaExceeded), true, true, false),
        (disconnected(Disconnect::NotAuthorized), false, true, true),
        (
            disconnected(Disconnect::SessionTakenOver),
            false,
            false,
            false,
        ),
        (
            disconnected(Disconnect::ServerShuttingDown),
            true,
            true,
            false,
        ),
    ] {
        let is = (
            failure.is_passing(false),
            failure.is_passing(true),
            failure.wants_long_waits(),
        );
        assert_eq!(is, (first, later, long), "{failure}");
    }
}

#[test]
fn without_other_names_the_words_are_those_of_the_library_s_caller() {
    let alert = rustls::Error::AlertReceived(AlertDescription::BadCertificate);
    assert_eq!(
        from_tls(&alert, &options("example.com")).to_string(),
        "example.com:8883 refused this device's certificate (TLS alert BadCertificate). Check that \
         it is registered and active in this account and region (AWS IoT console: Security > \
         Certificates), and that the endpoint belongs to the same account."
    );
    let words = from_tls(&alert, &options("::1")).to_string();
    let begins = "'::1' is an IP address, and AWS IoT Core must be asked for by its name (SNI). \
                  Check that the endpoint is the name that";
    assert!(words.starts_with(begins), "{words}");
}

/// One or two plain sentences: whole, printable, not endless, and nothing that only a programmer reads.
fn is_plain(failure: &Failure) {
    let words = failure.to_string();
    assert!(
        words.ends_with('.') || words.ends_with(".)") || words.ends_with('?'),
        "{words}"
    );
    assert!(!words.contains(char::is_control), "{words:?}");
    assert!(words.chars().count() < 700, "{words}");
    for debug in ["Some(", "Err(", " { ", "\""] {
        assert!(!words.contains(debug), "{words}");
    }
}

#[test]
fn every_connack_that_refuses_has_its_number_and_words() {
    use ConnectReturnCode as C;
    for (code, number) in [
        (C::UnspecifiedError, "0x80 (unspecified error)"),
        (C::MalformedPacket, "0x81 (malformed packet)"),
        (C::ProtocolError, "0x82 (protocol error)"),
        (
            C::ImplementationSpecificError,
            "0x83 (implementation specific error)",
        ),
        (
            C::UnsupportedProtocolVersion,
            "0x84 (unsupported protocol version)",
        ),
        (
            C::ClientIdentifierNotValid,
            "0x85 (client identifier not valid)",
        ),
        (C::BadUserNamePassword, "0x86 (bad user name or password)"),
        (C::NotAuthorized, "0x87 (not authorized)"),
        (C::ServerUnavailable, "0x88 (server unavailable)"),
        (C::ServerBusy, "0x89 (server busy)"),
        (C::Banned, "0x8A (banned)"),
        (
            C::BadAuthenticationMethod,
            "0x8C (bad authentication method)",
        ),
        (C::TopicNameInvalid, "0x90 (topic name invalid)"),
        (C::PacketTooLarge, "0x95 (packet too large)"),
        (C::QuotaExceeded, "0x97 (quota exceeded)"),
        (C::PayloadFormatInvalid, "0x99 (payload format invalid)"),
        (C::RetainNotSupported, "0x9A (retain not supported)"),
        (C::QoSNotSupported, "0x9B (QoS not supported)"),
        (C::UseAnotherServer, "0x9C (use another server)"),
        (C::ServerMoved, "0x9D (server moved)"),
        (C::ConnectionRateExceeded, "0x9F (connection rate exceeded)"),
    ] {
        let error = ConnectionError::ConnectionRefused(code);
        let failure = Failure::of(&error, &options("example.com"), false);
        let begins = format!("example.com:8883 refused the connection: CONNACK {number}.");
        assert!(failure.to_string().starts_with(&begins), "{failure}");
        is_plain(&failure);
    }
}

#[test]
fn what_the_socket_says_is_told_as_what_it_means() {
    use io::ErrorKind as K;
    let options = options("example.com");
    let socket = |kind, online| {
        let error = ConnectionError::Io(io::Error::new(kind, "says the system."));
        let failure = Failure::of(&error, &options, online);
        is_plain(&failure);
        assert!(failure.is_passing(false), "{failure}");
        failure.to_string()
    };
    for kind in [
        K::ConnectionReset,
        K::ConnectionAborted,
        K::BrokenPipe,
        K::UnexpectedEof,
    ] {
        let online = socket(kind, true);
        assert!(
            online.starts_with("example.com:8883 closed the connection. "),
            "{online}"
        );
        let offline = socket(kind, false);
        let begins = "example.com:8883 closed the connection before it answered CONNECT. ";
        assert!(offline.starts_with(begins), "{offline}");
    }
    let broke = socket(K::TimedOut, true);
    assert_eq!(
        broke,
        "The connection to example.com:8883 broke: says the system."
    );
    let unreachable = socket(K::ConnectionRefused, false);
    let begins = "example.com:8883 can't be reached: says the system. Check the endpoint ";
    assert!(unreachable.starts_with(begins), "{unreachable}");
}

#[test]
fn a_stream_that_ends_is_told_from_one_that_makes_no_sense() {
    let state = |error| {
        let failure = Failure::of(
            &ConnectionError::MqttState(error),
            &options("example.com"),
            true,
        );
        is_plain(&failure);
        failure.to_string()
    };
    let ended = state(StateError::ConnectionAborted);
    assert!(
        ended.starts_with("example.com:8883 closed the connection. "),
        "{ended}"
    );
    assert_eq!(
        state(StateError::Deserialization(CodecError::PayloadTooLong)),
        "The connection to example.com:8883 broke: Mqtt state: Mqtt serialization/deserialization \
         error: Payload is too long."
    );
}

#[test]
fn another_packet_in_place_of_connack_is_no_dump_of_it() {
    let error = ConnectionError::NotConnAck(Box::new(Packet::PingReq(
        rumqttc::v5::mqttbytes::v5::PingReq,
    )));
    let failure = Failure::of(&error, &options("example.com"), false);
    assert_eq!(
        failure.to_string(),
        "example.com:8883 answered CONNECT with something else than a CONNACK. Check the endpoint and \
         the port: is this AWS IoT Core?"
    );
    assert!(!failure.is_passing(false));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_disconnect_is_one_plain_sentence_whatever_its_reason_string(
        code in proptest::sample::select(&[
            DisconnectReasonCode::UnspecifiedError,
            DisconnectReasonCode::NotAuthorized,
            DisconnectReasonCode::ServerShuttingDown,
            DisconnectReasonCode::KeepAliveTimeout,
            DisconnectReasonCode::SessionTakenOver,
            DisconnectReasonCode::ReceiveMaximumExceeded,
            DisconnectReasonCode::MessageRateTooHigh,
            DisconnectReasonCode::SubscriptionIdentifiersNotSupported,
        ][..]),
        reason_string in proptest::option::of(".{0,20}|\\PC{300,900}"),
    ) {
        let number = format!("DISCONNECT 0x{:02X} (", code as u8);
        let has_text = reason_string.as_ref().is_some_and(|text| !text.is_empty());
        let text = reason_string.clone();
        let error = StateError::ServerDisconnect { reason_code: code, reason_string };
        let failure = Failure::of(&ConnectionError::MqttState(error), &options("example.com"), true);
        let words = failure.to_string();
        prop_assert!(words.contains(&number), "{words}");
        prop_assert_eq!(words.contains("; "), has_text || text.is_some_and(|text| text.contains("; ")));
        prop_assert!(!words.contains(char::is_control));
        prop_assert!(words.chars().count() < 700, "{}", words);
    }
}
