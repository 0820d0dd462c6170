//! Why a connection failed, in words for the person who has to fix it.
//!
//! rumqttc and rustls tell *what* happened; here it is understood: whether waiting can help
//! ([`Failure::is_passing`]) and what to check if it can't, in the caller's [`Names`](crate::names::Names).

use std::error::Error;
use std::io;

use rumqttc::v5::mqttbytes::Error as CodecError;
use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, DisconnectReasonCode};
use rumqttc::v5::{ConnectionError, StateError};

use super::{Options, reason};
use crate::names::Names;
use crate::text::{cut, printable};

mod handshake;

use handshake::{advice_on_address, from_tls};

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
    /// It passes for a device that was connected before, when the network, the clock or the policy
    /// is right again. At the first connect it is most likely a mistake that somebody has to fix.
    Mistake,
    /// To try again would do harm, or be of no use.
    Final,
}

impl Failure {
    /// One that may pass by itself.
    pub(super) fn passing(words: impl Into<String>) -> Self {
        Self::new(words, Kind::Passing)
    }

    /// One that somebody has to fix: final at the first connect, and passing later on.
    pub(super) fn mistake(words: impl Into<String>) -> Self {
        Self::new(words, Kind::Mistake)
    }

    /// One that no waiting changes.
    pub(super) fn lasting(words: impl Into<String>) -> Self {
        Self::new(words, Kind::Final)
    }

    fn new(words: impl Into<String>, kind: Kind) -> Self {
        let words = words.into();
        Self { words, kind }
    }

    /// Whether to try again, given whether a connection of this client has worked before.
    pub fn is_passing(&self, was_connected: bool) -> bool {
        match self.kind {
            Kind::Passing => true,
            Kind::Mistake => was_connected,
            Kind::Final => false,
        }
    }

    /// Whether somebody has to fix it, so that trying again soon is of no use.
    pub fn wants_long_waits(&self) -> bool {
        self.kind == Kind::Mistake
    }

    /// Understands an error of rumqttc's event loop. `online`: whether a CONNACK had come.
    pub(super) fn of(error: &ConnectionError, options: &Options, online: bool) -> Self {
        use ConnectionError as E;
        let Names { endpoint, port, .. } = options.names;
        match error {
            E::ConnectionRefused(code) => refused(*code, options),
            E::MqttState(StateError::ServerDisconnect {
                reason_code,
                reason_string,
            }) => disconnected(*reason_code, reason_string.as_deref(), options),
            E::Timeout(_) => Self::passing(format!(
                "{} did not answer within {} seconds (no TCP connection, no TLS handshake or no \
                 CONNACK). Check {endpoint}, {port} and the network; a firewall may drop what goes \
                 to that port.",
                options.way(),
                options.connect_limit.as_secs(),
            )),
            E::Proxy(error) => from_proxy(error, options),
            E::Tls(rumqttc::v5::TlsError::DNSName(_)) => Self::lasting(format!(
                "'{}' can't be the name of a server. Check {endpoint}.",
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

/// No connection to the proxy, or none through it.
fn from_proxy(error: &(dyn Error + 'static), options: &Options) -> Failure {
    let proxy = options.names.proxy;
    let (host, port) = options.proxy.clone().unwrap_or_default();
    Failure::passing(
        match error.source().filter(|cause| cause.is::<io::Error>()) {
            Some(cause) => format!(
                "The HTTP proxy {host}:{port} can't be reached: {} Check {proxy}, and the network.",
                sentence(cause)
            ),
            None => format!(
                "The HTTP proxy {host}:{port} did not open a way to {}: {} Check {proxy}, and that the \
             proxy lets CONNECT through to that port.",
                options.address(),
                sentence(error),
            ),
        },
    )
}

/// A CONNACK with a reason code of 0x80 or above (MQTT5, section 3.2.2.2).
fn refused(code: ConnectReturnCode, options: &Options) -> Failure {
    use ConnectReturnCode as C;
    let Names {
        endpoint,
        port,
        client_id,
        ..
    } = options.names;
    let id = printable(&options.client_id);
    let what = format!(
        "{} refused the connection: CONNACK {}.",
        options.address(),
        reason::of_connack(code)
    );
    match code {
        C::NotAuthorized => Failure::mistake(format!(
            "{what} Check that the policy of your certificate allows iot:Connect on \
             arn:aws:iot:REGION:ACCOUNT:client/{id}, and that the certificate is active and has \
             that policy (AWS IoT console: Security > Certificates)."
        )),
        C::BadUserNamePassword => Failure::mistake(format!(
            "{what} Check that this device's certificate is registered and active in this account \
             and region (AWS IoT console: Security > Certificates), and that {endpoint} belongs to \
             the same account."
        )),
        C::ClientIdentifierNotValid | C::BadClientId => Failure::mistake(format!(
            "{what} The client id was '{id}': check {client_id}."
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
            "{what} Check {endpoint} and {port}: is this AWS IoT Core?"
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
            "{what} Another client has connected with the client id '{id}'. Every device needs one of \
             its own: check {}.",
            options.names.client_id
        )),
        DisconnectReasonCode::NotAuthorized => Failure::mistake(format!(
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
    let Names { endpoint, port, .. } = options.names;
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
            "{} can't be reached: {} Check {endpoint} (`aws iot describe-endpoint --endpoint-type \
             iot:Data-ATS` prints it), {port} and the network.",
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
    if let Some(advice) = advice_on_address(options) {
        return Failure::passing(format!(
            "{advice} ({address} closed the connection before it answered CONNECT.)"
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
