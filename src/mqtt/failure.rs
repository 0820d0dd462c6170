//! Why a connection failed, in words for the person who has to fix it.
//!
//! rumqttc and rustls tell *what* happened; here it is understood: whether waiting can help
//! ([`Failure::is_passing`]) and what to check if it can't, in the caller's [`Names`](crate::names::Names).

use std::error::Error;
use std::io;

use rumqttc::v5::mqttbytes::Error as CodecError;
use rumqttc::v5::mqttbytes::v5::DisconnectReasonCode;
use rumqttc::v5::{ConnectionError, StateError};

use super::Options;
use crate::names::Names;
use crate::text::{cut, printable};

mod handshake;
mod refusal;

use handshake::{advice_on_address, from_tls};
use refusal::{disconnected, refused};

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

    /// The same, as the end of it after this many tries.
    pub(super) fn after(self, tries: u32) -> Self {
        Self::lasting(format!("{self} Given up after {tries} tries."))
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
            E::NotConnAck(_) => Self::mistake(format!(
                "{} answered CONNECT with something else than a CONNACK. Check {endpoint} and {port}: is \
                 this AWS IoT Core?",
                options.address()
            )),
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

/// Whether the books of the two sides differ, or hold a packet that can't be sent or is not taken: the
/// next connection of this session would end in the same way.
pub(super) fn is_hopeless(error: &ConnectionError) -> bool {
    use DisconnectReasonCode as D;
    use StateError as E;
    matches!(
        error,
        ConnectionError::MqttState(
            E::Unsolicited(_)
                | E::CollisionTimeout
                | E::OutgoingPacketTooLarge { .. }
                | E::Deserialization(CodecError::OutgoingPacketTooLarge { .. })
                | E::InvalidState
                | E::InvalidAlias { .. }
                | E::ServerDisconnect {
                    reason_code: D::MalformedPacket
                        | D::ProtocolError
                        | D::TopicNameInvalid
                        | D::PacketTooLarge
                        | D::PayloadFormatInvalid,
                    ..
                }
        )
    )
}

/// Whether a packet from the server can't be read, or is none that a server may send.
pub(super) fn is_unreadable(error: &ConnectionError) -> bool {
    use StateError as E;
    match error {
        ConnectionError::MqttState(E::Deserialization(error)) => {
            !matches!(error, CodecError::Io(_))
        }
        ConnectionError::MqttState(E::WrongPacket | E::IncomingPacketTooLarge { .. }) => true,
        _ => false,
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

#[cfg(test)]
pub(super) mod tests;
