//! Why a TLS handshake failed.

use std::net::IpAddr;

use rustls::{AlertDescription, CertificateError, Error};

use super::{Failure, sentence};
use crate::mqtt::Options;
use crate::names::Names;

/// A TLS handshake that failed: our side found fault with the server, or the server with us and sent
/// an alert (RFC 8446, section 6.2).
pub(super) fn from_tls(error: &Error, options: &Options) -> Failure {
    use AlertDescription as A;
    use CertificateError as C;
    let server = options.address();
    let name = &options.endpoint;
    let Names {
        endpoint, port, ca, ..
    } = options.names;
    if let (Error::AlertReceived(alert), Some(advice)) = (error, advice_on_address(options)) {
        return Failure::Mistake(format!(
            "{advice} ({server} ended the TLS handshake: TLS alert {alert:?}.)"
        ));
    }
    Failure::Mistake(match error {
        Error::InvalidCertificate(C::UnknownIssuer | C::BadSignature) => format!(
            "The certificate of {server} was not signed by a CA that this program trusts. Check \
             {endpoint}, and that {ca}, if it is given, holds the CA of that server (for AWS: \
             https://www.amazontrust.com/repository/AmazonRootCA1.pem). Without it, the system's \
             trust store is used."
        ),
        Error::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => {
            format!(
                "The server at {server} has a certificate for another name than '{name}'. Check \
                 that {endpoint} is the name that `aws iot describe-endpoint --endpoint-type \
                 iot:Data-ATS` prints, and not an IP address or an alias of it."
            )
        }
        Error::InvalidCertificate(C::Expired | C::ExpiredContext { .. }) => format!(
            "The certificate of {server} has expired, or this device's clock is ahead. Check the \
             clock (`date`) and {endpoint}."
        ),
        Error::InvalidCertificate(C::NotValidYet | C::NotValidYetContext { .. }) => format!(
            "The certificate of {server} is not valid yet, so this device's clock is most likely \
             behind. Check the clock (`date`) and {endpoint}."
        ),
        Error::InvalidCertificate(fault) => format!(
            "The certificate of {server} can't be accepted: {} Check {endpoint} and {ca}.",
            sentence(fault)
        ),
        Error::InvalidMessage(_) => {
            format!("What answers at {server} does not speak TLS. Check {endpoint} and {port}.")
        }
        Error::NoApplicationProtocol | Error::AlertReceived(A::NoApplicationProtocol) => {
            format!("{server} does not speak MQTT on this port. Check {port}: 8883, or 443.")
        }
        Error::AlertReceived(A::UnrecognisedName) => {
            format!("{server} does not know the name '{name}'. Check {endpoint}.")
        }
        Error::AlertReceived(
            alert @ (A::BadCertificate
            | A::UnsupportedCertificate
            | A::CertificateRevoked
            | A::CertificateExpired
            | A::CertificateUnknown
            | A::UnknownCA
            | A::AccessDenied
            | A::DecryptError
            | A::CertificateRequired),
        ) => format!(
            "{server} refused this device's certificate (TLS alert {alert:?}). Check that it is \
             registered and active in this account and region (AWS IoT console: Security > \
             Certificates), and that {endpoint} belongs to the same account."
        ),
        Error::AlertReceived(
            alert @ (A::ProtocolVersion | A::HandshakeFailure | A::InsufficientSecurity),
        ) => format!(
            "{server} and this program found no TLS version and cipher suite that both accept (TLS \
             alert {alert:?}). Check {endpoint} and {port}: is this AWS IoT Core?"
        ),
        error => {
            return Failure::Passing(format!(
                "The TLS handshake with {server} failed: {}",
                sentence(error)
            ));
        }
    })
}

/// What to say first if the endpoint is an IP address: the TLS handshake then has no name in it.
pub(super) fn advice_on_address(options: &Options) -> Option<String> {
    options.endpoint.parse::<IpAddr>().ok()?;
    Some(format!(
        "'{}' is an IP address, and AWS IoT Core must be asked for by its name (SNI). Check that {} is \
         the name that `aws iot describe-endpoint --endpoint-type iot:Data-ATS` prints.",
        options.endpoint, options.names.endpoint
    ))
}
