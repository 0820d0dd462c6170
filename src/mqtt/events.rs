//! What happens, for whoever listens.

use tokio::sync::broadcast;
use tracing::warn;

/// Tells what happens. Need not be listened to.
pub struct Events<E>(broadcast::Receiver<E>);

impl<E: Clone> Events<E> {
    /// What is sent from now on.
    pub(crate) fn of(events: &broadcast::Sender<E>) -> Self {
        Self(events.subscribe())
    }

    /// The next event; `None` after the last. Safe to cancel. Whoever is slow to listen misses the
    /// oldest events, never the last.
    pub async fn next(&mut self) -> Option<E> {
        loop {
            match self.0.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    warn!("{missed} events were missed by a slow listener");
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}
