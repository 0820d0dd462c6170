//! What to check when there is no connection.

use std::net::IpAddr;

use super::partition::Partition;
use crate::mqtt::{
    ConnectionError, ConnectionErrorKind as Kind, HandshakeFailure, Options, ReasonCode,
};
use crate::text::printable;

/// How to find the name of the endpoint.
const DESCRIBE_ENDPOINT: &str = "`aws iot describe-endpoint --endpoint-type iot:Data-ATS` prints";
/// Where certificates and their policies are.
const CONSOLE: &str = "(AWS IoT console: Security > Certificates)";

/// What was to be connected to, and as whom.
#[derive(Debug, Clone)]
pub struct Target {
    endpoint: String,
    client_id: String,
}

impl Target {
    /// As these options say.
    pub fn of(options: &Options) -> Self {
        Self {
            endpoint: options.endpoint.clone(),
            client_id: options.client_id.clone(),
        }
    }

    /// The partition of AWS that it is in.
    pub fn partition(&self) -> Partition {
        Partition::of(&self.endpoint)
    }

    /// The ARN of the client that connects.
    fn client_arn(&self) -> String {
        let client_id = printable(&self.client_id);
        self.partition().arn(format_args!("client/{client_id}"))
    }
}

/// What to check when there is no connection.
pub fn on_connection(error: &ConnectionError, target: &Target) -> Option<String> {
    let advice = match error.kind() {
        Kind::Unreachable => format!(
            "Check --endpoint ({DESCRIBE_ENDPOINT} it), --port and the network; a firewall may drop \
             what goes to that port."
        ),
        Kind::ProxyUnreachable => {
            "Check --proxy_host and --proxy_port, and the network.".to_owned()
        }
        Kind::ProxyRefused => {
            "Check --proxy_host and --proxy_port, and that the proxy lets CONNECT \
                               through to that port."
                .to_owned()
        }
        Kind::ProxyAuth => {
            "They come from the file that --proxy_auth names: one line, user:password.".to_owned()
        }
        Kind::Tls(failure) => handshake(failure, target),
        Kind::Refused => refused(error.reason_code(), target),
        Kind::Disconnected => disconnected(error, target),
        Kind::ClosedEarly => closed_early(target),
        Kind::Closed => format!(
            "If this happens again and again, check that no other client uses the client ID '{}'.",
            printable(&target.client_id)
        ),
        Kind::Silent => {
            "Check --endpoint, --port and the network; a firewall may drop what goes to \
                         that port."
                .to_owned()
        }
        Kind::Overdue => "The connection is given up for a new one.".to_owned(),
        Kind::OldProtocol | Kind::Violation => {
            "Check --endpoint and --port: is this AWS IoT Core?".to_owned()
        }
        Kind::BadOptions => "Check --endpoint.".to_owned(),
        _ => String::new(),
    };
    Some(advice).filter(|advice| !advice.is_empty())
}

/// What to say first if the endpoint is an IP address: the TLS handshake then has no name in it.
fn about_address(target: &Target) -> Option<String> {
    target.endpoint.parse::<IpAddr>().ok()?;
    Some(format!(
        "'{}' is an IP address, and AWS IoT Core must be asked for by its name (SNI): --endpoint is \
         the name that {DESCRIBE_ENDPOINT}.",
        target.endpoint
    ))
}

/// Whether the endpoint is one of those that have a certificate of another CA.
fn is_old_endpoint(endpoint: &str) -> bool {
    let (first, rest) = endpoint.split_once('.').unwrap_or_default();
    rest.starts_with("iot.") && rest.contains(".amazonaws.com") && !first.ends_with("-ats")
}

fn closed_early(target: &Target) -> String {
    about_address(target).unwrap_or_else(|| {
        format!(
            "If this happens again and again, a likely cause is a policy that does not allow \
             iot:Connect on {}, or a certificate that is not active or has no policy {CONSOLE}.",
            target.client_arn()
        )
    })
}

/// A CONNACK that says no (MQTT5, section 3.2.2.2).
fn refused(code: Option<ReasonCode>, target: &Target) -> String {
    let id = printable(&target.client_id);
    match code.unwrap_or(ReasonCode(0x80)).0 {
        0x87 => format!(
            "Check that the policy of your certificate allows iot:Connect on {}, and that the \
             certificate is active and has that policy {CONSOLE}.",
            target.client_arn()
        ),
        0x86 => format!(
            "Check that this device's certificate is registered and active in this account and region \
             {CONSOLE}, and that --endpoint belongs to the same account."
        ),
        0x85 => format!("The client ID was '{id}': check --client_id."),
        0x88 | 0x89 | 0x9C => "The service can't take it just now.".to_owned(),
        0x97 | 0x9F => {
            "The account has reached a limit on connections (Service Quotas console: AWS \
                        IoT Core)."
                .to_owned()
        }
        0x80 | 0x83 => String::new(),
        _ => "Check --endpoint and --port: is this AWS IoT Core?".to_owned(),
    }
}

/// A DISCONNECT of the server (MQTT5, section 3.14.2.1).
fn disconnected(error: &ConnectionError, target: &Target) -> String {
    let id = printable(&target.client_id);
    match error.reason_code() {
        Some(ReasonCode::SESSION_TAKEN_OVER) => format!(
            "Another client has connected with the client ID '{id}'. Every device needs one of its own: \
             check --client_id."
        ),
        Some(ReasonCode::NOT_AUTHORIZED) => {
            let refused = error.in_flight().join(", ");
            let refused = printable(&refused);
            let refused = if refused.is_empty() {
                String::new()
            } else {
                format!(", most likely one of these: {refused}")
            };
            format!(
                "The policy of your certificate does not allow something this program did{refused}. \
                 Check that it allows all that this device does, for this thing and for the client ID \
                 '{id}', and that the certificate is still active."
            )
        }
        _ => String::new(),
    }
}

/// A TLS handshake that failed.
fn handshake(failure: HandshakeFailure, target: &Target) -> String {
    use HandshakeFailure as F;
    let is_alert = matches!(
        failure,
        F::Rejected | F::OtherKeys | F::UnknownName | F::NothingInCommon
    );
    if let (true, Some(advice)) = (is_alert, about_address(target)) {
        return advice;
    }
    match failure {
        F::UntrustedCa if is_old_endpoint(&target.endpoint) => format!(
            "This endpoint is of the old kind, whose CA is no longer trusted. Use the name with -ats \
             that {DESCRIBE_ENDPOINT}."
        ),
        F::UntrustedCa => {
            "Check --endpoint, and that --ca_file, if it is given, holds the CA of that server (for \
             AWS: https://www.amazontrust.com/repository/AmazonRootCA1.pem). Without it, the system's \
             trust store is used."
                .to_owned()
        }
        F::Nameless => {
            "Make one for this server with a subjectAltName (openssl: -addext \
             subjectAltName=DNS:NAME); the common name alone no longer counts."
                .to_owned()
        }
        F::WrongName => format!(
            "Check that --endpoint is the name that {DESCRIBE_ENDPOINT}, and not an IP address or an \
             alias of it."
        ),
        F::WrongTime => "Check the clock (`date`) and --endpoint.".to_owned(),
        F::OldVersion => {
            "Make one of version 3 with a subjectAltName for this server (openssl x509 -req writes \
             version 1 unless it is given -extfile)."
                .to_owned()
        }
        F::BadCertificate => {
            "Check --endpoint. If that server is yours, make it a certificate of its own, with a \
             subjectAltName."
                .to_owned()
        }
        F::NotTls => "Check --endpoint and --port.".to_owned(),
        F::NoProtocol => {
            "It does not speak MQTT on this port. Check --port: 8883, or 443.".to_owned()
        }
        F::UnknownName => "It does not know this name. Check --endpoint.".to_owned(),
        F::Rejected => format!(
            "It refused this device's certificate. Check that it is registered and active in this \
             account and region {CONSOLE}, and that --endpoint belongs to the same account."
        ),
        // It was offered one, unless it listed no signature algorithm that the key can do.
        F::OtherKeys => {
            "It takes no key of this kind: most likely, RSA keys only. Make this device a key and a \
             certificate of a kind that it takes."
                .to_owned()
        }
        F::NothingInCommon => {
            "There is no TLS version and cipher suite that both accept, or it takes another kind of \
             key only (RSA). Check --endpoint and --port: is this AWS IoT Core?"
                .to_owned()
        }
        _ => String::new(),
    }
}
