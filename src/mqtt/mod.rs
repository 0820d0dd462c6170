//! One MQTT5 connection for all that a device does, kept up.
//!
//! [`connect`] starts a task that connects, and connects again when the connection is lost. The
//! [`Client`] publishes and subscribes through it; what happens to the connection is told by the
//! [`Events`]. Nothing here has heard of jobs.
//!
//! The task owns everything, and clients send it what they want. From the outside in:
//!
//! - `reconnect`: the task, from one connection to the next, with `backoff` between them
//! - `connect`: TCP (`transport`, `lookup`), `proxy`, TLS, CONNECT and CONNACK; `failure` and
//!   `certificate`: why that failed
//! - `connection`: one connection; `silence`: when the server was last heard
//! - `session`: what outlives a connection: `subscriptions`, packets `in_flight`, the `rate_limiter`
//! - `wire`: packets over a stream of bytes; `decode`: from bytes to packets
//!
//! And what clients hold: `options`, `publish`, `subscription`, `events`, `error`, `reason`; `filter`
//! knows which topics match a topic filter.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, watch};

mod backoff;
mod certificate;
mod connect;
mod connection;
mod decode;
mod error;
mod events;
mod failure;
mod filter;
mod in_flight;
mod lookup;
mod options;
mod proxy;
mod publish;
mod rate_limiter;
mod reason;
mod reconnect;
mod session;
mod silence;
mod subscription;
mod subscriptions;
mod transport;
mod wire;

pub use backoff::Backoff;
pub use error::{ConnectionError, ConnectionErrorKind, Ended, PublishError, SubscribeError};
pub use events::{Event, Events};
pub use options::{Options, Proxy, ProxyAuth};
pub use publish::{Message, Publish, QoS};
pub use reason::ReasonCode;
pub use subscription::{Granted, Subscription};
pub use transport::{AddressErrors, Dialing, Stream, Tcp, Transport, connect_first};

use events::{EVENTS_KEPT, Status};
use reconnect::Task;
use session::{Command, Session, ToPublish};
use silence::LastHeard;
use subscriptions::Wish;

/// So many messages may wait to be published; more wait with those who publish them.
const PUBLISHES_KEPT: usize = 16;

/// A handle on the connection: publishes and subscribes. Cheap to clone; each part has its own.
#[derive(Clone)]
pub struct Client {
    commands: mpsc::UnboundedSender<Command>,
    publishes: mpsc::Sender<ToPublish>,
    status: watch::Receiver<Status>,
    heard: LastHeard,
    last_subscription: Arc<AtomicU64>,
}

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
    let (commands, commands_out) = mpsc::unbounded_channel();
    let (publishes, publishes_out) = mpsc::channel(PUBLISHES_KEPT);
    let heard = LastHeard::new();
    let task = Task {
        session: Session::new(commands_out, publishes_out, options.backoff.clone()),
        heard: heard.clone(),
        events,
        status: status_in,
        has_session: !options.clean_start,
        is_in_doubt: false,
        futile: 0,
        options,
    };
    tokio::spawn(task.run());
    let client = Client {
        commands,
        publishes,
        status,
        heard,
        last_subscription: Arc::default(),
    };
    (client, listener)
}

impl Client {
    /// Publishes a message, and returns when the server has acknowledged it (QoS 1), or when it was
    /// handed to the connection (QoS 0).
    ///
    /// Waits for a connection, for its turn (100 publishes a second) and for the acknowledgement as
    /// long as it takes; a publish that a lost connection left without one is sent again when the
    /// session is resumed. Who no longer waits takes it back, as long as it was not sent.
    ///
    /// # Errors
    /// [`PublishError::SessionLost`] if the server forgot the session before it acknowledged: whether
    /// the message arrived can't be known. The other errors say that it did not.
    pub async fn publish(&self, publish: Publish) -> Result<(), PublishError> {
        publish.check()?;
        let (to_publish, outcome) = ToPublish::new(publish);
        let sent = self.publishes.send(to_publish).await;
        sent.map_err(|_| PublishError::Ended)?;
        outcome.await.unwrap_or(Err(PublishError::Ended))
    }

    /// Subscribes to topic filters at QoS 1, for as long as the [`Subscription`] lives. Never waits.
    ///
    /// What is subscribed to before there is a connection leaves together, at most 8 filters to a
    /// SUBSCRIBE; each new session is subscribed anew. AWS IoT Core allows 50 subscriptions on a
    /// connection.
    pub fn subscribe<F: Into<String>>(&self, filters: impl IntoIterator<Item = F>) -> Subscription {
        let filters = filters.into_iter().map(Into::into).collect();
        self.new_subscription(Wish::Filters(filters))
    }

    /// Receives the messages that match no filter of any [`Subscription`]: AWS IoT Core can deliver a
    /// [direct message](https://docs.aws.amazon.com/iot/latest/developerguide/mqtt.html) to a topic
    /// that nobody has subscribed to. Without a receiver, the log counts them.
    pub fn subscribe_unmatched(&self) -> Subscription {
        self.new_subscription(Wish::Unmatched)
    }

    fn new_subscription(&self, wish: Wish) -> Subscription {
        let number = self.last_subscription.fetch_add(1, Ordering::Relaxed);
        Subscription::new(number, wish, self.commands.clone())
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

    /// For how long nothing at all has come from the server. While this is short, an answer that takes
    /// its time is on a slow link, and not lost.
    pub fn silent_for(&self) -> Duration {
        self.heard.at().elapsed()
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
        let _ = self.commands.send(Command::Disconnect); // else it has ended already
    }
}
