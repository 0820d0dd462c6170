//! Why a connection failed, in words for the person who has to mend it.
//!
//! rumqttc and rustls tell *what* happened; here it is understood: whether waiting can help
//! ([`Failure::is_passing`]) and what to check if it can't.

use std::io;

use rumqttc::v5::mqttbytes::Error as CodecError;
use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, DisconnectReasonCode};
use rumqttc::v5::{ConnectionError, StateError};
use rustls::{AlertDescription, CertificateError};

use super::{Options, reason};
use crate::text::{cut, printable};

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct Failure {
    words: String,
    kind: Kind,
}

/// What can be done about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It may pass by itself.
    Passing,
    /// It may pass for a device that was connected before (a strange network, a wrong clock), but
    /// at the first connect it is most likely a mistake that somebody has to mend.
    Mistake,
    /// Nothing that this program can do will change it.
    Final,
}

impl Failure {
    /// One that may pass by itself.
    pub(super) fn passing(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            kind: Kind::Passing,
        }
    }

    /// One that somebody has to mend.
    pub(super) fn lasting(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            kind: Kind::Final,
        }
    }

    fn mistake(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            kind: Kind::Mistake,
        }
    }

    /// Whether to try again, given whether this client was ever connected.
    pub fn is_passing(&self, was_connected: bool) -> bool {
        match self.kind {
            Kind::Passing => true,
            Kind::Mistake => was_connected,
            Kind::Final => false,
        }
    }

    /// Whether somebody has to fix it, so that trying again soon is of no use.
    pub(super) fn wants_long_waits(&self) -> bool {
        self.kind == Kind::Mistake
    }

    /// The same, as the end of it after this many tries.
    pub(super) fn after(self, tries: u32) -> Self {
        Self::lasting(format!("{self} Given up after {tries} tries."))
    }

    /// Understands an error of rumqttc's event loop. `online`: whether a CONNACK had come.
    pub(super) fn of(error: &ConnectionError, options: &Options, online: bool) -> Self {
        use ConnectionError as E;
        match error {
            E::ConnectionRefused(code) => refused(*code, options),
            E::MqttState(StateError::ServerDisconnect {
                reason_code,
                reason_string,
            }) => disconnected(*reason_code, reason_string.as_deref(), options),
            E::Timeout(_) => Self::passing(format!(
                "{} did not answer within {} seconds (no TCP connection, no TLS handshake or no \
                 CONNACK). Check --endpoint, --port and the network; a firewall may drop what goes \
                 to that port.",
                options.address(),
                options.connect_limit.as_secs(),
            )),
            E::Proxy(error) => Self::passing(format!(
                "The HTTP proxy did not open a way to {}: {} Check --proxy_host and --proxy_port, \
                 and that the proxy lets CONNECT through to that port.",
                options.address(),
                sentence(error),
            )),
            E::Tls(rumqttc::v5::TlsError::DNSName(_)) => Self::lasting(format!(
                "'{}' can't be the name of a server. Check --endpoint.",
                options.endpoint
            )),
            other => match io_error_in(other) {
                Some(error) => from_io(error, options, online),
                None if closed(other) => hung_up(options, online),
                None => Self::passing(format!(
                    "The connection to {} broke: {}",
                    options.address(),
                    sentence(other)
                )),
            },
        }
    }
}

/// A CONNACK with a reason code of 0x80 or above (MQTT5, section 3.2.2.2).
fn refused(code: ConnectReturnCode, options: &Options) -> Failure {
    use ConnectReturnCode as C;
    let id = printable(&options.client_id);
    let what = format!(
        "{} refused the connection: CONNACK {}.",
        options.address(),
        reason::of_connack(code)
    );
    match code {
        C::NotAuthorized => Failure::lasting(format!(
            "{what} Check that the policy of your certificate allows iot:Connect on \
             arn:aws:iot:REGION:ACCOUNT:client/{id}, and that the certificate is active and has \
             that policy (AWS IoT console: Security > Certificates)."
        )),
        C::BadUserNamePassword => Failure::lasting(format!(
            "{what} Check that the certificate of --cert is registered and active in this account \
             and region (AWS IoT console: Security > Certificates), and that --endpoint belongs to \
             the same account."
        )),
        C::ClientIdentifierNotValid | C::BadClientId => Failure::lasting(format!(
            "{what} The client id was '{id}': check --client_id."
        )),
        C::ServerUnavailable | C::ServiceUnavailable | C::ServerBusy | C::UseAnotherServer => {
            Failure::passing(format!("{what} The service can't take it just now."))
        }
        C::QuotaExceeded | C::ConnectionRateExceeded => Failure::passing(format!(
            "{what} The account has reached a limit on connections (Service Quotas console: AWS \
             IoT Core)."
        )),
        C::UnspecifiedError | C::ImplementationSpecificError => Failure::passing(what),
        _ => Failure::mistake(format!(
            "{what} Check --endpoint and --port: is this AWS IoT Core?"
        )),
    }
}

/// A DISCONNECT from the server (MQTT5, section 3.14.2.1).
fn disconnected(code: DisconnectReasonCode, text: Option<&str>, options: &Options) -> Failure {
    let id = printable(&options.client_id);
    let mut reason = reason::of_disconnect(code);
    if let Some(text) = text {
        reason = format!("{}; {})", reason.trim_end_matches(')'), printable(text));
    }
    let what = format!(
        "{} ended the connection: DISCONNECT {reason}.",
        options.address()
    );
    match code {
        DisconnectReasonCode::SessionTakenOver => Failure::lasting(format!(
            "{what} Another client has connected with the client id '{id}'. Give every device a \
             client id of its own (--client_id)."
        )),
        DisconnectReasonCode::NotAuthorized => Failure::lasting(format!(
            "{what} The policy of your certificate does not allow something this program did. \
             Check that it has every statement of policy.json, for this thing and for the client \
             id '{id}', and that the certificate is still active."
        )),
        _ => Failure::passing(what),
    }
}

/// An error of the socket, or one of TLS that came through it.
fn from_io(error: &io::Error, options: &Options, online: bool) -> Failure {
    if let Some(tls) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    {
        return from_tls(tls, options);
    }
    use io::ErrorKind as K;
    match error.kind() {
        K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe | K::UnexpectedEof => {
            hung_up(options, online)
        }
        _ if online => Failure::passing(format!(
            "The connection to {} broke: {}",
            options.address(),
            sentence(error)
        )),
        _ => Failure::passing(format!(
            "{} can't be reached: {} Check --endpoint (`aws iot describe-endpoint --endpoint-type \
             iot:Data-ATS` prints it), --port and the network.",
            options.way(),
            sentence(error),
        )),
    }
}

/// The other side closed the connection without a word.
fn hung_up(options: &Options, online: bool) -> Failure {
    let address = options.address();
    if online {
        // rumqttc 0.25 can't read a DISCONNECT without properties, so one may have come before.
        return Failure::passing(format!(
            "{address} closed the connection. If this happens again and again, check that no other \
             client uses the client id '{}'.",
            printable(&options.client_id),
        ));
    }
    Failure::passing(format!(
        "{address} closed the connection before it answered CONNECT. If this happens again and \
         again, a likely cause is a policy that does not allow iot:Connect on \
         arn:aws:iot:REGION:ACCOUNT:client/{}, or a certificate that is not active or has no \
         policy (AWS IoT console: Security > Certificates).",
        printable(&options.client_id),
    ))
}

/// A TLS handshake that failed: our side found fault with the server, or the server with us.
fn from_tls(error: &rustls::Error, options: &Options) -> Failure {
    use CertificateError as C;
    let server = options.address();
    let endpoint = &options.endpoint;
    match error {
        rustls::Error::InvalidCertificate(fault) => match fault {
            C::UnknownIssuer | C::BadSignature => Failure::mistake(format!(
                "The certificate of {server} was not signed by a CA that this program trusts. \
                 Check --endpoint; with --ca_file, that the file holds the CA of that server (for \
                 AWS: https://www.amazontrust.com/repository/AmazonRootCA1.pem), or leave --ca_file \
                 out to use the system's trust store."
            )),
            C::NotValidForName | C::NotValidForNameContext { .. } => Failure::mistake(format!(
                "The server at {server} has a certificate for another name than '{endpoint}'. Check \
                 that --endpoint is the name that `aws iot describe-endpoint --endpoint-type \
                 iot:Data-ATS` prints, and not an IP address or an alias of it."
            )),
            C::Expired | C::ExpiredContext { .. } => Failure::mistake(format!(
                "The certificate of {server} has expired, or this device's clock is ahead. Check \
                 the clock (`date`) and --endpoint."
            )),
            C::NotValidYet | C::NotValidYetContext { .. } => Failure::mistake(format!(
                "The certificate of {server} is not valid yet, so this device's clock is most \
                 likely behind. Check the clock (`date`) and --endpoint."
            )),
            fault => Failure::mistake(format!(
                "The certificate of {server} can't be accepted: {} Check --endpoint and --ca_file.",
                sentence(fault)
            )),
        },
        rustls::Error::AlertReceived(alert) => from_alert(*alert, options),
        rustls::Error::NoApplicationProtocol => Failure::mistake(format!(
            "{server} does not speak MQTT on this port. Check --port: 8883, or 443."
        )),
        rustls::Error::InvalidMessage(_) => Failure::mistake(format!(
            "What answers at {server} does not speak TLS. Check --endpoint and --port."
        )),
        error => Failure::passing(format!(
            "The TLS handshake with {server} failed: {}",
            sentence(error)
        )),
    }
}

/// A TLS alert: the server's word on why it gave up (RFC 8446, section 6.2).
fn from_alert(alert: AlertDescription, options: &Options) -> Failure {
    use AlertDescription as A;
    let server = options.address();
    match alert {
        A::BadCertificate
        | A::UnsupportedCertificate
        | A::CertificateRevoked
        | A::CertificateExpired
        | A::CertificateUnknown
        | A::UnknownCA
        | A::AccessDenied
        | A::DecryptError
        | A::CertificateRequired => Failure::mistake(format!(
            "{server} refused the certificate of --cert (TLS alert {alert:?}). Check that it is \
             registered and active in this account and region (AWS IoT console: Security > \
             Certificates), and that --endpoint belongs to the same account."
        )),
        A::UnrecognisedName => Failure::mistake(format!(
            "{server} does not know the name '{}'. Check --endpoint.",
            options.endpoint
        )),
        A::NoApplicationProtocol => Failure::mistake(format!(
            "{server} does not speak MQTT on this port. Check --port: 8883, or 443."
        )),
        A::ProtocolVersion | A::HandshakeFailure | A::InsufficientSecurity => {
            Failure::mistake(format!(
                "{server} and this program found no TLS version and cipher suite that both accept \
                 (TLS alert {alert:?}). Check --endpoint and --port: is this AWS IoT Core?"
            ))
        }
        _ => Failure::passing(format!(
            "{server} ended the TLS handshake (TLS alert {alert:?})."
        )),
    }
}

/// The socket's error inside rumqttc's, wherever it keeps it.
fn io_error_in(error: &ConnectionError) -> Option<&io::Error> {
    match error {
        ConnectionError::Io(error)
        | ConnectionError::Tls(rumqttc::v5::TlsError::Io(error))
        | ConnectionError::MqttState(StateError::Io(error))
        | ConnectionError::MqttState(StateError::Deserialization(CodecError::Io(error))) => {
            Some(error)
        }
        _ => None,
    }
}

/// Whether the error is the plain end of the stream.
fn closed(error: &ConnectionError) -> bool {
    matches!(
        error,
        ConnectionError::MqttState(StateError::ConnectionAborted)
    )
}

/// An error's own words as a sentence: printable, with a full stop.
fn sentence(error: &dyn std::fmt::Display) -> String {
    let words = error.to_string();
    let words = cut(words.trim_end_matches(['.', ' ', '\n']), 300);
    format!("{}.", printable(&words))
}
