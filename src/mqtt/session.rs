//! What outlives a connection: subscriptions, packets in flight, and what the clients still want.

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::backoff::Backoff;
use super::in_flight::{Done, InFlight};
use super::publish::Publish;
use super::rate_limiter::RateLimiter;
use super::subscriber::Subscriber;
use super::subscriptions::Subscriptions;

/// What a client wants of the task that owns the connection.
pub(super) enum Command {
    Subscribe(Subscriber),
    /// Subscribes once more to what is granted: the server may have lost it.
    SubscribeAgain,
    Unsubscribe(u64),
    Disconnect,
}

/// A message that a client wants to have published.
pub(super) struct ToPublish {
    pub publish: Publish,
    pub done: Done,
}

/// The client's side of a session (MQTT5, section 4.1).
pub(super) struct Session {
    commands: mpsc::UnboundedReceiver<Command>,
    publishes: mpsc::Receiver<ToPublish>,
    /// One more with each session that the server begins anew. 0 before the first.
    pub number: u64,
    pub subscriptions: Subscriptions,
    pub in_flight: InFlight,
    pub rate: RateLimiter,
    /// The next message to publish, which waits for its turn.
    pub next_publish: Option<ToPublish>,
    /// When filters that were refused are asked for again: what several SUBACKs refuse, together.
    pub retry_at: Option<Instant>,
    /// The waits before that.
    pub refusals: Backoff,
    /// Whether the server has ever done what we asked for: then the settings are right.
    pub has_worked: bool,
}

impl Session {
    pub fn new(
        commands: mpsc::UnboundedReceiver<Command>,
        publishes: mpsc::Receiver<ToPublish>,
        subscriptions: Subscriptions,
        refusals: Backoff,
    ) -> Self {
        Self {
            commands,
            publishes,
            number: 0,
            subscriptions,
            in_flight: InFlight::default(),
            rate: RateLimiter::new(),
            next_publish: None,
            retry_at: None,
            refusals,
            has_worked: false,
        }
    }

    /// Takes the next command of a client. False once one wants to disconnect, or all clients are gone.
    /// Safe to cancel.
    pub async fn next_command(&mut self) -> bool {
        tokio::select! {
            biased; // whoever subscribes and then asks wants to hear the answer
            command = self.commands.recv() => match command {
                Some(Command::Subscribe(subscriber)) => self.subscriptions.add(subscriber),
                Some(Command::SubscribeAgain) => self.subscriptions.ask_again(),
                Some(Command::Unsubscribe(number)) => self.subscriptions.remove(number),
                Some(Command::Disconnect) | None => return false,
            },
            Some(next) = self.publishes.recv(), if self.next_publish.is_none() => {
                self.next_publish = Some(next);
            }
        }
        true
    }

    /// Takes commands until there is to be no connection any longer. Safe to cancel.
    pub async fn until_disconnect(&mut self) {
        while self.next_command().await {}
    }

    /// The connection is gone. What was sent on it without an acknowledgement waits for the next.
    pub fn connection_lost(&mut self) {
        self.in_flight.drop_subscribes();
        self.subscriptions.unanswered();
    }

    /// A session that the server has begun anew: what was under way in the last one is lost.
    pub fn begin_anew(&mut self) {
        self.in_flight.clear();
        self.subscriptions.forget();
        self.retry_at = None;
    }
}
