//! Why a TLS handshake failed, as a value; what is wrong with a server's certificate, in words.

use rustls::CertificateError;

use crate::text::printable;

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
    /// The server takes other kinds of keys than this device's.
    OtherKeys,
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

/// What is wrong with the certificate of a server, and as the rest of a sentence.
pub(super) fn fault(fault: &CertificateError, endpoint: &str) -> (HandshakeFailure, String) {
    use CertificateError as C;
    use HandshakeFailure as F;
    let (failure, words) = match fault {
        C::UnknownIssuer | C::BadSignature => (
            F::UntrustedCa,
            "was not signed by a CA that is trusted here",
        ),
        C::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            (F::Nameless, "names no server: it has no subjectAltName")
        }
        C::NotValidForName | C::NotValidForNameContext { .. } => {
            let words = format!("is for another name than '{}'", printable(endpoint));
            return (F::WrongName, words);
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
        other => (F::BadCertificate, words(other)),
    };
    (failure, words.to_owned())
}

fn words(fault: &CertificateError) -> &'static str {
    use CertificateError as C;
    match fault {
        C::Revoked => "has been revoked",
        C::UnknownRevocationStatus
        | C::ExpiredRevocationList
        | C::ExpiredRevocationListContext { .. }
        | C::InvalidOcspResponse => UNKNOWN_REVOCATION,
        C::BadEncoding => "is damaged: it can't be decoded",
        C::UnhandledCriticalExtension => UNKNOWN_EXTENSION,
        C::InvalidPurpose | C::InvalidPurposeContext { .. } => OTHER_PURPOSE,
        C::UnsupportedSignatureAlgorithmContext { .. }
        | C::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => OTHER_SIGNATURE,
        C::ApplicationVerificationFailure => "was refused by a check of this program's own",
        // What is left has a name, and no other words: an error of webpki's, and old forms of the above.
        other => of_name(&other.to_string()),
    }
}

const UNKNOWN_EXTENSION: &str = "has a critical extension that is not known here";
const OTHER_PURPOSE: &str = "is not meant for a server (extended key usage)";
const UNKNOWN_REVOCATION: &str = "may have been revoked, which can't be found out";
const OTHER_SIGNATURE: &str = "is signed by an algorithm that is not supported here";

/// By a part of an error's name.
const BY_NAME: [(&str, &str); 10] = [
    ("CaUsedAsEndEntity", "is that of a CA, and not a server's"),
    ("EndEntityUsedAsCa", "was signed by one that is not a CA's"),
    ("CriticalExtension", UNKNOWN_EXTENSION),
    (
        "NameConstraintViolation",
        "is for a name that its CA must not sign for (name constraints)",
    ),
    (
        "PathLenConstraint",
        "has more CAs above it than one of these allows (path length)",
    ),
    ("Maximum", "has too long a chain, or too many names in it"),
    ("Distrusted", "was signed by a CA that is trusted no longer"),
    ("Eku", OTHER_PURPOSE),
    ("UnsupportedSignatureAlgorithm", OTHER_SIGNATURE),
    ("Crl", UNKNOWN_REVOCATION),
];

fn of_name(name: &str) -> &'static str {
    let found = BY_NAME.iter().find(|(part, _)| name.contains(part));
    found.map_or("breaks the rules of X.509", |(_, words)| words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use rustls::OtherError;
    use webpki::Error as E;

    #[test]
    fn the_errors_of_webpki_have_words_and_none_shows_its_name() {
        for (error, words) in [
            (E::CaUsedAsEndEntity, "is that of a CA"),
            (E::CertDistrusted, "trusted no longer"),
            (E::EmptyEkuExtension, "not meant for a server"),
            (E::EndEntityUsedAsCa, "not a CA's"),
            (E::ExtensionValueInvalid, "breaks the rules"),
            (E::InvalidCrlNumber, "may have been revoked"),
            (E::InvalidNetworkMaskConstraint, "breaks the rules"),
            (E::InvalidSerialNumber, "breaks the rules"),
            (E::MalformedDnsIdentifier, "breaks the rules"),
            (E::MalformedExtensions, "breaks the rules"),
            (E::MalformedNameConstraint, "breaks the rules"),
            (
                E::MaximumNameConstraintComparisonsExceeded,
                "too long a chain",
            ),
            (E::MaximumPathBuildCallsExceeded, "too long a chain"),
            (E::MaximumPathDepthExceeded, "too long a chain"),
            (E::MaximumSignatureChecksExceeded, "too long a chain"),
            (E::NameConstraintViolation, "must not sign for"),
            (E::PathLenConstraintViolated, "more CAs above it"),
            (E::SignatureAlgorithmMismatch, "breaks the rules"),
            (E::UnsupportedCertVersion, "old version of X.509"),
            (E::UnsupportedCriticalExtension, "a critical extension"),
            (E::UnsupportedDeltaCrl, "may have been revoked"),
            (E::UnsupportedNameType, "breaks the rules"),
        ] {
            let name = error.to_string();
            let error = CertificateError::Other(OtherError(Arc::new(error)));
            let (_, said) = fault(&error, "localhost");
            assert!(
                said.contains(words) && !said.contains(&name),
                "{name}: {said}"
            );
        }
    }
}
