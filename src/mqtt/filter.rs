//! Topic filters: what is one, which topics match it (MQTT5, section 4.7), and that one was refused.

use std::fmt;

use rumqttc::v5::mqttbytes::valid_filter;

use super::reason::ReasonCode;
use crate::error_class::ErrorClass;
use crate::text::{cut, printable};

/// The server did not grant a topic filter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscribeError {
    /// The filter that was refused.
    pub filter: String,
    /// Why.
    pub reason: ReasonCode,
}

impl SubscribeError {
    /// Whether the policy is the reason (SUBACK 0x87).
    pub fn is_denied(&self) -> bool {
        self.reason == ReasonCode::NOT_AUTHORIZED
    }

    /// What can be done about it.
    pub fn class(&self) -> ErrorClass {
        if self.is_denied() {
            ErrorClass::Misconfigured
        } else if is_filter(&self.filter) {
            ErrorClass::Transient
        } else {
            ErrorClass::Permanent
        }
    }
}

impl std::error::Error for SubscribeError {}

impl fmt::Display for SubscribeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filter = cut(&self.filter, 300);
        let filter = printable(&filter);
        if is_filter(&self.filter) {
            let reason = self.reason;
            write!(
                f,
                "the server refused the subscription to {filter}: SUBACK {reason}"
            )
        } else {
            write!(f, "'{filter}' is no topic filter (MQTT5, section 4.7)")
        }
    }
}

/// Whether it can be sent as a topic filter.
pub(super) fn is_filter(filter: &str) -> bool {
    valid_filter(filter) && filter.len() <= usize::from(u16::MAX)
}

/// Whether a topic matches a filter. (rumqttc's own `matches` says no to every
/// topic that begins with `$`.)
pub(super) fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['#', '+']) {
        return false;
    }
    let (mut filter, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (filter.next(), topic.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some(wanted), Some(level)) if wanted == "+" || wanted == level => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_matches_as_mqtt5_says() {
        for (filter, topic, matching) in [
            (
                "$aws/things/t/jobs/+/get/+",
                "$aws/things/t/jobs/j/get/accepted",
                true,
            ),
            (
                "$aws/things/t/jobs/get/+",
                "$aws/things/t/jobs/get/accepted",
                true,
            ),
            ("$aws/things/t/jobs/get/+", "$aws/things/t/jobs/get", false),
            (
                "$aws/things/t/jobs/+/get/+",
                "$aws/things/t/jobs/get/accepted",
                false,
            ),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("a/+", "a/", true),
            ("a/+", "a/b/c", false),
            ("#", "a/b", true),
            ("#", "$aws/a", false),
            ("+/a", "$aws/a", false),
            ("ä", "ä", true),
        ] {
            assert_eq!(matches(filter, topic), matching, "{filter} {topic}");
        }
    }
}
