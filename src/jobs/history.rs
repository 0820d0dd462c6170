//! What has worked so far: what is refused from the start is a mistake, what worked before comes back.

use std::sync::atomic::{AtomicBool, Ordering};

use super::topics::Operation;
use crate::mqtt::{Granted, SubscribeError};

/// What the server has let us do so far.
pub(super) struct History {
    granted: Granted,
    was_granted: AtomicBool,
    was_answered: AtomicBool,
    published: [AtomicBool; Operation::ALL.len()],
}

impl History {
    pub fn new(granted: Granted) -> Self {
        Self {
            granted,
            was_granted: AtomicBool::new(false),
            was_answered: AtomicBool::new(false),
            published: Operation::ALL.map(|_| AtomicBool::new(false)),
        }
    }

    /// The server has granted what we subscribed to.
    pub fn has_granted(&self) {
        self.was_granted.store(true, Ordering::Relaxed);
    }

    pub fn was_granted(&self) -> bool {
        self.was_granted.load(Ordering::Relaxed)
    }

    /// The service has answered a request.
    pub fn has_answered(&self) {
        self.was_answered.store(true, Ordering::Relaxed);
    }

    pub fn was_answered(&self) -> bool {
        self.was_answered.load(Ordering::Relaxed)
    }

    /// The server has taken a request of this operation.
    pub fn has_published(&self, operation: Operation) {
        self.published[operation as usize].store(true, Ordering::Relaxed);
    }

    pub fn was_published(&self, operation: Operation) -> bool {
        self.published[operation as usize].load(Ordering::Relaxed)
    }

    /// Resolves if the policy denies us the replies, and always did.
    pub async fn never_granted(&self) -> SubscribeError {
        if !self.was_granted()
            && let Err(refused) = self.granted.clone().wait().await
            && refused.denied
            && !self.was_granted()
        {
            return refused;
        }
        std::future::pending().await
    }
}
