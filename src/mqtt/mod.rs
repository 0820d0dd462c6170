//! One MQTT5 connection for all that a device does, kept up.
//!
//! [`connect`] starts a task that connects, and connects again when the connection is lost. The
//! [`Client`] publishes and subscribes through it; what happens to the connection is told by the
//! [`Events`]. Nothing here has heard of jobs.
//!
//! The task owns everything, and clients send it what they want. From the outside in:
//!
//! - `reconnect`: the task, from one connection to the next, with `backoff` between them
//! - `connect`: TCP (`transport`, `lookup`), `proxy`, TLS (`handshake`, `certificate`: why it failed),
//!   CONNECT and CONNACK
//! - `connection`: one connection; `silence`: when the server was last heard
//! - `session`: what outlives a connection: `subscriptions` of each `subscriber`, packets `in_flight`, the
//!   `rate_limiter`
//! - `wire`: packets over a stream of bytes; `decode`: from bytes to packets
//!
//! And what clients hold: `options`, `publish`, `subscription`, `events`, `error`, `reason`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot, watch};

mod backoff;
mod certificate;
mod connect;
mod connection;
mod decode;
mod error;
mod events;
mod handshake;
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
mod subscriber;
mod subscription;
mod subscriptions;
mod transport;
mod wire;

pub use backoff::Backoff;
pub use error::{ConnectionError, ConnectionErrorKind, Ended, PublishError, PublishErrorKind};
pub use events::{Event, Events};
pub use handshake::HandshakeFailure;
pub(crate) use options::setters;
pub use options::{Options, Proxy, ProxyAuth};
pub use publish::{Message, Publish, QoS};
pub use reason::ReasonCode;
pub use subscriber::{Delivery, SubscribeError};
pub use subscription::{Buffer, Granted, Handled, NotGranted, Subscription};
pub use transport::{AddressErrors, ByteStream, Dialing, Tcp, Transport, connect_first};

use events::{EVENTS_KEPT, Status};
use publish::LARGEST_PAYLOAD;
use reconnect::{Kept, Task};
use session::{Command, Session, ToPublish};
use silence::LastHeard;
use subscriber::{Handler, Interest, Subscriber};
use subscriptions::Subscriptions;

/// So many messages may wait to be published; more wait with those who publish them.
const PUBLISHES_KEPT: usize = 16;

/// A handle on the connection: publishes and subscribes. Cheap to clone; each part has its own.
#[derive(Clone)]
pub struct Client {
    commands: mpsc::UnboundedSender<Command>,
    publishes: mpsc::Sender<ToPublish>,
    status: watch::Receiver<Status>,
    heard: LastHeard,
    last_number: Arc<AtomicU64>,
}

/// Starts to connect, and keeps the connection up.
///
/// It ends when somebody calls [`Client::disconnect`], with a failure that no waiting fixes, or when
/// the last [`Client`] and the last [`Subscription`] are gone: dropping one of several ends nothing.
///
/// Each of these sends DISCONNECT, so no [will](Options::will) is published, if the runtime lives until
/// [`Event::Ended`]: a `main` that returns at once cuts it off.
///
/// Must be called within a tokio runtime.
pub fn connect(options: Options) -> (Client, Events<Event>) {
    let (events, _) = broadcast::channel(EVENTS_KEPT);
    let listener = Events::of(&events);
    let (status_in, status) = watch::channel(Status::default());
    let (commands, commands_out) = mpsc::unbounded_channel();
    let (publishes, publishes_out) = mpsc::channel(PUBLISHES_KEPT);
    let heard = LastHeard::new();
    let kept = if options.clean_start {
        Kept::Nothing
    } else {
        Kept::Session
    };
    let subscriptions = Subscriptions::new(events.clone());
    let refusals = options.backoff.clone();
    let task = Task {
        session: Session::new(commands_out, publishes_out, subscriptions, refusals),
        backoff: options.backoff.clone(),
        kept,
        heard: heard.clone(),
        events,
        status: status_in,
        unproductive: 0,
        options,
    };
    tokio::spawn(task.run());
    let client = Client {
        commands,
        publishes,
        status,
        heard,
        last_number: Arc::default(),
    };
    (client, listener)
}

impl Client {
    /// Publishes a message, and returns when the server has acknowledged it (QoS 1), or when it was
    /// handed to the connection (QoS 0).
    ///
    /// Waits for a connection, for its turn (100 publishes a second, and while less than 64 KiB are
    /// unsent) and for the acknowledgement as long as it takes; a publish that a lost connection left
    /// without one is sent again when the session is resumed. Dropping the future cancels it, unless it
    /// was sent.
    ///
    /// ```no_run
    /// # use jobs_mqtt5::mqtt::{Client, Publish, PublishError, QoS};
    /// # async fn device(mqtt: Client) -> Result<(), PublishError> {
    /// mqtt.publish(Publish::new("dt/my-thing/lux", "17")).await?;
    /// let often = Publish::new("dt/my-thing/volts", "3.3").qos(QoS::AtMostOnce);
    /// mqtt.publish(often).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`PublishError::SessionLost`] if the server forgot the session before it acknowledged: whether
    /// the message arrived can't be known. The other errors say that it did not.
    pub async fn publish(&self, publish: Publish) -> Result<(), PublishError> {
        self.publish_in_session(publish).await.map(drop)
    }

    /// The same, and returns the number of the session in which that was: for whoever waits for an answer,
    /// which may be lost with that session.
    ///
    /// # Errors
    /// See [`Client::publish`].
    pub async fn publish_in_session(&self, publish: Publish) -> Result<u64, PublishError> {
        publish.check(LARGEST_PAYLOAD)?;
        let (done, outcome) = oneshot::channel();
        let sent = self.publishes.send(ToPublish { publish, done }).await;
        sent.map_err(|_| PublishError::Ended)?;
        outcome.await.unwrap_or(Err(PublishError::Ended))
    }

    /// Subscribes to topic filters at QoS 1, for as long as the [`Subscription`] lives. Never waits.
    ///
    /// What is subscribed to before there is a connection leaves together, at most 8 filters to a
    /// SUBSCRIBE; each new session is subscribed anew. AWS IoT Core allows 50 subscriptions on a
    /// connection.
    ///
    /// ```no_run
    /// # use jobs_mqtt5::mqtt::{Client, Publish};
    /// # async fn device(mqtt: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut commands = mqtt.subscribe(["cmd/my-thing/#"]);
    /// commands.granted().wait().await?; // an error if the policy denies it
    /// while let Some(command) = commands.next().await {
    ///     if let Some(topic) = command.response_topic {
    ///         mqtt.publish(Publish::new(topic, "done")).await?;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// PUBACK leaves when a message has been put into the subscription's [`Buffer`], not when it was
    /// read: PUBACKs leave in the order of the messages (MQTT5, section 4.6), so a subscriber that is
    /// slow would hold up all the others. What must not be lost needs a larger buffer, or an answer of
    /// your own.
    pub fn subscribe<F: Into<String>>(&self, filters: impl IntoIterator<Item = F>) -> Subscription {
        self.subscribe_with(filters, Buffer::default())
    }

    /// The same, with another buffer.
    pub fn subscribe_with<F: Into<String>>(
        &self,
        filters: impl IntoIterator<Item = F>,
        buffer: Buffer,
    ) -> Subscription {
        let interest = Interest::Filters(filters.into_iter().map(Into::into).collect());
        Subscription::new(buffer, |handler| self.add(interest, handler))
    }

    /// Receives the messages that match no filter of any [`Subscription`]: AWS IoT Core can deliver a
    /// [direct message](https://docs.aws.amazon.com/iot/latest/developerguide/mqtt.html) to a topic
    /// that nobody has subscribed to. Without a receiver, the log counts them.
    pub fn subscribe_unmatched(&self) -> Subscription {
        Subscription::new(Buffer::default(), |handler| {
            self.add(Interest::Unmatched, handler)
        })
    }

    /// Subscribes, and has a function called with each message instead of a buffer filled: on the
    /// connection's own task, so it must not wait. It must not own a [`Client`] either, or the connection
    /// never ends. It returns whether it had room for what it got.
    pub fn handle<F: Into<String>>(
        &self,
        filters: impl IntoIterator<Item = F>,
        handler: impl FnMut(Delivery) -> bool + Send + 'static,
    ) -> Handled {
        let filters = filters.into_iter().map(Into::into).collect();
        self.add(Interest::Filters(filters), Box::new(handler))
    }

    fn add(&self, interest: Interest, handler: Handler) -> Handled {
        let number = self.last_number.fetch_add(1, Ordering::Relaxed);
        let subscriber = Subscriber::new(number, interest, handler);
        let commands = self.commands.clone();
        let _ = commands.send(Command::Subscribe(subscriber)); // else it has ended, and so does this
        Handled { number, commands }
    }

    /// Subscribes once more to all that is subscribed to, in the session under way: for whoever finds out
    /// that messages stay away. A server can call a session present whose subscriptions it has lost. Never
    /// waits.
    pub fn subscribe_again(&self) {
        let _ = self.commands.send(Command::SubscribeAgain); // else it has ended, and nothing comes
    }

    /// Whether there is a connection just now.
    pub fn is_connected(&self) -> bool {
        self.status.borrow().is_connected
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

    /// Waits for an answer while the server is not silent for longer than `timeout`: on a slow link it
    /// may stand behind others. (Not without end: 14 times the timeout.) Safe to cancel, if the answer
    /// is.
    ///
    /// # Errors
    /// How long it was waited for.
    pub async fn wait_for<T>(
        &self,
        timeout: Duration,
        answer: impl Future<Output = T>,
    ) -> Result<T, Duration> {
        self.heard.wait_for(timeout, answer).await
    }

    /// Returns the number of the next session once the one with this number is over. Safe to cancel.
    ///
    /// # Errors
    /// If the connection has ended permanently.
    pub async fn session_after(&self, session: u64) -> Result<u64, Ended> {
        let mut status = self.status.clone();
        let newer = status.wait_for(|now| now.sessions > session).await;
        newer.map(|now| now.sessions).map_err(|_| Ended)
    }

    /// Returns when the connection has ended permanently. Safe to cancel.
    pub async fn ended(&self) -> Ended {
        let mut status = self.status.clone();
        while status.changed().await.is_ok() {}
        Ended
    }

    /// Sends DISCONNECT and closes the connection, for everybody. [`Event::Ended`] follows, within a
    /// second. After a clean start ([`Options::clean_start`]) this ends the session on the server, too:
    /// what it had stored for this client is gone.
    pub fn disconnect(&self) {
        let _ = self.commands.send(Command::Disconnect); // else it has ended already
    }
}
