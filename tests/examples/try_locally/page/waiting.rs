//! Connections that have not shown the token.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::AbortHandle;

/// At most so many of them; when there are more, the oldest is closed.
pub struct Waiting {
    most: usize,
    connections: VecDeque<(AbortHandle, Arc<AtomicBool>)>,
}

impl Waiting {
    pub fn new(most: usize) -> Waiting {
        Waiting {
            most,
            connections: VecDeque::new(),
        }
    }

    /// Takes one more, which is known from when it has shown the token.
    pub fn add(&mut self, connection: AbortHandle, is_known: Arc<AtomicBool>) {
        self.connections
            .retain(|(one, is_known)| !one.is_finished() && !is_known.load(Ordering::Relaxed));
        if self.connections.len() == self.most
            && let Some((oldest, _)) = self.connections.pop_front()
        {
            oldest.abort();
        }
        self.connections.push_back((connection, is_known));
    }
}
