//! Why a connection failed, in words for the person who has to fix it.
//!
//! rumqttc and rustls tell *what* happened; here it is understood: whether waiting can help
//! ([`Failure::is_passing`]) and what to check if it can't, in the caller's [`Names`](crate::names::Names).

use std::error::Error;
use std::io;

use rumqttc::v5::mqttbytes::Error as CodecError;
use rumqttc::v5::mqttbytes::v5::DisconnectReasonCode;
use rumqttc::v5::{ConnectionError, StateError, TlsError};

use super::Options;
use crate::names::Names;
use crate::text::{cut, printable};

mod handshake;
mod refusal;

use handshake::{advice_on_address, from_tls};
use refusal::{disconnected, refused};

/// Why there is no connection, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub enum Failure {
    /// It may pass by itself.
    Passing(String),
    /// It passes for a device that was connected before, when the network, the clock or the policy
    /// is right again. At the first connect it is most likely a mistake that somebody has to fix.
    Mistake(String),
    /// To try again would do harm, or be of no use.
    Final(String),
}

impl Failure {
    pub(super) fn passing(words: String) -> Self {
        Self::Passing(words)
    }

    /// Whether to try again, given whether a connection of this client has worked before.
    pub fn is_passing(&self, was_connected: bool) -> bool {
        match self {
            Self::Passing(_) => true,
            Self::Mistake(_) => was_connected,
            Self::Final(_) => false,
        }
    }

    /// Whether somebody has to fix it, so that trying again soon is of no use.
    pub fn wants_long_waits(&self) -> bool {
        matches!(self, Self::Mistake(_))
    }

    /// The same, as the end of it after this many tries.
    pub(super) fn after(self, tries: u32) -> Self {
        Self::Final(format!("{self} Given up after {tries} tries."))
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
            }) => {
                let text = reason_string.as_deref().unwrap_or_default();
                disconnected(*reason_code, text, options)
            }
            E::Timeout(_) => Self::Passing(format!(
                "{} did not answer within {} seconds (no TCP connection, no TLS handshake or no \
                 CONNACK). Check {endpoint}, {port} and the network; a firewall may drop what goes \
                 to that port.",
                options.way(),
                options.connect_limit.as_secs(),
            )),
            E::Proxy(error) => from_proxy(error, options),
            E::NotConnAck(_) => Self::Mistake(format!(
                "{} answered CONNECT with something else than a CONNACK. Check {endpoint} and {port}: is \
                 this AWS IoT Core?",
                options.address()
            )),
            E::Tls(TlsError::DNSName(_)) => Self::Final(format!(
                "'{}' can't be the name of a server. Check {endpoint}.",
                options.endpoint
            )),
            E::Io(error)
            | E::Tls(TlsError::Io(error))
            | E::MqttState(StateError::Io(error))
            | E::MqttState(StateError::Deserialization(CodecError::Io(error))) => {
                from_io(error, options, online)
            }
            E::MqttState(StateError::ConnectionAborted) => hung_up(options, online),
            other => broke(other, options),
        }
    }
}

/// No connection to the proxy, or none through it.
fn from_proxy(error: &dyn Error, options: &Options) -> Failure {
    let Names { proxy, .. } = options.names;
    let (host, port) = options.proxy.clone().unwrap_or_default();
    let unreachable = error.source().filter(|cause| cause.is::<io::Error>());
    Failure::Passing(match unreachable {
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
    })
}

/// An error of the socket, or one of TLS that came through it.
fn from_io(error: &io::Error, options: &Options, online: bool) -> Failure {
    use io::ErrorKind as K;
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
        return from_tls(error, options);
    }
    let Names { endpoint, port, .. } = options.names;
    match error.kind() {
        K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe | K::UnexpectedEof => {
            hung_up(options, online)
        }
        _ if online => broke(error, options),
        _ => Failure::Passing(format!(
            "{} can't be reached: {} Check {endpoint} (`aws iot describe-endpoint --endpoint-type \
             iot:Data-ATS` prints it), {port} and the network.",
            options.way(),
            sentence(error),
        )),
    }
}

/// The connection ended in the middle of something.
fn broke(error: &dyn Error, options: &Options) -> Failure {
    let (server, error) = (options.address(), sentence(error));
    Failure::Passing(format!("The connection to {server} broke: {error}"))
}

/// The other side closed the connection without a word.
fn hung_up(options: &Options, online: bool) -> Failure {
    let address = options.address();
    let id = printable(&options.client_id);
    Failure::Passing(if online {
        // rumqttc 0.25 can't read a DISCONNECT without properties, so one may have come before.
        format!(
            "{address} closed the connection. If this happens again and again, check that no other \
             client uses the client id '{id}'."
        )
    } else if let Some(advice) = advice_on_address(options) {
        format!("{advice} ({address} closed the connection before it answered CONNECT.)")
    } else {
        format!(
            "{address} closed the connection before it answered CONNECT. If this happens again and \
             again, a likely cause is a policy that does not allow iot:Connect on \
             arn:aws:iot:REGION:ACCOUNT:client/{id}, or a certificate that is not active or has no \
             policy (AWS IoT console: Security > Certificates)."
        )
    })
}

/// An answer that did not come in time.
pub(super) fn no_answer(packet: &str, options: &Options) -> Failure {
    Failure::passing(format!(
        "{} did not answer a {packet} in time, so the connection is given up for a new one.",
        options.address()
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
    let ConnectionError::MqttState(error) = error else {
        return false;
    };
    match error {
        E::Deserialization(error) => !matches!(error, CodecError::Io(_)),
        _ => matches!(error, E::WrongPacket | E::IncomingPacketTooLarge { .. }),
    }
}

/// An error's own words as a sentence: printable, with a full stop.
fn sentence(error: &dyn std::fmt::Display) -> String {
    let words = error.to_string();
    let words = cut(words.trim_end_matches(['.', ' ', '\n']), 300);
    format!("{}.", printable(&words))
}

#[cfg(test)]
pub(super) mod tests;
