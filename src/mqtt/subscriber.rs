//! Somebody who gets messages: a function that the connection's task calls, and the topic filters that it
//! is for (MQTT5, section 4.7).

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rumqttc::v5::mqttbytes::valid_filter;
use tracing::error;

use super::publish::{Message, is_string};
use super::reason::ReasonCode;
use crate::error_class::ErrorClass;
use crate::text::{cut, panic_message, printable};

/// What the connection has for a subscriber.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Delivery {
    /// A message that matches one of its filters.
    Message(Message),
    /// The server has granted all of its filters.
    Granted,
    /// The server refuses one of them.
    Refused(SubscribeError),
    /// The server has begun a new session in place of one that it had: messages may have been missed.
    NewSession,
}

/// Takes what the connection has, on its task, and says whether it had room for it.
pub(super) type Handler = Box<dyn FnMut(Delivery) -> bool + Send>;

/// What a subscriber wants.
pub(super) enum Interest {
    Filters(Vec<String>),
    /// The messages that match nobody's filter.
    Unmatched,
}

/// Somebody who gets messages.
pub(super) struct Subscriber {
    pub number: u64,
    pub interest: Interest,
    handler: Handler,
    /// What it was told last of the server's answers.
    pub told: Option<Result<(), SubscribeError>>,
    /// Messages that it had no room for, since it last had some.
    dropped: u64,
}

impl Subscriber {
    pub fn new(number: u64, interest: Interest, handler: Handler) -> Self {
        Self {
            number,
            interest,
            handler,
            told: None,
            dropped: 0,
        }
    }

    pub fn filters(&self) -> &[String] {
        match &self.interest {
            Interest::Filters(filters) => filters,
            Interest::Unmatched => &[],
        }
    }

    pub fn wants(&self, topic: &str) -> bool {
        self.filters().iter().any(|filter| matches(filter, topic))
    }

    /// Gives it a message. If it has no room for that, returns how many it has missed in a row.
    pub fn give(&mut self, message: Message) -> Option<u64> {
        self.dropped += 1;
        if self.tell(Delivery::Message(message)) {
            self.dropped = 0;
        }
        Some(self.dropped).filter(|dropped| *dropped > 0)
    }

    /// Calls its handler. A panic in there is its own: the connection goes on.
    pub fn tell(&mut self, delivery: Delivery) -> bool {
        let told = catch_unwind(AssertUnwindSafe(|| (self.handler)(delivery)));
        told.unwrap_or_else(|panic| {
            error!("a handler panicked: {}", panic_message(&*panic));
            true
        })
    }
}

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
    valid_filter(filter) && is_string(filter)
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
