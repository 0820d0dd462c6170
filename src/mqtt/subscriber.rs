//! Somebody who gets messages: a function that the connection's task calls.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tracing::error;

use super::filter::{SubscribeError, matches};
use super::publish::Message;
use crate::text::panic_message;

/// What the connection has for a subscriber.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Delivery {
    /// A message that matches one of its filters.
    Message(Message),
    /// The server has granted all of its filters.
    Granted,
    /// The server refuses one of them.
    Refused(SubscribeError),
    /// The server has begun a new session in place of one that it had: messages may have been missed.
    NewSession,
}

/// Takes what the connection has, on its task, and says whether it had room for it.
pub(super) type Handler = Box<dyn FnMut(Delivery) -> bool + Send>;

/// What a subscriber wants.
pub(super) enum Interest {
    Filters(Vec<String>),
    /// The messages that match nobody's filter.
    Unmatched,
}

/// Somebody who gets messages.
pub(super) struct Subscriber {
    pub number: u64,
    pub interest: Interest,
    handler: Handler,
    /// What it was told last of the server's answers.
    pub told: Option<Result<(), SubscribeError>>,
    /// Messages that it had no room for, since it last had some.
    dropped: u64,
}

impl Subscriber {
    pub fn new(number: u64, interest: Interest, handler: Handler) -> Self {
        Self {
            number,
            interest,
            handler,
            told: None,
            dropped: 0,
        }
    }

    pub fn filters(&self) -> &[String] {
        match &self.interest {
            Interest::Filters(filters) => filters,
            Interest::Unmatched => &[],
        }
    }

    pub fn wants(&self, topic: &str) -> bool {
        self.filters().iter().any(|filter| matches(filter, topic))
    }

    /// Gives it a message. If it has no room for that, returns how many it has missed in a row.
    pub fn give(&mut self, message: Message) -> Option<u64> {
        self.dropped += 1;
        if self.tell(Delivery::Message(message)) {
            self.dropped = 0;
        }
        Some(self.dropped).filter(|dropped| *dropped > 0)
    }

    /// Calls its handler. A panic in there is its own: the connection goes on.
    pub fn tell(&mut self, delivery: Delivery) -> bool {
        let told = catch_unwind(AssertUnwindSafe(|| (self.handler)(delivery)));
        told.unwrap_or_else(|panic| {
            error!("a handler panicked: {}", panic_message(&*panic));
            true
        })
    }
}
