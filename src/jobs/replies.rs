//! Sorts what comes in: each reply to the request it belongs to, each event to the user.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::mpsc;
use tracing::{debug, trace};

use super::Event;
use super::model::NextExecution;
use super::topics::{Incoming, Operation, Topics};
use crate::mqtt;
use crate::text::printable;

/// A reply whose topic and `clientToken` fit the request; its content is not looked at yet.
#[derive(Debug)]
pub(super) struct Reply {
    pub accepted: bool,
    pub payload: Bytes,
}

/// The requests that wait for a reply, by their `clientToken`.
#[derive(Debug, Default)]
pub(super) struct Replies(Mutex<HashMap<String, Awaited>>);

#[derive(Debug)]
struct Awaited {
    operation: Operation,
    job_id: Option<String>,
    to: mpsc::Sender<Reply>,
}

/// Receives the replies to one request. When it is dropped, they are strangers' again.
pub(super) struct Replied {
    token: String,
    from: mpsc::Receiver<Reply>,
    all: Arc<Replies>,
}

impl Replies {
    /// From now on, replies with this token are expected.
    pub fn register(
        self: &Arc<Self>,
        token: &str,
        operation: Operation,
        job_id: Option<&str>,
    ) -> Replied {
        let (to, from) = mpsc::channel(4); // a reply that comes a fifth time tells nothing new
        let awaited = Awaited {
            operation,
            job_id: job_id.map(str::to_owned),
            to,
        };
        self.lock().insert(token.to_owned(), awaited);
        Replied {
            token: token.to_owned(),
            from,
            all: Arc::clone(self),
        }
    }

    /// Gives a reply to the request with its token, if it is an answer to that.
    fn hand_over(
        &self,
        operation: Operation,
        job_id: Option<&str>,
        reply: Reply,
    ) -> Result<(), &str> {
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
        let _ = awaited.to.try_send(reply);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Awaited>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Replied {
    /// The next reply.
    pub async fn next(&mut self) -> Reply {
        match self.from.recv().await {
            Some(reply) => reply,
            None => std::future::pending().await, // not while `all` holds the sender
        }
    }
}

impl Drop for Replied {
    fn drop(&mut self) {
        self.all.lock().remove(&self.token);
    }
}

/// Takes what the connection brings, until it ends.
pub(super) async fn sort(
    mut from: mpsc::Receiver<mqtt::Event>,
    topics: Topics,
    replies: Arc<Replies>,
    to_user: mpsc::Sender<Event>,
) {
    let mut last_event = None;
    while let Some(event) = from.recv().await {
        let event = match event {
            mqtt::Event::Connected { session_present } => Event::Connected { session_present },
            mqtt::Event::Interrupted { failure, wait } => Event::Interrupted { failure, wait },
            mqtt::Event::Ended(outcome) => Event::Ended(outcome),
            mqtt::Event::Message { topic, payload } => {
                trace!(
                    topic = &*printable(&topic),
                    bytes = payload.len(),
                    "received"
                );
                match read(&topics, &topic, payload, &replies, &mut last_event) {
                    Ok(None) => continue,
                    Ok(Some(event)) => event,
                    Err(why) => {
                        debug!(topic = &*printable(&topic), "ignored a message: {why}");
                        continue;
                    }
                }
            }
        };
        if to_user.send(event).await.is_err() {
            return; // and with `from`, the connection goes
        }
    }
}

/// One message: a reply is handed over, an event returned, and anything else refused.
fn read<'a>(
    topics: &Topics,
    topic: &str,
    payload: Bytes,
    replies: &'a Replies,
    last_event: &mut Option<u64>,
) -> Result<Option<Event>, &'a str> {
    match topics
        .read(topic)
        .ok_or("not a topic of this thing's jobs")?
    {
        Incoming::Reply {
            operation,
            job_id,
            accepted,
        } => replies
            .hand_over(operation, job_id, Reply { accepted, payload })
            .map(|()| None),
        Incoming::NextJobExecutionChanged => {
            let mut hasher = DefaultHasher::new();
            payload.hash(&mut hasher);
            if last_event.replace(hasher.finish()) == Some(hasher.finish()) {
                return Err("the last event once more (QoS 1 may deliver twice)");
            }
            let next: NextExecution = serde_json::from_slice(&payload)
                .map_err(|_| "a NextJobExecutionChanged that can't be read")?;
            Ok(Some(Event::NextJobExecutionChanged(
                next.execution.map(Box::new),
            )))
        }
    }
}
