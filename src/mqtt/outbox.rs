//! What was published and is not acknowledged yet.
//!
//! rumqttc numbers the packets itself, in the order in which it takes them, and tells the numbers as
//! events. The outbox keeps the same order, and so knows which PUBACK is whose.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use rumqttc::v5::AsyncClient;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::PubAckReason;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

use super::reason;
use crate::text::printable;

/// So many publishes may be under way at once: enough for 100 a second at a round trip of 200 ms.
pub(super) const PLACES: usize = 20;

/// The bytes that a PUBLISH has besides topic and payload: fixed header, lengths, packet id, no
/// properties (MQTT5, section 3.3), generously.
const PUBLISH_OVERHEAD: usize = 16;

/// Why a message was not published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The server began a new session before it acknowledged the message: it may have arrived.
    #[error("the session was lost before the message was acknowledged")]
    SessionLost,
    /// The policy does not allow it (PUBACK 0x87).
    #[error(
        "The server refused a publish to {}: PUBACK 0x87 (not authorized). Add to the policy of your \
         certificate: allow iot:Publish on arn:aws:iot:REGION:ACCOUNT:topic/{} (policy.json has it \
         for every request).",
        printable(topic),
        printable(topic)
    )]
    NotAuthorized {
        /// Where it was published to.
        topic: String,
    },
    /// The server did not take it for another reason, which may pass.
    #[error(
        "the server refused a publish to {}: PUBACK {reason}",
        printable(topic)
    )]
    Refused {
        /// Where it was published to.
        topic: String,
        /// The reason code and its name.
        reason: String,
    },
    /// It is larger than the packets that this server takes.
    #[error("the message has {size} bytes, and the server takes packets of up to {limit}")]
    TooLarge {
        /// Bytes of the packet, about.
        size: usize,
        /// Bytes, from CONNACK's Maximum Packet Size.
        limit: usize,
    },
    /// It is no topic to publish to: it has a wildcard (`#` or `+`) in it.
    #[error("'{}' is no topic to publish to", printable(topic))]
    BadTopic {
        /// Where it was to be published to.
        topic: String,
    },
    /// The connection has ended for good.
    #[error("the connection has ended")]
    Ended,
}

/// How a publish ended.
type Outcome = Result<(), PublishError>;

/// A publish that waits for its PUBACK.
struct Waiting {
    topic: String,
    done: oneshot::Sender<Outcome>,
    /// When it was sent on this connection. `None`: not yet.
    since: Option<Instant>,
    _place: Option<OwnedSemaphorePermit>,
}

/// The publishes under way. Shared by the clients, who add to it, and the link, who settles them.
pub(super) struct Outbox {
    places: Arc<Semaphore>,
    inner: Mutex<Inner>,
}

struct Inner {
    requests: AsyncClient,
    open: bool,
    max_packet_size: usize,
    /// Handed to rumqttc, which has not numbered them yet. In its order.
    queued: VecDeque<Waiting>,
    /// Numbered, and on their way.
    sent: HashMap<u16, Waiting>,
    /// The one that rumqttc holds back, because its number is still taken by an older publish.
    held: Option<Waiting>,
}

impl Outbox {
    /// An empty one, closed until there is a connection.
    pub fn new(requests: AsyncClient) -> Self {
        let inner = Inner {
            requests,
            open: false,
            max_packet_size: usize::MAX,
            queued: VecDeque::new(),
            sent: HashMap::new(),
            held: None,
        };
        Self {
            places: Arc::new(Semaphore::new(PLACES)),
            inner: Mutex::new(inner),
        }
    }

    /// A place for one more publish, when there is one.
    pub async fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    /// Hands a message to rumqttc, if there is a connection, and takes the place for it. What is
    /// returned tells how it ended; dropped by the other side without a word, the session was lost.
    pub fn send(
        &self,
        topic: &str,
        payload: &Bytes,
        place: &mut Option<OwnedSemaphorePermit>,
    ) -> Result<Option<oneshot::Receiver<Outcome>>, PublishError> {
        let mut inner = self.lock();
        if !inner.open {
            return Ok(None);
        }
        let size = topic.len() + payload.len() + PUBLISH_OVERHEAD;
        if size > inner.max_packet_size {
            return Err(PublishError::TooLarge {
                size,
                limit: inner.max_packet_size,
            });
        }
        if topic.contains(['#', '+']) {
            let topic = topic.to_owned();
            return Err(PublishError::BadTopic { topic });
        }
        // There is room in rumqttc's queue for as many as there are places.
        inner
            .requests
            .try_publish(topic, QoS::AtLeastOnce, false, payload.clone())
            .map_err(|_| PublishError::Ended)?;
        let (done, outcome) = oneshot::channel();
        let waiting = Waiting {
            topic: topic.to_owned(),
            done,
            since: None,
            _place: place.take(),
        };
        inner.queued.push_back(waiting);
        Ok(Some(outcome))
    }

    /// There is a connection, and it takes packets of up to so many bytes.
    pub fn open(&self, max_packet_size: Option<u32>) {
        let mut inner = self.lock();
        inner.max_packet_size = max_packet_size.map_or(usize::MAX, |size| size as usize);
        inner.open = true;
    }

    /// There is no connection, and on the next one, everything is still to be sent.
    pub fn close(&self) {
        let mut inner = self.lock();
        inner.open = false;
        inner
            .sent
            .values_mut()
            .for_each(|waiting| waiting.since = None);
    }

    /// The session is gone, and all that was under way in it: whoever waits is told.
    pub fn forget(&self, requests: AsyncClient) {
        let mut inner = self.lock();
        inner.requests = requests;
        inner.queued.clear();
        inner.sent.clear();
        inner.held = None;
    }

    /// rumqttc has sent a PUBLISH with this number.
    pub fn sent(&self, packet_id: u16) {
        let mut inner = self.lock();
        if let Some(again) = inner.sent.get_mut(&packet_id) {
            again.since = Some(Instant::now()); // an old one, sent again in the resumed session
            return;
        }
        let next = inner.held.take().or_else(|| inner.queued.pop_front());
        if let Some(mut waiting) = next {
            waiting.since = Some(Instant::now());
            inner.sent.insert(packet_id, waiting);
        }
    }

    /// rumqttc holds the next PUBLISH back until its number is free.
    pub fn held_back(&self) {
        let mut inner = self.lock();
        inner.held = inner.queued.pop_front();
    }

    /// The publish that rumqttc held back is in its queue again, in front.
    pub fn unhold(&self) {
        let mut inner = self.lock();
        if let Some(waiting) = inner.held.take() {
            inner.queued.push_front(waiting);
        }
    }

    /// The PUBACK for this number has come.
    pub fn acknowledged(&self, packet_id: u16, reason: PubAckReason) {
        let Some(waiting) = self.lock().sent.remove(&packet_id) else {
            return;
        };
        let topic = waiting.topic;
        let outcome = match reason {
            PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Ok(()),
            PubAckReason::NotAuthorized => Err(PublishError::NotAuthorized { topic }),
            other => Err(PublishError::Refused {
                topic,
                reason: reason::of_puback(other),
            }),
        };
        // Whoever asked may have got its reply already, and wait no longer.
        let _ = waiting.done.send(outcome);
    }

    /// Since when the oldest PUBLISH on its way has waited for its PUBACK.
    pub fn oldest(&self) -> Option<Instant> {
        let inner = self.lock();
        inner
            .sent
            .values()
            .filter_map(|waiting| waiting.since)
            .min()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code that holds this lock can panic; should it be poisoned all the same, what it
        // guards is still whole.
        self.inner
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
