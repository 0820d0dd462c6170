//! Takes what the connection has for the jobs of a thing, on the connection's own task: hands each reply
//! to the request that it belongs to, and tells each event.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::{oneshot, watch};
use tracing::{debug, trace};

use super::error::RequestError;
use super::job_id::{ExecutionId, JobId};
use super::model::{ExecutionReply, JobExecution};
use super::topics::{Incoming, Operation, Topics};
use crate::mqtt::{Delivery, Message, SubscribeError};
use crate::text::printable;

/// What happens without having been asked for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// `NextJobExecutionChanged`: another execution is the first in line now, or (`None`) none is.
    NextJobExecutionChanged(Option<Arc<JobExecution>>),
    /// The server has taken a request.
    Published(Operation),
    /// One try of a request had no result. The next one follows.
    Retrying {
        /// Why there was no result.
        error: RequestError,
        /// The next try is after this wait.
        wait: Duration,
    },
    /// The server refuses a subscription that it granted before, or refuses it for now. It is
    /// subscribed to again.
    SubscriptionRefused(SubscribeError),
}

/// A reply whose topic and `clientToken` fit the request; its content is not looked at yet.
pub(super) struct Reply {
    pub accepted: bool,
    pub payload: Bytes,
}

/// A request that waits for its reply.
struct Awaited {
    operation: Operation,
    job_id: Option<JobId>,
    to: oneshot::Sender<Reply>,
}

/// What the service has said last about the queue of a thing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Queue {
    /// How often there was a sign that something is to be started: an event that names an execution,
    /// or can't be read; a new session, before which events may have been missed; or a call of
    /// [`look_again`](super::Client::look_again).
    pub changes: u64,
    /// How many of these were new sessions.
    pub new_sessions: u64,
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

/// Hears each event, and says whether it wants the next.
type Listener = Box<dyn Fn(&Event) -> bool + Send>;

/// Where replies and events go.
pub(super) struct Inbox {
    pub topics: Topics,
    /// The requests that wait for a reply, by their `clientToken`.
    awaited: Mutex<BTreeMap<String, Awaited>>,
    /// The operations that the service has ever answered: a bit for each.
    answered: AtomicU8,
    listeners: Mutex<Vec<Listener>>,
    last_event: Mutex<Option<Bytes>>,
    pub queue: watch::Sender<Queue>,
    /// Why there are no replies: the policy denies them, and nothing was ever answered.
    pub denied: watch::Sender<Option<SubscribeError>>,
}

impl Inbox {
    pub fn new(topics: Topics) -> Arc<Self> {
        Arc::new(Self {
            topics,
            awaited: Mutex::default(),
            answered: AtomicU8::new(0),
            listeners: Mutex::default(),
            last_event: Mutex::default(),
            queue: watch::Sender::default(),
            denied: watch::Sender::default(),
        })
    }

    /// From now on, a reply with this token is expected, for as long as the receiver lives.
    pub fn await_reply(
        &self,
        token: String,
        operation: Operation,
        job_id: Option<&JobId>,
    ) -> oneshot::Receiver<Reply> {
        let (to, reply) = oneshot::channel();
        let awaited = Awaited {
            operation,
            job_id: job_id.cloned(),
            to,
        };
        let mut all = lock(&self.awaited);
        all.retain(|_, other| !other.to.is_closed());
        all.insert(token, awaited);
        reply
    }

    /// Whether the service has ever answered such a request.
    pub fn has_answered(&self, operation: Operation) -> bool {
        self.answered.load(Ordering::Relaxed) & 1 << operation as u8 != 0
    }

    /// Whether the service has ever answered any request.
    pub fn has_worked(&self) -> bool {
        self.answered.load(Ordering::Relaxed) != 0
    }

    /// From now on, this hears each event before anything else comes of it, until it returns `false`.
    pub fn listen(&self, listener: Listener) {
        lock(&self.listeners).push(listener);
    }

    /// Tells an event to whoever listens.
    pub fn emit(&self, event: Event) {
        lock(&self.listeners).retain(|listener| listener(&event));
    }

    /// Takes what the connection has: hands a reply over, tells an event, and ignores any other message.
    /// Never waits.
    pub fn on_delivery(&self, delivery: Delivery) {
        let Message { topic, payload, .. } = match delivery {
            Delivery::Message(message) => message,
            Delivery::Granted => return drop(self.denied.send_replace(None)),
            Delivery::Refused(refused) if refused.is_denied() && !self.has_worked() => {
                return drop(self.denied.send_replace(Some(refused)));
            }
            Delivery::Refused(refused) => return self.emit(Event::SubscriptionRefused(refused)),
            Delivery::NewSession => {
                return self.queue.send_modify(|queue| {
                    queue.changes += 1;
                    queue.new_sessions += 1;
                });
            }
        };
        let shown = printable(&topic);
        trace!(topic = &*shown, bytes = payload.len(), "received");
        let handled = match self.topics.read(&topic) {
            None => Err("not a topic of this thing's jobs"),
            Some(Incoming::NextJobExecutionChanged) => self.on_event(payload),
            Some(Incoming::Reply {
                operation,
                job_id,
                accepted,
            }) => self.hand_over(operation, job_id, Reply { accepted, payload }),
        };
        if let Err(why) = handled {
            debug!(topic = &*shown, "ignored a message: {why}");
        }
    }

    /// `NextJobExecutionChanged`: another execution is the first in line now.
    fn on_event(&self, payload: Bytes) -> Result<(), &'static str> {
        if lock(&self.last_event).replace(payload.clone()) == Some(payload.clone()) {
            return Err("the last event once more (QoS 1 may deliver twice)");
        }
        let next: Result<ExecutionReply, _> = serde_json::from_slice(&payload);
        let next = next.map(|next| next.execution.map(Arc::new));
        let first = match &next {
            Ok(Some(execution)) => First::Execution(execution.id()),
            Ok(None) => First::Nothing,
            Err(_) => First::Unreadable,
        };
        // The event is told before what comes of it.
        let handled = next.map(|next| self.emit(Event::NextJobExecutionChanged(next)));
        self.queue.send_modify(|queue| {
            queue.changes += u64::from(first != First::Nothing);
            queue.first = first;
        });
        handled.map_err(|_| "a NextJobExecutionChanged that can't be read")
    }

    /// Gives a reply to the request with its token, if it is an answer to that.
    fn hand_over(
        &self,
        operation: Operation,
        job_id: Option<&str>,
        reply: Reply,
    ) -> Result<(), &'static str> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Envelope {
            client_token: String,
        }
        let Envelope { client_token } =
            serde_json::from_slice(&reply.payload).map_err(|_| "not JSON with a clientToken")?;
        let mut all = lock(&self.awaited);
        let awaited = all.get(&client_token);
        let awaited = awaited.ok_or("a clientToken that nobody waits for")?;
        let its_job = awaited.job_id.as_ref().map(JobId::as_str);
        if awaited.operation != operation || its_job != job_id {
            return Err("the clientToken of another request");
        }
        self.answered
            .fetch_or(1 << operation as u8, Ordering::Relaxed);
        if let Some(awaited) = all.remove(&client_token) {
            let _ = awaited.to.send(reply);
        }
        Ok(())
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
