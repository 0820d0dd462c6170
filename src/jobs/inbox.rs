//! Sorts what comes in: each reply to the request it belongs to, each event to whoever listens.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tracing::{debug, trace};

use super::Event;
use super::history::History;
use super::model::{ExecutionId, JobExecution, NextExecution};
use super::topics::{Incoming, Operation, Topics};
use crate::mqtt::{self, Granted, Message, Subscription};
use crate::text::printable;

/// A listener may be this many events behind before it misses one.
const EVENTS_KEPT: usize = 64;

/// A reply whose topic and `clientToken` fit the request; its content is not looked at yet.
#[derive(Debug)]
pub(super) struct Reply {
    pub accepted: bool,
    pub payload: Bytes,
}

#[derive(Debug)]
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
    pub history: History,
}

/// Receives the replies to one request. Once it is dropped, nobody waits for them.
pub(super) struct Replies {
    token: String,
    from: mpsc::Receiver<Reply>,
    inbox: Arc<Inbox>,
}

impl Inbox {
    pub fn new(granted: Granted) -> Self {
        Self {
            awaited: Mutex::default(),
            events: broadcast::channel(EVENTS_KEPT).0,
            hint: Notify::new(),
            first_in_line: watch::Sender::new(None),
            history: History::new(granted),
        }
    }

    /// From now on, replies with this token are expected.
    pub fn await_replies(
        self: &Arc<Self>,
        token: &str,
        operation: Operation,
        job_id: Option<&str>,
    ) -> Replies {
        let (to, from) = mpsc::channel(4); // a reply that comes a fifth time tells nothing new
        let awaited = Awaited {
            operation,
            job_id: job_id.map(str::to_owned),
            to,
        };
        self.lock().insert(token.to_owned(), awaited);
        Replies {
            token: token.to_owned(),
            from,
            inbox: Arc::clone(self),
        }
    }

    /// Tells an event to whoever listens.
    pub fn tell(&self, event: Event) {
        let _ = self.events.send(event);
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
                () = granted.changed() => match granted.wait().await {
                    Ok(()) => self.history.has_granted(),
                    Err(refused) if refused.denied && !self.history.was_granted() => {} // ends every request
                    Err(refused) => self.tell(Event::Denied(refused.to_string())),
                },
            }
        }
    }

    /// One message: a reply is handed over, an event told, and anything else ignored.
    fn take(&self, topics: &Topics, message: Message, last_event: &mut Option<u64>) {
        let Message { topic, payload } = message;
        trace!(
            topic = &*printable(&topic),
            bytes = payload.len(),
            "received"
        );
        let taken = match topics.read(&topic) {
            None => Err("not a topic of this thing's jobs"),
            Some(Incoming::NextJobExecutionChanged) => self.take_event(&payload, last_event),
            Some(Incoming::Reply {
                operation,
                job_id,
                accepted,
            }) => self.hand_over(operation, job_id, Reply { accepted, payload }),
        };
        if let Err(why) = taken {
            debug!(topic = &*printable(&topic), "ignored a message: {why}");
        }
    }

    fn take_event(&self, payload: &[u8], last: &mut Option<u64>) -> Result<(), &'static str> {
        let mut hasher = DefaultHasher::new();
        payload.hash(&mut hasher);
        if last.replace(hasher.finish()) == Some(hasher.finish()) {
            return Err("the last event once more (QoS 1 may deliver twice)");
        }
        match serde_json::from_slice::<NextExecution>(payload) {
            Ok(next) => {
                let first = next.execution.as_ref().map(JobExecution::id);
                if first.is_some() {
                    self.hint.notify_one();
                }
                self.first_in_line.send_replace(Some(first));
                self.tell(Event::NextJobExecutionChanged(next.execution.map(Arc::new)));
                Ok(())
            }
            Err(_) => {
                self.hint.notify_one(); // something has changed, though nobody knows what
                self.first_in_line.send_replace(Some(None));
                Err("a NextJobExecutionChanged that can't be read")
            }
        }
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
            client_token: Option<String>,
        }
        let envelope: Envelope = serde_json::from_slice(&reply.payload).map_err(|_| "not JSON")?;
        let token = envelope.client_token.ok_or("no clientToken")?;
        let all = self.lock();
        let awaited = all
            .get(&token)
            .ok_or("a clientToken that nobody waits for")?;
        // `$next` is answered under that name.
        if awaited.operation != operation || awaited.job_id.as_deref() != job_id {
            return Err("the clientToken of another request");
        }
        self.history.has_answered();
        let _ = awaited.to.try_send(reply);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Awaited>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Replies {
    /// The next reply. Safe to cancel.
    pub async fn next(&mut self) -> Reply {
        match self.from.recv().await {
            Some(reply) => reply,
            None => std::future::pending().await, // not while the inbox holds the sender
        }
    }
}

impl Drop for Replies {
    fn drop(&mut self) {
        self.inbox.lock().remove(&self.token);
    }
}
