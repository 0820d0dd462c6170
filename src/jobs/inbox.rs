//! Sorts what comes in: each reply to the request it belongs to, each event to whoever listens.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::yield_now;
use tracing::{debug, trace};

use super::event::Event;
use super::model::{ExecutionReply, JobExecution};
use super::queue::{First, Queue};
use super::topics::{Incoming, Operation, Topics};
use super::worked::Worked;
use crate::mqtt::{self, Message, Subscription};
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

/// Hears each event, and says whether it wants the next.
type Listener = Box<dyn Fn(&Event) -> bool + Send>;

/// Where replies and events go.
pub(super) struct Inbox {
    /// The requests that wait for a reply, by their `clientToken`.
    awaited: Mutex<BTreeMap<String, Awaited>>,
    listeners: Mutex<Vec<Listener>>,
    pub events: broadcast::Sender<Event>,
    pub queue: watch::Sender<Queue>,
    pub worked: Worked,
}

impl Inbox {
    pub fn new(worked: Worked) -> Self {
        Self {
            awaited: Mutex::default(),
            listeners: Mutex::default(),
            events: broadcast::channel(EVENTS_KEPT).0,
            queue: watch::Sender::default(),
            worked,
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
        let mut awaited = lock(&self.awaited);
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

    /// From now on, this hears each event before anything else comes of it, until it returns `false`.
    pub fn listen(&self, listener: Listener) {
        lock(&self.listeners).push(listener);
    }

    /// Tells an event to whoever listens.
    pub fn emit(&self, event: Event) {
        lock(&self.listeners).retain(|listener| listener(&event));
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
                    Some(message) => self.take(&topics, message, &mut last_event).await,
                    None => return,
                },
                begun = mqtt.session_after(session) => {
                    if session > 0 {
                        Queue::may_have_changed(&self.queue); // an event may have been missed
                    }
                    if begun.is_err() {
                        return;
                    }
                    session = mqtt.session();
                }
                () = granted.changed() => {
                    if let Err(refused) = granted.wait().await
                        && !Worked::is_first_mistake(&refused) // else it ends every request
                    {
                        self.emit(Event::SubscriptionRefused(refused));
                    }
                }
            }
        }
    }

    /// One message: a reply is handed over, an event told, and anything else ignored.
    async fn take(&self, topics: &Topics, message: Message, last_event: &mut Option<Bytes>) {
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
        match taken {
            // What a reply brings about is told before an event that came after it.
            Ok(Taken::Reply) => yield_now().await,
            Ok(Taken::Event) => {}
            Err(why) => debug!(topic = &*shown, "ignored a message: {why}"),
        }
    }

    fn take_event(&self, payload: &[u8]) -> Result<Taken, &'static str> {
        let Ok(next) = serde_json::from_slice::<ExecutionReply>(payload) else {
            // Something has changed, though nobody knows what.
            Queue::changed(&self.queue, First::Unreadable);
            return Err("a NextJobExecutionChanged that can't be read");
        };
        let first = match next.execution.as_ref().map(JobExecution::id) {
            Some(id) => First::Execution(id),
            None => First::Nothing,
        };
        // The event is told before what comes of it.
        self.emit(Event::NextJobExecutionChanged(next.execution.map(Arc::new)));
        Queue::changed(&self.queue, first);
        Ok(Taken::Event)
    }

    /// Gives a reply to the request with its token, if it is an answer to that.
    fn hand_over(
        &self,
        operation: Operation,
        job_id: Option<&str>,
        reply: Reply,
    ) -> Result<Taken, &'static str> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Envelope {
            client_token: String,
        }
        let envelope: Envelope =
            serde_json::from_slice(&reply.payload).map_err(|_| "not JSON with a clientToken")?;
        let all = lock(&self.awaited);
        let awaited = all
            .get(&envelope.client_token)
            .ok_or("a clientToken that nobody waits for")?;
        if awaited.operation != operation || awaited.job_id.as_deref() != job_id {
            return Err("the clientToken of another request");
        }
        self.worked.replied();
        let _ = awaited.to.try_send(reply);
        Ok(Taken::Reply)
    }
}

/// What became of a message.
enum Taken {
    Reply,
    Event,
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
