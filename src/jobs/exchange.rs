//! One request and the reply that belongs to it.
//!
//! MQTT has no replies. A message is the reply to a request if its topic is the right one, and if it
//! carries the `clientToken` of the request. A request that gets none in time is sent again with the
//! same token: every operation is safe to repeat, and a late reply to the first try is as good.

use std::iter::repeat_with;
use std::mem::replace;

use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::client::Client;
use super::error::{RequestError, RequestErrorKind as Kind};
use super::inbox::{Event, Reply};
use super::job_id::JobId;
use super::model::Rejection;
use super::requests::Request;
use crate::error_class::ErrorClass;
use crate::mqtt::{Publish, PublishError};
use crate::text::Text;

impl Client {
    /// Publishes a request, and returns the reply to it. Waits for a connection for as long as that
    /// takes. Where no reply comes in time, or the service is busy, the request is sent again, and an
    /// [`Event::Retrying`] says so. Dropping the future cancels it, unless it was sent.
    ///
    /// # Errors
    /// If the service rejects it, if its answer is twice one that can't be read, after
    /// [`Options::max_tries`](super::Options), or if the request or its reply can't pass at all.
    pub async fn send<R: Request>(&self, request: R) -> Result<R::Reply, RequestError> {
        let mut exchange = Exchange::new(self, &request);
        let mut backoff = self.options().backoff.clone();
        loop {
            let error = match exchange.one_try().await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            // What can't be read twice is so as the service has it.
            let is_unreadable = matches!(error.kind(), Kind::Unreadable { .. });
            if !error.may_pass()
                || replace(&mut exchange.was_unreadable, is_unreadable) && is_unreadable
            {
                return Err(error);
            }
            // Somebody has to change the policy, and does not do so within a second. (If only the
            // replies are missing, their time limit is wait enough.)
            let is_denied = matches!(error.kind(), Kind::Publish(_))
                && error.class() == ErrorClass::Misconfigured;
            let wait = backoff.wait(is_denied);
            let tries = backoff.failures();
            if tries >= self.options().max_tries {
                return Err(error.after(tries));
            }
            warn!(?wait, "asking {} again: {}", R::OPERATION, error.kind());
            self.inbox().emit(Event::Retrying { error, wait });
            if let Ok(late) = timeout(wait, exchange.late_reply()).await {
                return Ok(late);
            }
        }
    }
}

/// A request under way.
struct Exchange<'a, R> {
    client: &'a Client,
    request: &'a R,
    payload: Bytes,
    reply: oneshot::Receiver<Reply>,
    /// How often it was published.
    publishes: u32,
    /// The connection under way at first. On another one, what was not acknowledged is sent again.
    connection: u64,
    /// Whether it was told that the server has it.
    is_published: bool,
    /// Whether the last answer could not be read.
    was_unreadable: bool,
}

impl<'a, R: Request> Exchange<'a, R> {
    fn new(client: &'a Client, request: &'a R) -> Self {
        let (payload, reply) = ask(client, request);
        Self {
            client,
            request,
            payload,
            reply,
            publishes: 0,
            connection: client.mqtt().connection().max(1),
            is_published: false,
            was_unreadable: false,
        }
    }

    /// Publishes the request, once in each session, and waits for the reply.
    async fn one_try(&mut self) -> Result<R::Reply, RequestError> {
        let (client, mqtt) = (self.client, self.client.mqtt());
        let job_id = self.request.job_id().map_or("", JobId::as_str);
        let topic = client.inbox().topics.request(R::OPERATION, job_id);
        let reply_timeout = client.options().reply_timeout;
        loop {
            self.publishes += 1;
            let publish = Publish::new(&topic, self.payload.clone());
            let published = tokio::select! {
                biased;
                // The reply can be here before the PUBACK.
                Ok(reply) = &mut self.reply => return self.read(&reply),
                published = mqtt.publish_in_session(publish) => published,
            };
            let session = match published {
                Ok(session) => session,
                Err(PublishError::SessionLost) => continue,
                Err(error) => return Err(self.failed(Kind::Publish(error))),
            };
            self.published();
            tokio::select! {
                biased;
                reply = mqtt.wait_for(reply_timeout, &mut self.reply) => match reply {
                    Ok(Ok(reply)) => return self.read(&reply),
                    other => {
                        mqtt.subscribe_again(); // the server may have lost our subscriptions
                        return Err(self.failed(Kind::NoReply(other.err().unwrap_or(reply_timeout))));
                    }
                },
                error = client.denied(R::OPERATION) => return Err(error),
                // With the session, the reply may be lost.
                begun = mqtt.session_after(session) => if begun.is_err() {
                    return Err(RequestError::ended(R::OPERATION));
                },
            }
        }
    }

    /// The server has taken the request.
    fn published(&mut self) {
        if !replace(&mut self.is_published, true) {
            self.client.inbox().emit(Event::Published(R::OPERATION));
        }
    }

    /// A reply to a try that was given up: late, but good if it says yes.
    async fn late_reply(&mut self) -> R::Reply {
        while let Ok(reply) = (&mut self.reply).await {
            match self.read(&reply) {
                Ok(late) => return late,
                Err(error) => debug!("ignored a late answer: {error}"),
            }
        }
        std::future::pending().await // not while the inbox holds the sender
    }

    /// Reads a reply that came with the right topic and token.
    fn read(&mut self, reply: &Reply) -> Result<R::Reply, RequestError> {
        self.published();
        let payload = &reply.payload;
        let answer = if reply.accepted {
            serde_json::from_slice(payload).map(Ok)
        } else {
            serde_json::from_slice::<Rejection>(payload).map(Err)
        };
        let kind = match answer {
            Ok(Ok(reply)) => return Ok(reply),
            Ok(Err(rejection)) => Kind::Rejected(rejection),
            Err(error) => Kind::Unreadable {
                job_id: job_id_in(payload),
                problem: Text::from(error.to_string()),
            },
        };
        // This try has its answer. The next one has a token of its own, so that a second copy of the
        // answer is not taken for its. (If another copy of this one is accepted after all, an update is
        // refused by its version, and that tells what stands.)
        (self.payload, self.reply) = ask(self.client, self.request);
        Err(self.failed(kind))
    }

    fn failed(&mut self, kind: Kind) -> RequestError {
        let (inbox, connection) = (self.client.inbox(), self.client.mqtt().connection());
        let has_worked = match &kind {
            // On a later connection, somebody is changing a policy that allowed the first.
            Kind::Publish(_) => connection > 1 || inbox.has_answered(R::OPERATION),
            _ => inbox.has_worked(),
        };
        let mut error = RequestError::new(R::OPERATION, kind, has_worked);
        error.was_repeated = self.publishes > 1 || connection > self.connection;
        error
    }
}

/// The payload of a request, with a fresh `clientToken`, and where its reply arrives.
fn ask<R: Request>(client: &Client, request: &R) -> (Bytes, oneshot::Receiver<Reply>) {
    // 65 random bits, in few characters: each is sent twice.
    let token: String = repeat_with(fastrand::alphanumeric).take(11).collect();
    // Only maps with keys other than strings can't be written as JSON, and no request has one.
    let mut payload = serde_json::to_value(request).unwrap_or_default();
    if let Some(fields) = payload.as_object_mut() {
        fields.insert("clientToken".to_owned(), token.as_str().into());
    }
    let inbox = client.inbox();
    let reply = inbox.await_reply(token, R::OPERATION, request.job_id());
    (payload.to_string().into(), reply)
}

/// The job that a reply is about, of which nothing else can be read.
fn job_id_in(payload: &[u8]) -> Option<JobId> {
    #[derive(Deserialize)]
    struct Reply {
        execution: Execution,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Execution {
        job_id: JobId,
    }
    let reply: Reply = serde_json::from_slice(payload).ok()?;
    Some(reply.execution.job_id)
}
