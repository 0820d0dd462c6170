//! What the server says when it does not want us, or no longer: CONNACK and DISCONNECT.

use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, DisconnectReasonCode};

use super::Failure;
use crate::mqtt::{Options, reason};
use crate::names::Names;
use crate::text::{cut, printable};

/// A CONNACK with a reason code of 0x80 or above (MQTT5, section 3.2.2.2).
pub(super) fn refused(code: ConnectReturnCode, options: &Options) -> Failure {
    use ConnectReturnCode as C;
    let Names {
        endpoint,
        port,
        client_id,
        ..
    } = options.names;
    let id = printable(&options.client_id);
    let what = format!(
        "{} refused the connection: CONNACK {}.",
        options.address(),
        reason::of(code)
    );
    match code {
        C::NotAuthorized => Failure::mistake(format!(
            "{what} Check that the policy of your certificate allows iot:Connect on \
             arn:aws:iot:REGION:ACCOUNT:client/{id}, and that the certificate is active and has \
             that policy (AWS IoT console: Security > Certificates)."
        )),
        C::BadUserNamePassword => Failure::mistake(format!(
            "{what} Check that this device's certificate is registered and active in this account \
             and region (AWS IoT console: Security > Certificates), and that {endpoint} belongs to \
             the same account."
        )),
        C::ClientIdentifierNotValid => Failure::mistake(format!(
            "{what} The client id was '{id}': check {client_id}."
        )),
        C::ServerUnavailable | C::ServerBusy | C::UseAnotherServer => {
            Failure::passing(format!("{what} The service can't take it just now."))
        }
        C::QuotaExceeded | C::ConnectionRateExceeded => Failure::passing(format!(
            "{what} The account has reached a limit on connections (Service Quotas console: AWS \
             IoT Core)."
        )),
        C::UnspecifiedError | C::ImplementationSpecificError => Failure::passing(what),
        _ => Failure::mistake(format!(
            "{what} Check {endpoint} and {port}: is this AWS IoT Core?"
        )),
    }
}

/// A DISCONNECT from the server (MQTT5, section 3.14.2.1).
pub(super) fn disconnected(
    code: DisconnectReasonCode,
    text: Option<&str>,
    options: &Options,
) -> Failure {
    let id = printable(&options.client_id);
    let mut reason = reason::of(code);
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        let text = printable(text);
        let text = cut(&text, 300);
        reason = format!("{}; {text})", reason.trim_end_matches(')'));
    }
    let what = format!(
        "{} ended the connection: DISCONNECT {reason}.",
        options.address()
    );
    match code {
        DisconnectReasonCode::SessionTakenOver => Failure::lasting(format!(
            "{what} Another client has connected with the client id '{id}'. Every device needs one of \
             its own: check {}.",
            options.names.client_id
        )),
        DisconnectReasonCode::NotAuthorized => Failure::mistake(format!(
            "{what} The policy of your certificate does not allow something this program did. \
             Check that it has every statement of policy.json, for this thing and for the client \
             id '{id}', and that the certificate is still active."
        )),
        _ => Failure::passing(what),
    }
}
