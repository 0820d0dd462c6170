//! A subscription as its subscriber holds it.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream::Stream;
use tokio::sync::{mpsc, watch};

use super::error::SubscribeError;
use super::publish::Message;
use super::session::Command;
use super::subscriptions::{Answer, Subscriber, Wish};

/// A subscriber may be this many messages behind before it misses one.
const INBOX: usize = 64;

/// Receives the messages of some topic filters: a [`Stream`]. When it is dropped, it is unsubscribed
/// from those that nobody else has.
pub struct Subscription {
    messages: mpsc::Receiver<Message>,
    granted: Granted,
    number: u64,
    commands: mpsc::UnboundedSender<Command>,
}

impl Subscription {
    /// Has the connection's task know of it.
    pub(super) fn new(number: u64, wish: Wish, commands: mpsc::UnboundedSender<Command>) -> Self {
        let (to, messages) = mpsc::channel(INBOX);
        let (answer, granted) = watch::channel(Answer::None);
        let subscriber = Subscriber::new(number, wish, to, answer);
        let _ = commands.send(Command::Subscribe(subscriber)); // else it has ended, and so does this
        Self {
            messages,
            granted: Granted(granted),
            number,
            commands,
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

impl Stream for Subscription {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Message>> {
        self.messages.poll_recv(context)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Unsubscribe(self.number));
    }
}

/// What the server said to the filters of a [`Subscription`], the last time that it was asked.
#[derive(Clone)]
pub struct Granted(watch::Receiver<Answer>);

impl Granted {
    /// Waits until the server has answered (SUBACK). Safe to cancel.
    ///
    /// # Errors
    /// The first filter that it refused, and why. It is asked again, after the longest of waits; who
    /// does not want that drops the [`Subscription`].
    pub async fn wait(&mut self) -> Result<(), SubscribeError> {
        loop {
            match &*self.0.borrow_and_update() {
                Answer::None => {}
                Answer::Granted => return Ok(()),
                Answer::Refused(error) => return Err(error.clone()),
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
