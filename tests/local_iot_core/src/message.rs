//! A message: what somebody publishes, and what others get.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::Instant;

/// A message as it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The topic.
    pub topic: String,
    /// What it says.
    pub payload: Arc<[u8]>,
    /// 0 or 1. A subscriber may get it at a lower one.
    pub qos: u8,
    /// Whether it is kept for those who subscribe later. To a subscriber: whether it was kept.
    pub retain: bool,
    /// What else it says.
    pub properties: Properties,
}

impl Message {
    /// A message at QoS 1 without properties.
    pub fn new(topic: impl Into<String>, payload: impl AsRef<[u8]>) -> Message {
        Message {
            topic: topic.into(),
            payload: payload.as_ref().into(),
            qos: 1,
            retain: false,
            properties: Properties::default(),
        }
    }
}

/// The properties of a message that a publisher can set and a subscriber gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    /// The topic that an answer is wanted on.
    pub response_topic: Option<String>,
    /// What the answer is to carry as well.
    pub correlation_data: Option<Vec<u8>>,
    /// Names and values of the publisher's own.
    pub user_properties: Vec<(String, String)>,
    /// After how many seconds it is of no use any more.
    pub message_expiry: Option<u32>,
    /// What kind of content it has, such as a MIME type.
    pub content_type: Option<String>,
    /// Whether the payload is said to be UTF-8 (or, with `false`, said to be just bytes).
    pub is_text: Option<bool>,
}

impl fmt::Display for Properties {
    /// Nothing if there are none, else a list in brackets with a space before it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        parts.extend(
            self.response_topic
                .iter()
                .map(|topic| format!("response topic {topic}")),
        );
        parts.extend(
            self.correlation_data
                .iter()
                .map(|data| format!("{} bytes of correlation data", data.len())),
        );
        parts.extend(
            self.user_properties
                .iter()
                .map(|(name, value)| format!("{name}={value}")),
        );
        parts.extend(
            self.message_expiry
                .iter()
                .map(|seconds| format!("expires after {seconds} s")),
        );
        parts.extend(
            self.content_type
                .iter()
                .map(|kind| format!("content type {kind}")),
        );
        if parts.is_empty() {
            return Ok(());
        }
        write!(f, " [{}]", parts.join(", "))
    }
}

/// A message that waits, for its subscriber or for those to come.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    message: Message,
    since: Instant,
    /// Sent as a packet that can't be read.
    pub(crate) unreadable: bool,
}

impl Waiting {
    pub(crate) fn new(message: Message) -> Waiting {
        Waiting {
            message,
            since: Instant::now(),
            unreadable: false,
        }
    }

    pub(crate) fn topic(&self) -> &str {
        &self.message.topic
    }

    pub(crate) fn retain(&self) -> bool {
        self.message.retain
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.message.payload.is_empty()
    }

    pub(crate) fn qos(&self) -> u8 {
        self.message.qos
    }

    /// The same message for a subscriber.
    pub(crate) fn with(&self, qos: u8, retain: bool) -> Waiting {
        let mut same = self.clone();
        same.message.qos = qos;
        same.message.retain = retain;
        same
    }

    pub(crate) fn has_expired(&self) -> bool {
        let expiry = self.message.properties.message_expiry;
        expiry.is_some_and(|seconds| self.left_of(seconds).is_zero())
    }

    /// The message as it leaves now: the time that it has waited counts.
    pub(crate) fn into_message(mut self) -> Message {
        if let Some(seconds) = self.message.properties.message_expiry {
            // Rounded up, so that nothing expires too early.
            let left = self.left_of(seconds).as_millis().div_ceil(1000);
            self.message.properties.message_expiry = u32::try_from(left).ok();
        }
        self.message
    }

    fn left_of(&self, seconds: u32) -> Duration {
        Duration::from_secs(seconds.into()).saturating_sub(self.since.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_time_that_a_message_waits_counts() {
        let mut message = Message::new("a", "b");
        message.properties.message_expiry = Some(60);
        let waiting = Waiting::new(message);
        let left = || waiting.clone().into_message().properties.message_expiry;
        tokio::time::advance(Duration::from_millis(20_500)).await;
        assert_eq!(left(), Some(40));
        assert!(!waiting.has_expired());
        tokio::time::advance(Duration::from_secs(40)).await;
        assert!(waiting.has_expired());
        let lasting = Waiting::new(Message::new("a", "b"));
        tokio::time::advance(Duration::from_secs(1_000_000)).await;
        assert!(!lasting.has_expired());
        assert_eq!(lasting.into_message(), Message::new("a", "b"));
    }

    #[test]
    fn properties_are_shown_where_there_are_some() {
        let properties = Properties {
            response_topic: Some("a/b".into()),
            correlation_data: Some(vec![0; 4]),
            user_properties: vec![("k".into(), "v".into())],
            message_expiry: Some(60),
            content_type: Some("text/plain".into()),
            is_text: Some(true),
        };
        assert_eq!(
            properties.to_string(),
            " [response topic a/b, 4 bytes of correlation data, k=v, expires after 60 s, content \
             type text/plain]"
        );
        assert_eq!(Properties::default().to_string(), "");
    }
}
