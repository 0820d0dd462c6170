//! Why a TLS handshake failed: what rustls says of it, understood in one place.

use std::fmt::Display;

use rustls::{AlertDescription, Error as TlsError};

use super::certificate;
use crate::text::{cut, printable};
pub use certificate::HandshakeFailure;

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
            let (failure, what) = certificate::fault(fault, endpoint);
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
                | A::DecryptError => F::Rejected,
                A::CertificateRequired => F::OtherKeys,
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

/// An error's own words, printable and without a full stop. The system's number of it tells nothing.
pub(super) fn words(error: &dyn Display) -> String {
    let words = error.to_string();
    let words = words.trim_end_matches(['.', ' ', '\n']);
    printable(&cut(words, 300)).into_owned()
}
