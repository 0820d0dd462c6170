//! What to do about a request that failed.

use crate::jobs::{ErrorCode, RequestError, RequestErrorKind as Kind};
use crate::mqtt::{PublishError, ReasonCode, SubscribeError};
use crate::text::Text;

/// Where to look if the service does not answer at all.
const NO_REPLIES: &str = "Check that the policy of your certificate allows iot:Receive on all of \
                          policy.json, and that --thing_name is the name of this certificate's thing.";

/// What to do about a request without which there is no going on.
pub fn on_denied(error: &RequestError) -> Option<String> {
    let advice = on_request(error)?;
    let is_denied = match error.kind() {
        Kind::Publish(_) => true,
        Kind::Subscribe(error) => error.is_denied(),
        _ => false,
    };
    if !is_denied {
        return Some(advice);
    }
    // What is denied to one thing is most often meant for another.
    let first = "Check --thing_name first: it must be the name of this certificate's thing.";
    Some(format!("{first} {advice}"))
}

/// What to do about a request that failed, or has no result for now.
pub fn on_request(error: &RequestError) -> Option<String> {
    match error.kind() {
        Kind::NoReply(_) => Some(NO_REPLIES.to_owned()),
        Kind::Publish(error) => on_publish(error),
        Kind::Subscribe(error) => on_subscribe(error),
        Kind::Rejected(rejection) if rejection.code == ErrorCode::RequestThrottled => {
            Some("The account has reached a limit of the Jobs service.".to_owned())
        }
        _ => None,
    }
}

/// What to do about a message that was not published: the statement that is missing, as one would
/// write it into the policy.
fn on_publish(error: &PublishError) -> Option<String> {
    let PublishError::NotAuthorized { topic, .. } = error else {
        return None;
    };
    let has_it = policy_json_has(topic, " (policy.json has it for every request)");
    Some(format!(
        "Add to the policy of your certificate: allow iot:Publish on \
         arn:aws:iot:REGION:ACCOUNT:topic/{}{has_it}.",
        Text::from(topic)
    ))
}

/// What to do about a subscription that was refused.
pub fn on_subscribe(error: &SubscribeError) -> Option<String> {
    if error.is_denied() {
        let has_it = policy_json_has(&error.filter, " (policy.json has it for every filter)");
        return Some(format!(
            "Add to the policy of your certificate: allow iot:Subscribe on \
             arn:aws:iot:REGION:ACCOUNT:topicfilter/{}{has_it}.",
            Text::from(error.filter.replace('+', "*"))
        ));
    }
    (error.reason == ReasonCode::QUOTA_EXCEEDED).then(|| {
        "A connection has at most 50 subscriptions, and the jobs of a thing take five: do at most ten \
         things over one connection."
            .to_owned()
    })
}

/// These words, if `policy.json` is about this topic: it is about the jobs of a thing.
fn policy_json_has<'a>(topic: &str, words: &'a str) -> &'a str {
    let rest = topic.strip_prefix("$aws/things/").unwrap_or_default();
    let is_about_jobs = rest.split('/').nth(1) == Some("jobs");
    if is_about_jobs { words } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_subscriptions_are_named_and_an_invalid_filter_needs_no_advice() {
        let advice = |reason| {
            let filter = "$aws/things/my-thing/jobs/notify-next".to_owned();
            on_subscribe(&SubscribeError { filter, reason })
        };
        let of_denied = advice(ReasonCode::NOT_AUTHORIZED).unwrap();
        assert!(of_denied.contains("iot:Subscribe"), "{of_denied}");
        let of_too_many = advice(ReasonCode::QUOTA_EXCEEDED).unwrap();
        assert!(of_too_many.contains("50 subscriptions"), "{of_too_many}");
        assert_eq!(advice(ReasonCode::TOPIC_FILTER_INVALID), None);
    }
}
