//! Why a TLS handshake failed: what rustls says of it, understood in one place.

use std::fmt::Display;

use rustls::{AlertDescription, CertificateError, Error as TlsError};

use crate::text::{cut, printable};

/// Why a TLS handshake failed, to count by. The first six are about the server's certificate, which
/// this side rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HandshakeFailure {
    /// It was not signed by a CA that is trusted here.
    UntrustedCa,
    /// It has no subjectAltName, and so names no server.
    Nameless,
    /// It is for another name than the endpoint's.
    WrongName,
    /// It has expired, or is not valid yet; or this device's clock is wrong.
    WrongTime,
    /// It is of an old version of X.509.
    OldVersion,
    /// Something else is wrong with it.
    BadCertificate,
    /// The server rejected this device's certificate (an alert: RFC 8446, section 6.2).
    Rejected,
    /// The server does not know the name that it was asked for.
    UnknownName,
    /// The server does not speak MQTT on this port (ALPN).
    NoProtocol,
    /// There is no TLS version and cipher suite that both sides accept.
    NothingInCommon,
    /// What answers does not speak TLS. It may be anybody on the way.
    NotTls,
    /// Something else.
    Other,
}

/// What a failed handshake with the server at `address` (`endpoint:port`) means, and in words.
pub(super) fn understand(
    error: &TlsError,
    endpoint: &str,
    address: &str,
) -> (HandshakeFailure, String) {
    use AlertDescription as A;
    use HandshakeFailure as F;
    match error {
        TlsError::InvalidCertificate(fault) => {
            let (failure, what) = certificate(fault, endpoint);
            (failure, format!("the certificate of {address} {what}"))
        }
        TlsError::InvalidMessage(_) => {
            let words = format!("what answers at {address} does not speak TLS");
            (F::NotTls, words)
        }
        TlsError::AlertReceived(alert) => {
            let failure = match alert {
                A::BadCertificate
                | A::UnsupportedCertificate
                | A::CertificateRevoked
                | A::CertificateExpired
                | A::CertificateUnknown
                | A::UnknownCA
                | A::AccessDenied
                | A::DecryptError
                | A::CertificateRequired => F::Rejected,
                A::UnrecognisedName => F::UnknownName,
                A::NoApplicationProtocol => F::NoProtocol,
                A::ProtocolVersion | A::HandshakeFailure | A::InsufficientSecurity => {
                    F::NothingInCommon
                }
                _ => F::Other,
            };
            let words = format!("{address} ended the TLS handshake: TLS alert {alert:?}");
            (failure, words)
        }
        other => {
            let failure = match other {
                TlsError::NoApplicationProtocol => F::NoProtocol,
                _ => F::Other,
            };
            let words = format!("the TLS handshake with {address} failed: {}", words(other));
            (failure, words)
        }
    }
}

/// What is wrong with the server's certificate, and as the rest of a sentence.
fn certificate(fault: &CertificateError, endpoint: &str) -> (HandshakeFailure, String) {
    use CertificateError as C;
    use HandshakeFailure as F;
    let (failure, what) = match fault {
        C::UnknownIssuer | C::BadSignature => (
            F::UntrustedCa,
            "was not signed by a CA that is trusted here",
        ),
        C::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            (F::Nameless, "names no server: it has no subjectAltName")
        }
        C::NotValidForName | C::NotValidForNameContext { .. } => {
            let what = format!("is for another name than '{}'", printable(endpoint));
            return (F::WrongName, what);
        }
        C::Expired | C::ExpiredContext { .. } => {
            (F::WrongTime, "has expired, or this device's clock is ahead")
        }
        C::NotValidYet | C::NotValidYetContext { .. } => (
            F::WrongTime,
            "is not valid yet, so this device's clock is most likely behind",
        ),
        C::Other(other) if other.to_string().contains("Version") => {
            (F::OldVersion, "is of an old version of X.509")
        }
        other => {
            return (
                F::BadCertificate,
                format!("is not accepted: {}", words(other)),
            );
        }
    };
    (failure, what.to_owned())
}

/// An error's own words, printable and without a full stop. The system's number of it tells nothing.
pub(super) fn words(error: &dyn Display) -> String {
    let words = error.to_string();
    let words = words.trim_end_matches(['.', ' ', '\n']);
    printable(&cut(words, 300)).into_owned()
}
