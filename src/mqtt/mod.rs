//! One MQTT5 connection, kept up.
//!
//! [`connect`] starts a task that owns rumqttc's event loop: it connects, subscribes, and connects
//! again when the connection is lost. The [`Client`] publishes through it, and what happens comes
//! back as [`Event`]s. Nothing here has heard of jobs.
//!
//! - `link`: the task, from one connection to the next
//! - `outbox`: what was published and is not acknowledged yet
//! - `setup`: rumqttc's settings for AWS IoT Core
//! - `subscription`: the answer to our SUBSCRIBE
//! - `failure`: why a connection failed, and whether waiting can help
//! - `backoff`: how long to wait before the next try
//! - `reason`: reason codes by number and name
//! - `pace`: never more publishes a second than AWS IoT Core takes

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

mod backoff;
mod failure;
mod link;
mod outbox;
mod pace;
mod reason;
mod setup;
mod subscription;

pub use backoff::Backoff;
pub use failure::Failure;
pub use outbox::PublishError;

use crate::names::Names;
use outbox::Outbox;
use pace::Pace;

/// What to connect to, as whom, and how patiently.
#[derive(Clone)]
pub struct Options {
    /// The server's host name. It is also what the server's certificate must be for.
    pub endpoint: String,
    /// The server's port.
    pub port: u16,
    /// The client id: one per device. Who connects with an id that is in use takes its session over.
    pub client_id: String,
    /// Certificates, keys and trust.
    pub tls: Arc<rustls::ClientConfig>,
    /// Host and port of an HTTP proxy to go through.
    pub proxy: Option<(String, u16)>,
    /// What to subscribe to in each new session, in one SUBSCRIBE, at QoS 1. At most 8.
    pub filters: Vec<String>,
    /// How often a PINGREQ leaves; the server hangs up after one and a half times this. AWS IoT
    /// Core takes 30 to 1,200 seconds. Its own wish (Server Keep Alive) goes before this one.
    pub keep_alive: Duration,
    /// How long TCP, TLS and CONNECT together may take. Whole seconds.
    pub connect_limit: Duration,
    /// How long a SUBACK or PUBACK may take, before the connection is given up for a new one.
    pub ack_limit: Duration,
    /// How long the server is to keep the session while we are away. Whole seconds.
    pub session_expiry: Duration,
    /// The waits between tries.
    pub backoff: Backoff,
    /// A connection that lasted this long has proved stable: the waits begin at their base again.
    pub stable_after: Duration,
    /// Give up after so many tries in a row. `None`: never.
    pub tries: Option<u32>,
    /// What messages call these settings.
    pub names: Names,
}

impl Options {
    /// What suits AWS IoT Core, for a client and a server that are still to be told.
    pub fn new(endpoint: &str, port: u16, client_id: &str, tls: Arc<rustls::ClientConfig>) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            port,
            client_id: client_id.to_owned(),
            tls,
            proxy: None,
            filters: Vec::new(),
            keep_alive: Duration::from_secs(30),
            connect_limit: Duration::from_secs(10),
            ack_limit: Duration::from_secs(10),
            session_expiry: Duration::from_secs(15 * 60),
            backoff: Backoff::default(),
            stable_after: Duration::from_secs(60),
            tries: None,
            names: Names::default(),
        }
    }

    /// `endpoint:port`, for messages.
    fn address(&self) -> String {
        format!("{}:{}", self.endpoint, self.port)
    }

    /// The address, and the proxy on the way to it.
    fn way(&self) -> String {
        match &self.proxy {
            Some((host, port)) => format!("{} via the proxy {host}:{port}", self.address()),
            None => self.address(),
        }
    }
}

/// What happens to the connection.
#[derive(Debug)]
pub enum Event {
    /// The server has accepted the connection.
    Connected {
        /// Whether it still had our session: if not, what was under way is lost and must be asked
        /// again, and events may have been missed.
        session_present: bool,
    },
    /// A connection, or the try to make one, has failed. The next try follows.
    Interrupted {
        /// Why.
        failure: Failure,
        /// The next try is after this wait.
        wait: Duration,
    },
    /// A message on one of the subscribed topics, or a reply to one of our requests.
    Message {
        /// The topic it was published to.
        topic: String,
        /// Whatever was published.
        payload: Bytes,
    },
    /// It is over: [`Client::disconnect`] was called, or there is a failure that no waiting mends.
    /// Nothing comes after this.
    Ended(Result<(), Failure>),
}

/// Whether there is a connection, and how many sessions there have been.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Status {
    online: bool,
    sessions: u64,
}

/// A handle on the connection: publishes, and tells when the session is a new one. Cheap to clone.
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

/// Starts to connect, and keeps the connection up until [`Client::disconnect`] or a failure that no
/// waiting mends. What happens is told by the events.
///
/// Must be called within a tokio runtime. The events must be read: while they are not, nothing else
/// is received either, and when the receiver is dropped, the connection ends.
pub fn connect(options: Options) -> (Client, mpsc::Receiver<Event>) {
    let (events_in, events_out) = mpsc::channel(16);
    let (status_in, status) = watch::channel(Status::default());
    let (stop_in, stop) = watch::channel(false);
    let pace = Arc::new(Pace::new());
    let (link, outbox) = link::Link::new(options, events_in, status_in, stop, Arc::clone(&pace));
    tokio::spawn(link.run());
    (
        Client {
            outbox,
            status,
            stop: Arc::new(stop_in),
            pace,
        },
        events_out,
    )
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
    pub async fn publish(&self, topic: &str, payload: Bytes) -> Result<(), PublishError> {
        let mut place = self.outbox.place().await;
        let mut status = self.status.clone();
        let acknowledged = loop {
            status
                .wait_for(|now| now.online)
                .await
                .map_err(|_| PublishError::Ended)?;
            self.pace.turn().await; // not before there is a connection: turns can't be saved up
            if let Some(acknowledged) = self.outbox.send(topic, &payload, &mut place)? {
                break acknowledged;
            }
            status.changed().await.map_err(|_| PublishError::Ended)?;
        };
        acknowledged.await.unwrap_or(Err(PublishError::SessionLost))
    }

    /// The number of the session that is under way: one more with each that the server begins anew.
    pub fn session(&self) -> u64 {
        self.status.borrow().sessions
    }

    /// Returns once the session with this number is over and a new one has begun.
    pub async fn session_after(&self, session: u64) -> Result<(), Ended> {
        let mut status = self.status.clone();
        status
            .wait_for(|now| now.sessions > session)
            .await
            .map(drop)
            .map_err(|_| Ended)
    }

    /// Says DISCONNECT and closes the connection. [`Event::Ended`] follows, within a second.
    pub fn disconnect(&self) {
        self.stop.send_replace(true);
    }
}
