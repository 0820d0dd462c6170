//! The server's answer to our SUBSCRIBE (MQTT5, section 3.9.3).

use rumqttc::v5::mqttbytes::v5::SubscribeReasonCode;

use super::{Failure, Options, reason};
use crate::text::printable;

/// Whether every filter was granted; there must be one reason code for each, in their order.
///
/// # Errors
/// Names the first filter that was refused. If the policy is the reason, that is a mistake.
pub(super) fn check(codes: &[SubscribeReasonCode], options: &Options) -> Result<(), Failure> {
    use SubscribeReasonCode as Code;
    let filters = &options.filters;
    if codes.len() != filters.len() {
        let words = "The server's SUBACK does not fit our SUBSCRIBE.";
        return Err(Failure::passing(words));
    }
    let refused = || {
        let pairs = codes.iter().zip(filters);
        pairs.filter(|(code, _)| !matches!(code, Code::Success(_)))
    };
    if let Some((_, filter)) = refused().find(|(code, _)| **code == Code::NotAuthorized) {
        return Err(denied(filter, refused().count(), options.names.topics));
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
fn denied(filter: &str, refused: usize, topics: &str) -> Failure {
    let filter = printable(filter);
    let others = match refused {
        1 => String::new(),
        more => format!(" ({} more filters were refused)", more - 1),
    };
    Failure::mistake(format!(
        "The server refused the subscription to {filter}: SUBACK 0x87 (not authorized){others}. Check \
         {topics} first; if it is right, add to the policy of your certificate: allow iot:Subscribe on \
         arn:aws:iot:REGION:ACCOUNT:topicfilter/{} (policy.json has it for every filter).",
        filter.replace('+', "*")
    ))
}
