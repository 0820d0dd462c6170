//! One MQTT5 connection for all that a device does, kept up.
//!
//! [`connect`] starts a task that connects, and connects again when the connection is lost. The
//! [`Client`] publishes and subscribes through it; what happens to the connection is told by the
//! [`Events`]. Nothing here has heard of jobs.
//!
//! - `link`: the task, from one connection to the next
//! - `outbox`: what was handed to rumqttc and is not acknowledged yet
//! - `publish_error`: why a message was not published
//! - `options`: what to connect to, as whom, and how patiently
//! - `subscription`, `subscriptions`: who wants which messages, and what the server says to that
//! - `filter`: topic filters, and which topics match them
//! - `setup`: rumqttc's settings for AWS IoT Core
//! - `failure`: why a connection failed, and whether waiting can help
//! - `backoff`: how long to wait before the next try
//! - `reason`: reason codes by number and name
//! - `events`: what happens, for whoever listens
//! - `pace`: never more publishes a second than AWS IoT Core takes

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{broadcast, watch};

mod backoff;
mod error_class;
mod events;
mod failure;
mod filter;
mod link;
mod options;
mod outbox;
mod pace;
mod publish_error;
mod reason;
mod setup;
mod subscription;
mod subscriptions;

pub use backoff::Backoff;
pub use error_class::ErrorClass;
pub use events::Events;
pub use failure::Failure;
pub use options::Options;
pub use publish_error::PublishError;
pub use subscription::{Granted, Subscription};
pub use subscriptions::{Message, SubscribeError};

use outbox::Outbox;
use pace::Pace;

/// A listener may be this many events behind before it misses one.
const EVENTS_KEPT: usize = 16;

/// What happens to the connection.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// The server has accepted the connection.
    Connected {
        /// Whether it still had our session: if not, what was under way is lost and must be asked
        /// again, and messages may have been missed.
        session_present: bool,
    },
    /// A connection, or the try to make one, has failed. The next try follows.
    Interrupted {
        /// Why.
        failure: Failure,
        /// The next try is after this wait.
        wait: Duration,
    },
    /// It is over: as asked, or because of a failure that no waiting fixes. Nothing comes after this.
    Ended(Result<(), Failure>),
}

/// Whether there is a connection, and how many connections and sessions there have been.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Status {
    online: bool,
    connections: u64,
    sessions: u64,
}

/// A handle on the connection: publishes and subscribes. Cheap to clone; each part has its own.
#[derive(Clone)]
pub struct Client {
    outbox: Arc<Outbox>,
    status: watch::Receiver<Status>,
    stop: Arc<watch::Sender<bool>>,
    pace: Arc<Pace>,
}

/// The connection has ended for good; nothing can be published any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection has ended")]
pub struct Ended;

/// Starts to connect, and keeps the connection up.
///
/// It ends when somebody calls [`Client::disconnect`], with a failure that no waiting fixes, or when
/// the last [`Client`] and the last [`Subscription`] are gone: dropping one of several ends nothing.
///
/// Must be called within a tokio runtime.
pub fn connect(options: Options) -> (Client, Events<Event>) {
    let (events, _) = broadcast::channel(EVENTS_KEPT);
    let listener = Events::of(&events);
    let (status_in, status) = watch::channel(Status::default());
    let (stop_in, stop) = watch::channel(false);
    let pace = Arc::new(Pace::new());
    let (link, outbox) = link::Link::new(options, events, status_in, stop, Arc::clone(&pace));
    tokio::spawn(link.run());
    let client = Client {
        outbox,
        status,
        stop: Arc::new(stop_in),
        pace,
    };
    (client, listener)
}

impl Client {
    /// Publishes at QoS 1, and returns when the server has acknowledged it.
    ///
    /// Waits for a connection, for its turn (100 publishes a second) and for the acknowledgement as
    /// long as it takes; a publish that a lost connection left without one is sent again when the
    /// session is resumed.
    ///
    /// # Errors
    /// [`PublishError::SessionLost`] if the server forgot the session before it acknowledged: whether
    /// the message arrived can't be known. The other errors say that it did not.
    pub async fn publish(
        &self,
        topic: &str,
        payload: impl Into<Bytes>,
    ) -> Result<(), PublishError> {
        let payload = payload.into();
        let mut status = self.status.clone();
        let acknowledged = loop {
            let online = status.wait_for(|now| now.online).await;
            online.map_err(|_| PublishError::Ended)?;
            let Some(place) = self.outbox.place().await else {
                continue; // that place was in a session that is over
            };
            self.pace.turn().await; // not before there is a connection: turns can't be saved up
            if let Some(acknowledged) = self.outbox.publish(topic, &payload, place)? {
                break acknowledged;
            }
            status.changed().await.map_err(|_| PublishError::Ended)?;
        };
        acknowledged.await.unwrap_or(Err(PublishError::SessionLost))
    }

    /// Subscribes to topic filters at QoS 1, for as long as the [`Subscription`] lives. Never waits.
    ///
    /// What is subscribed to before there is a connection leaves together, at most 8 filters to a
    /// SUBSCRIBE; each new session is subscribed anew.
    pub fn subscribe<F: Into<String>>(&self, filters: impl IntoIterator<Item = F>) -> Subscription {
        let filters = filters.into_iter().map(Into::into).collect();
        Subscription::new(self, filters)
    }

    /// The number of the session that is under way: one more with each that the server begins anew.
    /// 0 before the first.
    pub fn session(&self) -> u64 {
        self.status.borrow().sessions
    }

    /// The number of the connection that is under way, or was last: one more with each.
    pub fn connection(&self) -> u64 {
        self.status.borrow().connections
    }

    /// Returns once the session with this number is over and a new one has begun.
    ///
    /// # Errors
    /// If the connection has ended for good.
    pub async fn session_after(&self, session: u64) -> Result<(), Ended> {
        let mut status = self.status.clone();
        let newer = status.wait_for(|now| now.sessions > session).await;
        newer.map(drop).map_err(|_| Ended)
    }

    /// Returns when the connection has ended for good. Safe to cancel.
    pub async fn ended(&self) -> Ended {
        let mut status = self.status.clone();
        while status.changed().await.is_ok() {}
        Ended
    }

    /// Says DISCONNECT and closes the connection, for everybody. [`Event::Ended`] follows, within a
    /// second.
    pub fn disconnect(&self) {
        self.stop.send_replace(true);
    }
}
