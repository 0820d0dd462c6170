//! What has worked so far. What is denied from the start is a mistake that somebody has made; what
//! has worked before comes back, once somebody has finished editing the policy.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use super::topics::Operation;
use crate::mqtt::{self, Granted, SubscribeError};

/// What has worked so far, for one client of the Jobs service.
pub(super) struct Worked {
    mqtt: mqtt::Client,
    granted: Granted,
    /// The operations of which the server has taken a request: a bit for each.
    published: AtomicU8,
    replied: AtomicBool,
}

impl Worked {
    /// Nothing so far. `granted` is about the replies.
    pub fn new(mqtt: mqtt::Client, granted: Granted) -> Self {
        Self {
            mqtt,
            granted,
            published: AtomicU8::new(0),
            replied: AtomicBool::new(false),
        }
    }

    /// The server has taken a request of this operation.
    pub fn published(&self, operation: Operation) {
        self.published
            .fetch_or(1 << operation as u8, Ordering::Relaxed);
    }

    /// The service has answered some request.
    pub fn replied(&self) {
        self.replied.store(true, Ordering::Relaxed);
    }

    /// Whether the service has ever answered.
    pub fn has_replied(&self) -> bool {
        self.replied.load(Ordering::Relaxed)
    }

    /// Whether a publish that is denied now was never allowed: not in this operation, and not for
    /// want of trying, because a second connection means that the first one worked.
    pub fn was_never_allowed(&self, operation: Operation) -> bool {
        let published = self.published.load(Ordering::Relaxed) & 1 << operation as u8 != 0;
        !published && self.mqtt.connection() <= 1
    }

    /// Returns if the policy denies us the replies, and always did. Safe to cancel.
    pub async fn never_granted(&self) -> SubscribeError {
        let mut granted = self.granted.clone();
        loop {
            match granted.wait().await {
                Err(refused) if Self::is_first_mistake(&refused) => return refused,
                _ => granted.changed().await,
            }
        }
    }

    /// Whether no waiting helps against this refusal.
    pub fn is_first_mistake(refused: &SubscribeError) -> bool {
        refused.is_denied() && !refused.was_granted
    }
}
