//! Why the sample ended otherwise than asked, and what to do about an error: which flag, file, policy
//! statement or page to look at. The libraries say what happened; this is what the program adds.

mod connection;
mod files;
mod partition;

pub use connection::{Target, on_connection};
pub use files::{file_error, warning};
pub use partition::Partition;

use super::lines::explained;
use crate::agent;
use crate::jobs::{ErrorCode, Operation, RequestError, RequestErrorKind as Kind};
use crate::mqtt::{self, PublishError, ReasonCode, SubscribeError};
use crate::text::Text;
use crate::tls::TlsError;

/// Why the sample ended otherwise than asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SampleError {
    /// A file can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// There is no connection, and it can't be established.
    #[error("{0}")]
    Connection(mqtt::ConnectionError, Target),
    /// The file with the proxy's user name and password can't be used.
    #[error("--proxy_auth {0}")]
    ProxyAuth(String),
    /// A request without which there is no going on has failed.
    #[error("{0}")]
    Request(RequestError, Partition),
    /// Work that was to end did not.
    #[error(transparent)]
    Work(agent::Error),
    /// CI mode wants at least one pending job.
    #[error("no job is queued for this thing, and CI mode (--is_ci) wants one")]
    NoJobInCi,
    /// The connection has ended without a reason.
    #[error("the connection has ended for an unknown reason")]
    Ended,
    /// The operating system does not let the program listen for signals.
    #[error("signals can't be listened for: {0}")]
    Signals(#[from] std::io::Error),
}

impl SampleError {
    /// What happened and what to do about it, in sentences.
    pub fn explained(&self) -> String {
        let advice = match self {
            Self::Tls(error) => return file_error(error),
            Self::Connection(error, target) => on_connection(error, target),
            Self::Request(error, partition) => on_denied(error, *partition),
            Self::Work(_) => Some(
                "The program ends, for a supervisor to start it anew: work must end when its job is no \
                 longer wanted."
                    .to_owned(),
            ),
            Self::NoJobInCi => {
                Some("Create one first: see the section \"A job\" in the README.".to_owned())
            }
            Self::Ended => Some("Run with --verbosity Debug for more.".to_owned()),
            _ => None,
        };
        explained(self, advice)
    }
}

impl From<RequestError> for SampleError {
    fn from(error: RequestError) -> Self {
        match error.kind() {
            Kind::Publish(PublishError::Ended) => Self::Ended,
            _ => Self::Request(error, Partition::default()), // `run` knows which
        }
    }
}

impl From<agent::Error> for SampleError {
    fn from(error: agent::Error) -> Self {
        match error {
            agent::Error::Request(error) => error.into(),
            error => Self::Work(error),
        }
    }
}

/// Where to look if the service does not answer at all.
const NO_REPLIES: &str = "Check that the policy of your certificate allows iot:Receive on all of \
                          policy.json, and that --thing_name is the name of this certificate's thing.";

/// What to do about a request without which there is no going on.
pub fn on_denied(error: &RequestError, partition: Partition) -> Option<String> {
    let advice = on_request(error, partition)?;
    let is_denied = match error.kind() {
        Kind::Publish(_) => true,
        Kind::Subscribe(error) => error.is_denied(),
        _ => false,
    };
    // What is denied to one thing is most often meant for another; the list is what is asked for first.
    if !is_denied || error.operation != Operation::GetPending {
        return Some(advice);
    }
    let first = "Check --thing_name first: it must be the name of this certificate's thing.";
    Some(format!("{first} {advice}"))
}

/// What to do about a request that failed, or has no result for now.
pub fn on_request(error: &RequestError, partition: Partition) -> Option<String> {
    match error.kind() {
        Kind::NoReply(_) => Some(NO_REPLIES.to_owned()),
        Kind::Publish(error) if error.is_denied() => on_publish(error, partition),
        Kind::Subscribe(error) => on_subscribe(error, partition),
        Kind::Rejected(rejection) if rejection.code == ErrorCode::RequestThrottled => {
            Some("The account has reached a limit of the Jobs service.".to_owned())
        }
        _ => None,
    }
}

/// What to do about a message that was not published: the statement that is missing, as one would
/// write it into the policy.
fn on_publish(error: &PublishError, partition: Partition) -> Option<String> {
    let PublishError::Refused { topic, .. } = error else {
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

    fn refused(reason: ReasonCode, endpoint: &str) -> Option<String> {
        let filter = "$aws/things/my-thing/jobs/notify-next".to_owned();
        on_subscribe(&SubscribeError { filter, reason }, Partition::of(endpoint))
    }

    #[test]
    fn too_many_subscriptions_are_named_and_an_invalid_filter_needs_no_advice() {
        let of_too_many = refused(ReasonCode::QUOTA_EXCEEDED, "localhost").unwrap();
        assert!(of_too_many.contains("50 subscriptions"), "{of_too_many}");
        assert_eq!(refused(ReasonCode::TOPIC_FILTER_INVALID, "localhost"), None);
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
