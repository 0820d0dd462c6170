//! What ended a connection, or kept it from coming about: as an error with its class.

use std::error::Error;
use std::io;
use std::time::Duration;

use rustls::{AlertDescription, Error as TlsError};

use super::certificate;
use super::decode::Violation;
use super::error::{ConnectionError, ConnectionErrorKind as Kind};
use super::options::{Options, Proxy};
use super::proxy::ProxyError;
use super::reason::ReasonCode;
use crate::error_class::ErrorClass;
use crate::text::{cut, printable};

/// Whose failures they are.
pub(super) struct Server<'a>(&'a Options);

impl<'a> Server<'a> {
    pub fn of(options: &'a Options) -> Self {
        Self(options)
    }

    /// `endpoint:port`.
    pub fn address(&self) -> String {
        format!("{}:{}", self.0.endpoint, self.0.port)
    }

    /// No stream to it could be opened.
    pub fn unreachable(&self, error: io::Error) -> ConnectionError {
        let what = format!("{} can't be reached: {}", self.address(), words(&error));
        ConnectionError::new(Kind::Unreachable, what).with_source(error)
    }

    pub fn proxy_unreachable(&self, proxy: &Proxy, error: io::Error) -> ConnectionError {
        let Proxy { host, port, .. } = proxy;
        let what = format!(
            "the HTTP proxy {host}:{port} can't be reached: {}",
            words(&error)
        );
        ConnectionError::new(Kind::ProxyUnreachable, what).with_source(error)
    }

    /// The proxy opened no tunnel.
    pub fn not_tunneled(&self, proxy: &Proxy, error: ProxyError) -> ConnectionError {
        let Proxy { host, port, .. } = proxy;
        let by = format!("the HTTP proxy {host}:{port}");
        let address = self.address();
        match error {
            ProxyError::Auth => {
                let what = match proxy.auth {
                    Some(_) => format!("{by} does not accept the user name and password (407)"),
                    None => format!("{by} wants a user name and a password (407)"),
                };
                ConnectionError::new(Kind::ProxyAuth, what).class_of(ErrorClass::Misconfigured)
            }
            ProxyError::Refused(status) => {
                let status = words(&status);
                let what = format!("{by} refused to tunnel to {address}: {status}");
                ConnectionError::new(Kind::ProxyRefused, what)
            }
            ProxyError::Io(error) => {
                let why = words(&error);
                let what = format!("{by} did not answer the request for {address}: {why}");
                ConnectionError::new(Kind::ProxyRefused, what).with_source(error)
            }
        }
    }

    pub fn bad_endpoint(&self) -> ConnectionError {
        let what = format!(
            "'{}' can't be the name of a server",
            printable(&self.0.endpoint)
        );
        ConnectionError::new(Kind::BadEndpoint, what).class_of(ErrorClass::Permanent)
    }

    pub fn will_too_large(&self) -> ConnectionError {
        let what = "the last will is too large for a CONNECT".to_owned();
        ConnectionError::new(Kind::Violation, what).class_of(ErrorClass::Permanent)
    }

    /// An answer that did not come while the connection was made.
    pub fn no_answer(&self, to: &str, waited: Duration) -> ConnectionError {
        let (address, seconds) = (self.address(), waited.as_secs());
        let what = format!("{address} did not answer within {seconds} seconds (no {to})");
        ConnectionError::new(Kind::Silent, what)
    }

    /// An acknowledgement or a PINGRESP that did not come.
    pub fn overdue(&self, packet: &str) -> ConnectionError {
        let what = format!("{} did not answer a {packet} in time", self.address());
        ConnectionError::new(Kind::Overdue, what)
    }

    /// A CONNACK that says no (MQTT5, section 3.2.2.2).
    pub fn refused(&self, code: ReasonCode) -> ConnectionError {
        let what = format!("{} refused the connection: CONNACK {code}", self.address());
        let error = ConnectionError::new(Kind::Refused, what).reason(code);
        match code.0 {
            // unspecified, implementation specific; unavailable, busy, use another; quota, rate
            0x80 | 0x83 | 0x88 | 0x89 | 0x9C | 0x97 | 0x9F => error,
            _ => error.class_of(ErrorClass::Misconfigured),
        }
    }

    /// A DISCONNECT of the server, with what it says beside the code (MQTT5, section 3.14.2.1).
    pub fn disconnected(&self, code: ReasonCode, text: &str) -> ConnectionError {
        let mut reason = code.to_string();
        if !text.is_empty() {
            reason = format!("{}; {})", reason.trim_end_matches(')'), words(&text));
        }
        let what = format!(
            "{} ended the connection: DISCONNECT {reason}",
            self.address()
        );
        let error = ConnectionError::new(Kind::Disconnected, what).reason(code);
        match code {
            ReasonCode::SESSION_TAKEN_OVER => error.class_of(ErrorClass::Permanent),
            ReasonCode::NOT_AUTHORIZED => error.class_of(ErrorClass::Misconfigured),
            _ => error,
        }
    }

    /// What it sent is against the rules. (Whoever answers: it may not be the server at all.)
    pub fn violation(&self, fault: Violation) -> ConnectionError {
        let Violation { code, what } = fault;
        let what = format!(
            "{} broke the rules of MQTT5: it sent {what}",
            self.address()
        );
        ConnectionError::new(Kind::Violation, what).reason(code)
    }

    pub fn closed_early(&self) -> ConnectionError {
        let address = self.address();
        let what = format!("{address} closed the connection before it answered CONNECT");
        ConnectionError::new(Kind::ClosedEarly, what)
    }

    pub fn closed(&self) -> ConnectionError {
        let what = format!("{} closed the connection", self.address());
        ConnectionError::new(Kind::Closed, what)
    }

    /// An error of the stream, or one of TLS that came through it. `accepted`: whether a CONNACK had
    /// come.
    pub fn broken(&self, error: io::Error, accepted: bool) -> ConnectionError {
        use io::ErrorKind as K;
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
        if let Some(tls) = tls.cloned() {
            return self.tls_failed(tls);
        }
        match error.kind() {
            K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe | K::UnexpectedEof => {
                if accepted {
                    self.closed()
                } else {
                    self.closed_early()
                }
            }
            _ => {
                let what = format!(
                    "the connection to {} broke: {}",
                    self.address(),
                    words(&error)
                );
                ConnectionError::new(Kind::Broken, what).with_source(error)
            }
        }
    }

    /// Our side rejected the server's certificate, or the server ours and sent an alert (RFC 8446,
    /// section 6.2).
    fn tls_failed(&self, error: TlsError) -> ConnectionError {
        use AlertDescription as A;
        let address = self.address();
        let class = match &error {
            TlsError::InvalidCertificate(_) | TlsError::NoApplicationProtocol => {
                ErrorClass::Misconfigured
            }
            TlsError::AlertReceived(
                A::BadCertificate
                | A::UnsupportedCertificate
                | A::CertificateRevoked
                | A::CertificateExpired
                | A::CertificateUnknown
                | A::UnknownCA
                | A::AccessDenied
                | A::DecryptError
                | A::CertificateRequired
                | A::NoApplicationProtocol
                | A::UnrecognisedName
                | A::ProtocolVersion
                | A::HandshakeFailure
                | A::InsufficientSecurity,
            ) => ErrorClass::Misconfigured,
            // Bytes that are no TLS may come from anybody on the way.
            _ => ErrorClass::Transient,
        };
        let what = match &error {
            TlsError::InvalidCertificate(fault) => {
                let fault = certificate::fault(fault, &self.0.endpoint);
                format!("the certificate of {address} {fault}")
            }
            TlsError::InvalidMessage(_) => format!("what answers at {address} does not speak TLS"),
            TlsError::AlertReceived(alert) => {
                format!("{address} ended the TLS handshake: TLS alert {alert:?}")
            }
            other => format!("the TLS handshake with {address} failed: {}", words(other)),
        };
        let error = ConnectionError::new(Kind::Tls, what).with_source(error);
        error.class_of(class)
    }
}

/// An error's own words, printable and without a full stop. The system's number of it tells nothing.
fn words(error: &dyn std::fmt::Display) -> String {
    let words = error.to_string();
    let words = words.trim_end_matches(['.', ' ', '\n']);
    printable(&cut(words, 300)).into_owned()
}

/// The error of TLS that a connection failed with, if it was one.
impl ConnectionError {
    /// How the TLS handshake failed, if it was that.
    pub fn tls(&self) -> Option<&TlsError> {
        self.source()?.downcast_ref()
    }
}
