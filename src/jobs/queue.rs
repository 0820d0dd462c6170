//! What is known of the queue without asking: which execution is the first in line.

use tokio::sync::watch;

use super::execution_id::ExecutionId;

/// What the service has said last about the queue of a thing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Queue {
    /// How often there was a sign that something is to be started: an event that names an execution,
    /// or a new session, in which events may have been missed.
    pub signs: u64,
    /// The first in line.
    pub first: First,
}

/// The first in line. An execution that is IN_PROGRESS comes before those that are QUEUED.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum First {
    /// There was no event yet.
    #[default]
    Unknown,
    /// Nothing is pending.
    Nothing,
    /// This execution.
    Execution(ExecutionId),
    /// The last event could not be read.
    Unreadable,
}

impl Queue {
    /// An event: this is the first in line now.
    pub(super) fn changed(queue: &watch::Sender<Self>, first: First) {
        queue.send_modify(|queue| {
            queue.signs += u64::from(first != First::Nothing);
            queue.first = first;
        });
    }

    /// An event may have been missed.
    pub(super) fn may_have_changed(queue: &watch::Sender<Self>) {
        queue.send_modify(|queue| queue.signs += 1);
    }
}
