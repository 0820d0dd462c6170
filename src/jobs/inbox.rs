//! Sorts what comes in: each reply to the request it belongs to, each event to whoever listens. And
//! knows what has worked so far: what is refused from the start is a mistake, what worked comes back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tracing::{debug, trace};

use super::Event;
use super::model::{ExecutionId, ExecutionReply, JobExecution};
use super::topics::{Incoming, Operation, Topics};
use crate::mqtt::{self, Granted, Message, SubscribeError, Subscription};
use crate::text::printable;

/// A listener may be this many events behind before it misses one.
const EVENTS_KEPT: usize = 64;
/// A request may be this many replies behind: one that comes a fifth time tells nothing new.
const REPLIES_KEPT: usize = 4;

/// A reply whose topic and `clientToken` fit the request; its content is not looked at yet.
#[derive(Debug)]
pub(super) struct Reply {
    pub accepted: bool,
    pub payload: Bytes,
}

/// A request that waits for its reply.
struct Awaited {
    operation: Operation,
    job_id: Option<String>,
    to: mpsc::Sender<Reply>,
}

/// Where replies and events go.
pub(super) struct Inbox {
    /// The requests that wait for a reply, by their `clientToken`.
    awaited: Mutex<HashMap<String, Awaited>>,
    pub events: broadcast::Sender<Event>,
    /// There may be another execution that is first in line.
    pub hint: Notify,
    /// Which execution is the first in line, by the last event. The outer `None`: there was no event.
    pub first_in_line: watch::Sender<Option<Option<ExecutionId>>>,
    granted: Granted,
    /// The operations of which the server has taken a request: a bit for each.
    published: AtomicU8,
}

impl Inbox {
    pub fn new(granted: Granted) -> Self {
        Self {
            awaited: Mutex::default(),
            events: broadcast::channel(EVENTS_KEPT).0,
            hint: Notify::new(),
            first_in_line: watch::Sender::new(None),
            granted,
            published: AtomicU8::new(0),
        }
    }

    /// From now on, replies with this token are expected, for as long as the receiver lives.
    pub fn await_replies(
        &self,
        token: String,
        operation: Operation,
        job_id: Option<&str>,
    ) -> mpsc::Receiver<Reply> {
        let (to, replies) = mpsc::channel(REPLIES_KEPT);
        let job_id = job_id.map(str::to_owned);
        let mut awaited = self.lock();
        awaited.retain(|_, other| !other.to.is_closed());
        awaited.insert(
            token,
            Awaited {
                operation,
                job_id,
                to,
            },
        );
        replies
    }

    /// Tells an event to whoever listens.
    pub fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }

    /// The server has taken a request of this operation.
    pub fn has_published(&self, operation: Operation) {
        self.published
            .fetch_or(1 << operation as u8, Ordering::Relaxed);
    }

    pub fn was_published(&self, operation: Operation) -> bool {
        self.published.load(Ordering::Relaxed) & 1 << operation as u8 != 0
    }

    /// Resolves if the policy denies us the replies, and always did.
    pub async fn never_granted(&self) -> SubscribeError {
        let mut granted = self.granted.clone();
        loop {
            match granted.wait().await {
                Err(refused) if refused.is_denied() && !refused.was_granted => return refused,
                _ => granted.changed().await,
            }
        }
    }

    /// Takes what the connection brings, until it ends.
    pub async fn fill(&self, mut from: Subscription, mqtt: mqtt::Client, topics: Topics) {
        let mut granted = from.granted();
        let mut session = mqtt.session();
        let mut last_event = None;
        loop {
            tokio::select! {
                biased;
                message = from.next() => match message {
                    Some(message) => self.take(&topics, message, &mut last_event),
                    None => return,
                },
                begun = mqtt.session_after(session) => {
                    if session > 0 {
                        self.hint.notify_one(); // an event may have been missed
                    }
                    if begun.is_err() {
                        return;
                    }
                    session = mqtt.session();
                }
                () = granted.changed() => {
                    if let Err(refused) = granted.wait().await
                        && (refused.was_granted || !refused.is_denied()) // else it ends every request
                    {
                        self.tell(Event::Denied(refused.to_string()));
                    }
                }
            }
        }
    }

    /// One message: a reply is handed over, an event told, and anything else ignored.
    fn take(&self, topics: &Topics, message: Message, last_event: &mut Option<Bytes>) {
        let Message { topic, payload, .. } = message;
        let shown = printable(&topic);
        trace!(topic = &*shown, bytes = payload.len(), "received");
        let taken = match topics.read(&topic) {
            None => Err("not a topic of this thing's jobs"),
            Some(Incoming::NextJobExecutionChanged) if last_event.as_ref() == Some(&payload) => {
                Err("the last event once more (QoS 1 may deliver twice)")
            }
            Some(Incoming::NextJobExecutionChanged) => self.take_event(last_event.insert(payload)),
            Some(Incoming::Reply {
                operation,
                job_id,
                accepted,
            }) => self.hand_over(operation, job_id, Reply { accepted, payload }),
        };
        if let Err(why) = taken {
            debug!(topic = &*shown, "ignored a message: {why}");
        }
    }

    fn take_event(&self, payload: &[u8]) -> Result<(), &'static str> {
        let Ok(next) = serde_json::from_slice::<ExecutionReply>(payload) else {
            self.hint.notify_one(); // something has changed, though nobody knows what
            self.first_in_line.send_replace(Some(None));
            return Err("a NextJobExecutionChanged that can't be read");
        };
        let first = next.execution.as_ref().map(JobExecution::id);
        if first.is_some() {
            self.hint.notify_one();
        }
        self.first_in_line.send_replace(Some(first));
        self.tell(Event::NextJobExecutionChanged(next.execution.map(Arc::new)));
        Ok(())
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
        let envelope: Envelope =
            serde_json::from_slice(&reply.payload).map_err(|_| "not JSON with a clientToken")?;
        let all = self.lock();
        let awaited = all
            .get(&envelope.client_token)
            .ok_or("a clientToken that nobody waits for")?;
        // `$next` is answered under that name.
        if awaited.operation != operation || awaited.job_id.as_deref() != job_id {
            return Err("the clientToken of another request");
        }
        let _ = awaited.to.try_send(reply);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Awaited>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
