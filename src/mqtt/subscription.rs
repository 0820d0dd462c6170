//! A subscription as its subscriber holds it: a buffer that the connection fills, or a function that it
//! calls.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use futures_util::stream::Stream;
use tokio::sync::{Semaphore, mpsc, watch};

use super::publish::Message;
use super::session::Command;
use super::subscriber::{Delivery, Handler, SubscribeError};

/// How much may wait for a subscriber that is slow to read. What comes above is dropped, counted, and told
/// ([`Subscription::missed`], [`Event::Overflow`](super::Event)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffer {
    /// So many messages.
    pub messages: usize,
    /// So many bytes of payload.
    pub bytes: usize,
}

impl Default for Buffer {
    /// 64 messages, and a mebibyte.
    fn default() -> Self {
        Self {
            messages: 64,
            bytes: 1024 * 1024,
        }
    }
}

/// Takes back what was subscribed to, when it is dropped.
pub struct Handled {
    pub(super) number: u64,
    pub(super) commands: mpsc::UnboundedSender<Command>,
}

impl Drop for Handled {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Unsubscribe(self.number));
    }
}

/// Receives the messages of some topic filters: a [`Stream`](futures_util::Stream). When it is dropped,
/// it is unsubscribed from those that nobody else has.
pub struct Subscription {
    messages: mpsc::Receiver<Message>,
    count: Arc<Count>,
    granted: Granted,
    _handled: Handled,
}

/// What both ends of a buffer know of it.
#[derive(Default)]
struct Count {
    /// Bytes that wait in it.
    bytes: AtomicUsize,
    missed: AtomicU64,
}

impl Subscription {
    /// What a connection's task fills, by `handled`.
    pub(super) fn new(buffer: Buffer, handled: impl FnOnce(Handler) -> Handled) -> Self {
        let (to, messages) = mpsc::channel(buffer.messages.clamp(1, Semaphore::MAX_PERMITS));
        let (answer, granted) = watch::channel(None);
        let count = Arc::new(Count::default());
        let counted = Arc::clone(&count);
        let handler = move |delivery| {
            match delivery {
                Delivery::Message(_) if to.is_closed() => {} // it is being dropped
                Delivery::Message(message) => {
                    let size = message.payload.len();
                    let before = counted.bytes.fetch_add(size, Ordering::Relaxed);
                    if before + size > buffer.bytes || to.try_send(message).is_err() {
                        counted.bytes.fetch_sub(size, Ordering::Relaxed);
                        counted.missed.fetch_add(1, Ordering::Relaxed);
                        return false;
                    }
                }
                Delivery::Granted => drop(answer.send_replace(Some(Ok(())))),
                Delivery::Refused(error) => drop(answer.send_replace(Some(Err(error)))),
                Delivery::NewSession => {}
            }
            true
        };
        Self {
            messages,
            count,
            granted: Granted(granted),
            _handled: handled(Box::new(handler)),
        }
    }

    /// The next message; `None` when the connection has ended permanently. Safe to cancel.
    pub async fn next(&mut self) -> Option<Message> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// How many messages did not fit into its [`Buffer`], and are gone, since this was last asked.
    pub fn missed(&mut self) -> u64 {
        self.count.missed.swap(0, Ordering::Relaxed)
    }

    /// What the server says to the filters.
    pub fn granted(&self) -> Granted {
        self.granted.clone()
    }
}

impl Stream for Subscription {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Message>> {
        let message = ready!(self.messages.poll_recv(context));
        if let Some(message) = &message {
            self.count
                .bytes
                .fetch_sub(message.payload.len(), Ordering::Relaxed);
        }
        Poll::Ready(message)
    }
}

/// What the server said to the filters of a [`Subscription`], the last time that it was asked.
#[derive(Clone)]
pub struct Granted(watch::Receiver<Option<Result<(), SubscribeError>>>);

impl Granted {
    /// Waits until the server has answered (SUBACK). Safe to cancel.
    ///
    /// # Errors
    /// The first filter that it refused, and why. It is asked again, after the longest of waits; who
    /// does not want that drops the [`Subscription`]. Or that nobody will answer any more.
    pub async fn wait(&mut self) -> Result<(), NotGranted> {
        loop {
            if let Some(answer) = &*self.0.borrow_and_update() {
                return Ok(answer.clone()?);
            }
            self.changed().await?;
        }
    }

    /// Waits until the server has answered once more. Safe to cancel.
    ///
    /// # Errors
    /// If nobody will answer any more.
    pub async fn changed(&mut self) -> Result<(), NotGranted> {
        self.0.changed().await.map_err(|_| NotGranted::Gone)
    }
}

/// Why a [`Subscription`] is not granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotGranted {
    /// The server refused one of its filters.
    #[error(transparent)]
    Refused(#[from] SubscribeError),
    /// The connection has ended permanently, or the [`Subscription`] was dropped.
    #[error("the subscription is gone, or the connection has ended")]
    Gone,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_for_who_has_just_gone_did_not_overflow() {
        let (mut handler, (commands, _task)) = (None, mpsc::unbounded_channel());
        let subscription = Subscription::new(Buffer::default(), |handles| {
            handler = Some(handles);
            Handled {
                number: 0,
                commands,
            }
        });
        let mut handler = handler.unwrap();
        drop(subscription); // (its connection has yet to hear of it)
        let message = Message::new(
            "a".to_owned(),
            super::super::Publish::new("a", "x").packet(0),
        );
        assert!(handler(Delivery::Message(message)));
    }
}
