//! A subscription as its subscriber holds it.

use tokio::sync::{mpsc, watch};

use super::subscriptions::{Subscriptions, Verdict};
use super::{Client, Message, SubscribeError};

/// A subscriber may be this many messages behind before it misses one.
const INBOX: usize = 64;

/// Receives the messages of some topic filters. When it is dropped, it is unsubscribed from those
/// that nobody else has.
pub struct Subscription {
    messages: mpsc::Receiver<Message>,
    granted: Granted,
    number: u64,
    client: Client,
}

impl Subscription {
    pub(super) fn new(client: &Client, filters: Vec<String>) -> Self {
        let (to, messages) = mpsc::channel(INBOX);
        let (verdict_in, verdict) = watch::channel(None);
        let add = |all: &mut Subscriptions| all.add(filters, to, verdict_in);
        Self {
            messages,
            granted: Granted(verdict),
            number: client.outbox.subscriptions(add),
            client: client.clone(),
        }
    }

    /// The next message; `None` when the connection has ended for good. Safe to cancel.
    ///
    /// Up to 64 messages wait for a subscriber that is slow to call this; it misses those above, and
    /// the log says so.
    pub async fn next(&mut self) -> Option<Message> {
        self.messages.recv().await
    }

    /// What the server says to the filters.
    pub fn granted(&self) -> Granted {
        self.granted.clone()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.client.outbox.unsubscribe(self.number);
    }
}

/// What the server said to the filters of a [`Subscription`], the last time that it was asked.
#[derive(Clone)]
pub struct Granted(watch::Receiver<Verdict>);

impl Granted {
    /// Waits until the server has answered (SUBACK). Safe to cancel.
    ///
    /// # Errors
    /// The first filter that it refused, and why. It is asked again, after the longest of waits; who
    /// does not want that drops the [`Subscription`].
    pub async fn wait(&mut self) -> Result<(), SubscribeError> {
        loop {
            if let Some(verdict) = &*self.0.borrow_and_update() {
                return verdict.clone();
            }
            self.changed().await;
        }
    }

    /// Returns when the server has answered once more; never once the connection has ended for good.
    /// Safe to cancel.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending().await
        }
    }
}
