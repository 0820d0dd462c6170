//! Why a TLS handshake failed.

use std::net::IpAddr;

use rustls::{AlertDescription, CertificateError};

use super::{Failure, sentence};
use crate::mqtt::Options;
use crate::names::Names;

/// A TLS handshake that failed: our side found fault with the server, or the server with us.
pub(super) fn from_tls(error: &rustls::Error, options: &Options) -> Failure {
    use CertificateError as C;
    let server = options.address();
    let Names {
        endpoint, port, ca, ..
    } = options.names;
    match error {
        rustls::Error::InvalidCertificate(fault) => match fault {
            C::UnknownIssuer | C::BadSignature => Failure::mistake(format!(
                "The certificate of {server} was not signed by a CA that this program trusts. \
                 Check {endpoint}, and that {ca}, if it is given, holds the CA of that server (for \
                 AWS: https://www.amazontrust.com/repository/AmazonRootCA1.pem). Without it, the \
                 system's trust store is used."
            )),
            C::NotValidForName | C::NotValidForNameContext { .. } => Failure::mistake(format!(
                "The server at {server} has a certificate for another name than '{}'. Check that \
                 {endpoint} is the name that `aws iot describe-endpoint --endpoint-type \
                 iot:Data-ATS` prints, and not an IP address or an alias of it.",
                options.endpoint
            )),
            C::Expired | C::ExpiredContext { .. } => Failure::mistake(format!(
                "The certificate of {server} has expired, or this device's clock is ahead. Check \
                 the clock (`date`) and {endpoint}."
            )),
            C::NotValidYet | C::NotValidYetContext { .. } => Failure::mistake(format!(
                "The certificate of {server} is not valid yet, so this device's clock is most \
                 likely behind. Check the clock (`date`) and {endpoint}."
            )),
            fault => Failure::mistake(format!(
                "The certificate of {server} can't be accepted: {} Check {endpoint} and {ca}.",
                sentence(fault)
            )),
        },
        rustls::Error::AlertReceived(alert) => from_alert(*alert, options),
        rustls::Error::NoApplicationProtocol => Failure::mistake(format!(
            "{server} does not speak MQTT on this port. Check {port}: 8883, or 443."
        )),
        rustls::Error::InvalidMessage(_) => Failure::mistake(format!(
            "What answers at {server} does not speak TLS. Check {endpoint} and {port}."
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
    let Names { endpoint, port, .. } = options.names;
    if let Some(advice) = advice_on_address(options) {
        return Failure::mistake(format!(
            "{advice} ({server} ended the TLS handshake: TLS alert {alert:?}.)"
        ));
    }
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
            "{server} refused this device's certificate (TLS alert {alert:?}). Check that it is \
             registered and active in this account and region (AWS IoT console: Security > \
             Certificates), and that {endpoint} belongs to the same account."
        )),
        A::UnrecognisedName => Failure::mistake(format!(
            "{server} does not know the name '{}'. Check {endpoint}.",
            options.endpoint
        )),
        A::NoApplicationProtocol => Failure::mistake(format!(
            "{server} does not speak MQTT on this port. Check {port}: 8883, or 443."
        )),
        A::ProtocolVersion | A::HandshakeFailure | A::InsufficientSecurity => {
            Failure::mistake(format!(
                "{server} and this program found no TLS version and cipher suite that both accept \
                 (TLS alert {alert:?}). Check {endpoint} and {port}: is this AWS IoT Core?"
            ))
        }
        _ => Failure::passing(format!(
            "{server} ended the TLS handshake (TLS alert {alert:?})."
        )),
    }
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
