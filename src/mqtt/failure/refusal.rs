//! What the server says when it does not want us, or no longer: CONNACK and DISCONNECT.

use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, DisconnectReasonCode};

use super::Failure;
use crate::mqtt::{Options, reason};
use crate::text::{cut, printable};

/// A CONNACK with a reason code of 0x80 or above (MQTT5, section 3.2.2.2).
pub(super) fn refused(code: ConnectReturnCode, options: &Options) -> Failure {
    use ConnectReturnCode as C;
    let (server, names) = (options.address(), options.names);
    let id = printable(&options.client_id);
    let what = format!(
        "{server} refused the connection: CONNACK {}.",
        reason::of(code)
    );
    match code {
        C::NotAuthorized => Failure::Mistake(format!(
            "{what} Check that the policy of your certificate allows iot:Connect on \
             arn:aws:iot:REGION:ACCOUNT:client/{id}, and that the certificate is active and has \
             that policy (AWS IoT console: Security > Certificates)."
        )),
        C::BadUserNamePassword => Failure::Mistake(format!(
            "{what} Check that this device's certificate is registered and active in this account \
             and region (AWS IoT console: Security > Certificates), and that {} belongs to the same \
             account.",
            names.endpoint
        )),
        C::ClientIdentifierNotValid => Failure::Mistake(format!(
            "{what} The client id was '{id}': check {}.",
            names.client_id
        )),
        C::ServerUnavailable | C::ServerBusy | C::UseAnotherServer => {
            Failure::Passing(format!("{what} The service can't take it just now."))
        }
        C::QuotaExceeded | C::ConnectionRateExceeded => Failure::Passing(format!(
            "{what} The account has reached a limit on connections (Service Quotas console: AWS \
             IoT Core)."
        )),
        C::UnspecifiedError | C::ImplementationSpecificError => Failure::Passing(what),
        _ => Failure::Mistake(format!(
            "{what} Check {} and {}: is this AWS IoT Core?",
            names.endpoint, names.port
        )),
    }
}

/// A DISCONNECT from the server (MQTT5, section 3.14.2.1).
pub(super) fn disconnected(code: DisconnectReasonCode, text: &str, options: &Options) -> Failure {
    use DisconnectReasonCode as C;
    let id = printable(&options.client_id);
    let mut reason = reason::of(code);
    if !text.is_empty() {
        let text = printable(text);
        reason = format!("{}; {})", reason.trim_end_matches(')'), cut(&text, 300));
    }
    let server = options.address();
    let what = format!("{server} ended the connection: DISCONNECT {reason}.");
    match code {
        C::SessionTakenOver => Failure::Final(format!(
            "{what} Another client has connected with the client id '{id}'. Every device needs one of \
             its own: check {}.",
            options.names.client_id
        )),
        C::NotAuthorized => Failure::Mistake(format!(
            "{what} The policy of your certificate does not allow something this program did. \
             Check that it has every statement of policy.json, for this thing and for the client \
             id '{id}', and that the certificate is still active."
        )),
        _ => Failure::Passing(what),
    }
}
