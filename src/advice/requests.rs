//! What to do about a request that failed.

use super::partition::Partition;
use crate::jobs::{ErrorCode, RequestError, TryError};
use crate::mqtt::{PublishError, ReasonCode, SubscribeError};
use crate::text::Text;

/// Where to look if the service does not answer at all.
const NO_REPLIES: &str = "Check that the policy of your certificate allows iot:Receive on all of \
                          policy.json, and that --thing_name is the name of this certificate's thing.";

/// What to do about a request that failed.
pub fn on_request(error: &RequestError, partition: Partition) -> Option<String> {
    match error {
        RequestError::Publish { error, .. } => on_publish(error, partition).map(thing_first),
        RequestError::Subscribe { error, .. } if error.is_denied() => {
            on_subscribe(error, partition).map(thing_first)
        }
        RequestError::Subscribe { error, .. } => on_subscribe(error, partition),
        RequestError::Unanswered { last, .. } => on_try(last, partition),
        _ => None,
    }
}

/// What is denied to one thing is most often meant for another.
fn thing_first(advice: String) -> String {
    format!("Check --thing_name first: it must be the name of this certificate's thing. {advice}")
}

/// What to do about a request that has no result for now.
pub fn on_try(error: &TryError, partition: Partition) -> Option<String> {
    match error {
        TryError::NoReply { .. } => Some(NO_REPLIES.to_owned()),
        TryError::Publish(error) => on_publish(error, partition),
        TryError::Rejected(rejection) if rejection.code == ErrorCode::RequestThrottled => {
            Some("The account has reached a limit of the Jobs service.".to_owned())
        }
        _ => None,
    }
}

/// What to do about a message that was not published: the statement that is missing, as one would
/// write it into the policy.
pub fn on_publish(error: &PublishError, partition: Partition) -> Option<String> {
    let PublishError::NotAuthorized { topic, .. } = error else {
        return None;
    };
    let has_it = policy_json_has(topic, " (policy.json has it for every request)");
    Some(format!(
        "Add to the policy of your certificate: allow iot:Publish on {}{has_it}.",
        partition.arn(format_args!("topic/{}", Text::from(topic)))
    ))
}

/// What to do about a subscription that was refused.
pub fn on_subscribe(error: &SubscribeError, partition: Partition) -> Option<String> {
    if error.is_denied() {
        let has_it = policy_json_has(&error.filter, " (policy.json has it for every filter)");
        let filter = Text::from(error.filter.replace('+', "*"));
        return Some(format!(
            "Add to the policy of your certificate: allow iot:Subscribe on {}{has_it}.",
            partition.arn(format_args!("topicfilter/{filter}"))
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
    use crate::jobs::Operation;

    fn refused(reason: ReasonCode, endpoint: &str) -> Option<String> {
        let error = RequestError::Subscribe {
            operation: Operation::StartNext,
            error: SubscribeError {
                filter: "$aws/things/my-thing/jobs/notify-next".into(),
                reason,
                was_granted: false,
            },
        };
        on_request(&error, Partition::of(endpoint))
    }

    #[test]
    fn the_name_of_the_thing_is_in_question_only_where_the_policy_denies() {
        let advice = |reason| refused(reason, "localhost");
        let of_denied = advice(ReasonCode::NOT_AUTHORIZED).unwrap();
        assert!(
            of_denied.starts_with("Check --thing_name first"),
            "{of_denied}"
        );
        let of_too_many = advice(ReasonCode::QUOTA_EXCEEDED).unwrap();
        assert!(of_too_many.contains("50 subscriptions"), "{of_too_many}");
        assert!(!of_too_many.contains("--thing_name"), "{of_too_many}");
        assert_eq!(advice(ReasonCode::TOPIC_FILTER_INVALID), None);
    }

    #[test]
    fn the_statement_that_is_missing_has_the_partition_of_the_endpoint() {
        for (endpoint, partition) in [
            ("a1b2c3-ats.iot.eu-central-1.amazonaws.com", "aws"),
            ("a1b2c3.ats.iot.cn-north-1.amazonaws.com.cn", "aws-cn"),
            ("a1b2c3-ats.iot.us-gov-west-1.amazonaws.com", "aws-us-gov"),
            ("localhost", "aws"),
        ] {
            let advice = refused(ReasonCode::NOT_AUTHORIZED, endpoint).unwrap();
            let arn = format!(" arn:{partition}:iot:REGION:ACCOUNT:topicfilter/$aws/things/");
            assert!(advice.contains(&arn), "{endpoint}: {advice}");
        }
    }
}
