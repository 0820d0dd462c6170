//! What happens, for whoever listens.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::{BoxStream, Stream, StreamExt, unfold};
use tokio::sync::broadcast;
use tracing::warn;

use super::error::ConnectionError;

/// A listener may be this many events behind before it misses one.
pub(super) const EVENTS_KEPT: usize = 16;

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
        error: ConnectionError,
        /// The next try is after this wait.
        wait: Duration,
    },
    /// A subscriber does not read fast enough, and messages for it were dropped: it is told itself by
    /// [`Subscription::missed`](super::Subscription).
    Overflow {
        /// Its topic filters.
        filters: Vec<String>,
        /// So many messages since it last had room. It is told of the 1st, 2nd, 4th, 8th…
        dropped: u64,
    },
    /// It is over: as asked, or because of a failure that no waiting fixes. Nothing comes after this.
    Ended(Result<(), ConnectionError>),
}

/// Whether there is a connection, and how many connections and sessions there have been.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Status {
    pub is_connected: bool,
    pub connections: u64,
    pub sessions: u64,
}

/// Tells what happens: a [`Stream`](futures_util::Stream). Need not be listened to. Whoever is slow to listen misses the
/// oldest events, never the last.
pub struct Events<E>(BoxStream<'static, E>);

impl<E: Clone + Send + 'static> Events<E> {
    /// What is sent from now on.
    pub(crate) fn of(events: &broadcast::Sender<E>) -> Self {
        Self(unfold(events.subscribe(), next).fuse().boxed())
    }

    /// The next event; `None` after the last, however often it is asked for. Safe to cancel.
    pub async fn next(&mut self) -> Option<E> {
        self.0.next().await
    }
}

impl<E> Stream for Events<E> {
    type Item = E;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<E>> {
        self.0.poll_next_unpin(context)
    }
}

/// The next event, and the receiver for the rest.
async fn next<E: Clone>(mut events: broadcast::Receiver<E>) -> Option<(E, broadcast::Receiver<E>)> {
    loop {
        match events.recv().await {
            Ok(event) => return Some((event, events)),
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                warn!("{missed} events were missed by a slow listener");
            }
            Err(broadcast::error::RecvError::Closed) => return None,
        }
    }
}
