//! The server's answer to our SUBSCRIBE (MQTT5, section 3.9.3).

use rumqttc::v5::mqttbytes::v5::SubscribeReasonCode;

use super::{Failure, reason};
use crate::text::printable;

/// Whether every filter was granted; there must be one reason code for each, in their order.
///
/// # Errors
/// Names the first filter that was refused. If the policy is the reason, that is final.
pub(super) fn check(codes: &[SubscribeReasonCode], filters: &[String]) -> Result<(), Failure> {
    use SubscribeReasonCode as Code;
    if codes.len() != filters.len() {
        let words = "The server's SUBACK does not fit our SUBSCRIBE.";
        return Err(Failure::passing(words));
    }
    let refused = || {
        let pairs = codes.iter().zip(filters);
        pairs.filter(|(code, _)| !matches!(code, Code::Success(_)))
    };
    if let Some((_, filter)) = refused().find(|(code, _)| **code == Code::NotAuthorized) {
        return Err(denied(filter, refused().count()));
    }
    match refused().next() {
        None => Ok(()),
        Some((code, filter)) => Err(Failure::passing(format!(
            "The server refused the subscription to {}: SUBACK {}.",
            printable(filter),
            reason::of_suback(*code)
        ))),
    }
}

/// SUBACK 0x87: names what is missing in the policy as one would write it there.
fn denied(filter: &str, refused: usize) -> Failure {
    let filter = printable(filter);
    let others = match refused {
        1 => String::new(),
        more => format!(" ({} more filters were refused)", more - 1),
    };
    Failure::lasting(format!(
        "The server refused the subscription to {filter}: SUBACK 0x87 (not authorized){others}. Add \
         to the policy of your certificate: allow iot:Subscribe on \
         arn:aws:iot:REGION:ACCOUNT:topicfilter/{} (policy.json has it for every filter).",
        filter.replace('+', "*")
    ))
}
