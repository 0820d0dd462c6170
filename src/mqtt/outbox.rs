//! What was handed to rumqttc and is not acknowledged yet.
//!
//! rumqttc numbers packets itself, in the order in which it takes them, and tells the numbers as
//! events. The outbox keeps the same order, and so knows which acknowledgement is whose.
//!
//! It is a window: a place in it is free again when everything older is acknowledged as well. So a
//! packet id never comes round while it is still in use, whatever the order of acknowledgements.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rumqttc::v5::AsyncClient;
use rumqttc::v5::mqttbytes::v5::{Filter, PubAckReason, SubAck};
use rumqttc::v5::mqttbytes::{QoS, valid_topic};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

use super::publish_error::PublishError;
use super::reason;
use super::subscriptions::{Message, SubscribeError, Subscriptions};

/// At most this many packets are under way: enough for 100 a second at a round trip of 200 ms.
pub(super) const PLACES: u16 = 20;

/// AWS IoT Core takes payloads of 128 KiB, though its Maximum Packet Size would allow for more.
pub(super) const LARGEST_PAYLOAD: usize = 128 * 1024;
/// The bytes that a PUBLISH has besides topic and payload: fixed header, lengths, packet id, no
/// properties (MQTT5, section 3.3), generously.
const PUBLISH_OVERHEAD: usize = 16;

/// How a publish ended.
type Outcome = Result<(), PublishError>;

/// What was handed to rumqttc.
enum Packet {
    Publish {
        topic: String,
        done: oneshot::Sender<Outcome>,
    },
    Subscribe(Vec<String>),
    Unsubscribe,
}

/// A place in the window.
struct Place {
    /// `None` once it is acknowledged: the place then waits for the older ones.
    packet: Option<Packet>,
    /// The packet id, once rumqttc has given it one.
    id: Option<u16>,
    /// When it was sent on this connection. `None`: not yet.
    since: Option<Instant>,
    permit: OwnedSemaphorePermit,
}

/// The packets under way and the subscriptions. Shared by the clients, who add to them, and the link,
/// who settles them.
pub(super) struct Outbox(Mutex<Inner>);

struct Inner {
    requests: AsyncClient,
    /// Whether there is a connection that takes packets.
    open: bool,
    max_packet_size: usize,
    places: Arc<Semaphore>,
    under_way: VecDeque<Place>,
    subscriptions: Subscriptions,
    /// Whether the server has acknowledged anything on this connection.
    is_answering: bool,
    /// Whether the server has ever done what we asked for.
    has_worked: bool,
}

/// A place that is taken and not used yet. If it is dropped so, a SUBSCRIBE that waits gets it.
pub(super) struct Reserved<'a> {
    outbox: &'a Outbox,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            let mut inner = self.outbox.lock();
            if inner.is_ours(&permit) {
                inner.subscribe(Some(permit));
            }
        }
    }
}

impl Outbox {
    /// An empty one, closed until there is a connection.
    pub fn new(requests: AsyncClient) -> Self {
        Self(Mutex::new(Inner {
            requests,
            open: false,
            max_packet_size: usize::MAX,
            places: Arc::new(Semaphore::new(PLACES.into())),
            under_way: VecDeque::new(),
            subscriptions: Subscriptions::default(),
            is_answering: false,
            has_worked: false,
        }))
    }

    /// Whether the server has ever granted or taken anything: then the settings are right.
    pub fn has_worked(&self) -> bool {
        self.lock().has_worked
    }

    /// A place for one more publish, when there is one. `None` if the session is lost meanwhile.
    pub async fn place(&self) -> Option<Reserved<'_>> {
        let places = Arc::clone(&self.lock().places);
        let permit = Some(places.acquire_owned().await.ok()?);
        let outbox = self;
        Some(Reserved { outbox, permit })
    }

    /// Hands a message to rumqttc. What is returned tells how it ended; if the other side drops it
    /// without a word, the session was lost. `None` if there is no connection, or the place was in a
    /// session that is over.
    pub fn publish(
        &self,
        topic: &str,
        payload: &Bytes,
        mut place: Reserved<'_>,
    ) -> Result<Option<oneshot::Receiver<Outcome>>, PublishError> {
        let mut inner = self.lock(); // is let go of before `place` is
        let is_ours = place.permit.as_ref().is_some_and(|one| inner.is_ours(one));
        if !inner.open || !is_ours {
            return Ok(None);
        }
        let limit = inner.max_packet_size.min(LARGEST_PAYLOAD);
        let size = topic.len() + payload.len() + PUBLISH_OVERHEAD;
        if size > inner.max_packet_size || payload.len() > LARGEST_PAYLOAD {
            return Err(PublishError::TooLarge { size, limit });
        }
        let topic = topic.to_owned();
        if topic.is_empty() || topic.len() > u16::MAX.into() || !valid_topic(&topic) {
            return Err(PublishError::BadTopic { topic });
        }
        // There is room in rumqttc's queue for as many as there are places.
        let requests = &inner.requests;
        requests
            .try_publish(&topic, QoS::AtLeastOnce, false, payload.clone())
            .map_err(|_| PublishError::Ended)?;
        let (done, outcome) = oneshot::channel();
        if let Some(permit) = place.permit.take() {
            inner.push(Packet::Publish { topic, done }, permit);
        }
        Ok(Some(outcome))
    }

    /// Changes the subscriptions; filters that are new leave at once, or in the next connection's
    /// first SUBSCRIBE.
    pub fn subscriptions<T>(&self, change: impl FnOnce(&mut Subscriptions) -> T) -> T {
        let mut inner = self.lock();
        let result = change(&mut inner.subscriptions);
        inner.subscribe(None);
        result
    }

    /// Ends a subscription; UNSUBSCRIBE leaves for the filters that nobody else has.
    pub fn unsubscribe(&self, subscriber: u64) {
        let mut inner = self.lock();
        for filter in inner.subscriptions.remove(subscriber) {
            let Ok(permit) = Arc::clone(&inner.places).try_acquire_owned() else {
                return; // what is still sent to this filter is ignored
            };
            if inner.open && inner.requests.try_unsubscribe(filter).is_ok() {
                inner.push(Packet::Unsubscribe, permit);
            }
        }
    }

    /// There is a connection, and it takes packets of up to `max_packet_size` bytes.
    pub fn open(&self, max_packet_size: Option<u32>) {
        let mut inner = self.lock();
        inner.max_packet_size = max_packet_size.map_or(usize::MAX, |size| size as usize);
        (inner.open, inner.is_answering) = (true, false);
        inner.subscribe(None);
    }

    /// There is no connection. On the next one, every publish is still to be sent, and every SUBSCRIBE
    /// is made anew.
    pub fn close(&self) {
        let mut guard = self.lock();
        let inner = &mut *guard;
        inner.open = false;
        for place in &mut inner.under_way {
            place.since = None;
            if let Some(Packet::Subscribe(filters)) = &place.packet {
                inner.subscriptions.unanswered(filters);
            }
            place
                .packet
                .take_if(|packet| !matches!(packet, Packet::Publish { .. }));
        }
        inner.move_window();
    }

    /// The session is gone, and all that was under way in it: whoever waits is told. In the next one,
    /// at most `receive_maximum` packets may be under way.
    pub fn forget(&self, requests: AsyncClient, receive_maximum: Option<u16>) {
        let mut inner = self.lock();
        inner.open = false; // nothing is handed to a queue whose packets are not counted here
        let places = receive_maximum.map_or(PLACES, |most| most.clamp(1, PLACES));
        inner.places.close();
        inner.places = Arc::new(Semaphore::new(places.into()));
        inner.requests = requests;
        inner.under_way.clear();
        inner.subscriptions.forget();
    }

    /// rumqttc has sent a PUBLISH, SUBSCRIBE or UNSUBSCRIBE with this id.
    pub fn sent(&self, id: u16) {
        let mut inner = self.lock();
        // An old one, sent again in the resumed session; or else the first that had no id so far.
        let again = inner.position(Some(id));
        if let Some(nth) = again.or_else(|| inner.position(None)) {
            let place = &mut inner.under_way[nth];
            (place.id, place.since) = (Some(id), Some(Instant::now()));
        }
    }

    /// The PUBACK with this id has come.
    pub fn published(&self, id: u16, reason: PubAckReason) {
        let mut inner = self.lock();
        let Some(Packet::Publish { topic, done }) = inner.acknowledged(id) else {
            return;
        };
        let outcome = match reason {
            PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Ok(()),
            PubAckReason::NotAuthorized => Err(PublishError::NotAuthorized { topic }),
            other => Err(PublishError::Refused {
                topic,
                reason: reason::of(other),
            }),
        };
        inner.has_worked |= outcome.is_ok();
        // Whoever asked may have got its reply already, and wait no longer.
        let _ = done.send(outcome);
    }

    /// A SUBACK has come. Returns what it refused, if anything; the policy's refusals first.
    pub fn subscribed(&self, suback: &SubAck) -> Option<SubscribeError> {
        let mut inner = self.lock();
        match inner.acknowledged(suback.pkid) {
            Some(Packet::Subscribe(filters)) => {
                let refused = inner.subscriptions.answered(&filters, &suback.return_codes);
                inner.has_worked |= refused.is_none();
                refused
            }
            _ => None,
        }
    }

    /// The UNSUBACK with this id has come.
    pub fn unsubscribed(&self, id: u16) {
        self.lock().acknowledged(id);
    }

    /// Gives a message to everybody who wants it.
    pub fn deliver(&self, message: &Message) {
        self.lock().subscriptions.deliver(message);
    }

    /// Whether packets are under way, and the server has acknowledged none on this connection.
    pub fn is_ignored(&self) -> bool {
        let inner = self.lock();
        !inner.under_way.is_empty() && !inner.is_answering
    }

    /// The oldest packet on its way that is not acknowledged: since when, and its name.
    pub fn oldest(&self) -> Option<(Instant, &'static str)> {
        let inner = self.lock();
        let on_their_way = inner.under_way.iter().filter_map(|place| {
            let name = match place.packet.as_ref()? {
                Packet::Publish { .. } => "PUBLISH",
                Packet::Subscribe(_) => "SUBSCRIBE",
                Packet::Unsubscribe => "UNSUBSCRIBE",
            };
            Some((place.since?, name))
        });
        on_their_way.min_by_key(|(since, _)| *since)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code that holds this lock can panic, so what it guards is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn push(&mut self, packet: Packet, permit: OwnedSemaphorePermit) {
        self.under_way.push_back(Place {
            packet: Some(packet),
            id: None,
            since: None,
            permit,
        });
    }

    /// Whether this is a place in the session under way.
    fn is_ours(&self, permit: &OwnedSemaphorePermit) -> bool {
        Arc::ptr_eq(permit.semaphore(), &self.places)
    }

    /// Asks for the filters that are not asked for yet, as far as there is a connection and room: a
    /// place that was just freed, or others. Without any, the next that is freed comes here.
    fn subscribe(&mut self, mut freed: Option<OwnedSemaphorePermit>) {
        while self.open && self.subscriptions.has_wanted() {
            let free = || Arc::clone(&self.places).try_acquire_owned().ok();
            let Some(permit) = freed.take().or_else(free) else {
                return;
            };
            let filters = self.subscriptions.next_to_ask();
            let paths = filters
                .iter()
                .map(|path| Filter::new(path, QoS::AtLeastOnce));
            if self.requests.try_subscribe_many(paths).is_err() {
                return self.subscriptions.unanswered(&filters);
            }
            self.push(Packet::Subscribe(filters), permit);
        }
    }

    /// The first place with this id whose packet is not acknowledged.
    fn position(&self, id: Option<u16>) -> Option<usize> {
        let mut places = self.under_way.iter();
        places.position(|place| place.packet.is_some() && place.id == id)
    }

    /// Takes the packet with this id out of its place.
    fn acknowledged(&mut self, id: u16) -> Option<Packet> {
        self.is_answering = true;
        let nth = self.position(Some(id))?;
        let packet = self.under_way[nth].packet.take();
        self.move_window();
        packet
    }

    /// Frees the places up to the oldest packet that is not acknowledged.
    fn move_window(&mut self) {
        while let Some(Place { packet: None, .. }) = self.under_way.front() {
            let freed = self.under_way.pop_front().map(|place| place.permit);
            self.subscribe(freed);
        }
    }
}
