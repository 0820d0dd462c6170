//! One request and the reply that belongs to it.
//!
//! A reply is ours if its topic is, and if it carries the `clientToken` of the request. A request that
//! gets none in time is asked again with the same token: every operation is safe to repeat, and a late
//! reply to the first is as good.

use std::iter::repeat_with;
use std::mem::replace;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use super::Event;
use super::client::Client;
use super::error::RequestError;
use super::inbox::Reply;
use super::model::Rejection;
use super::requests::Request;
use super::topics::Operation;
use crate::mqtt::{self, Publish, PublishError};
use crate::text::printable;

/// What was published: the server has acknowledged it, or its reply is here already.
pub struct Asked<T>(BoxFuture<'static, Result<T, RequestError>>);

impl<T: Send + 'static> Asked<T> {
    /// Runs an exchange up to the acknowledgement of its first publish.
    pub(super) async fn published<F>(
        exchange: impl FnOnce(Option<Acknowledged>) -> F,
    ) -> Result<Self, RequestError>
    where
        F: Future<Output = Result<T, RequestError>> + Send + 'static,
    {
        let (acknowledged, is_acknowledged) = oneshot::channel();
        let mut reply = exchange(Some(acknowledged)).boxed();
        tokio::select! {
            biased;
            early = &mut reply => Ok(Self(ready(Ok(early?)).boxed())),
            _ = is_acknowledged => Ok(Self(reply)),
        }
    }

    /// Waits for the reply, and asks again where none comes in time.
    ///
    /// # Errors
    /// [`RequestError::Rejected`] if the service says no for good, [`RequestError::Unanswered`] after
    /// several tries, [`RequestError::Publish`] if the request can't be published once more.
    pub async fn reply(self) -> Result<T, RequestError> {
        self.0.await
    }
}

/// Is told when the server has acknowledged a request for the first time.
pub(super) type Acknowledged = oneshot::Sender<()>;

/// Publishes a request, and waits for its reply. Waits for a connection for as long as that takes;
/// gives up after `most_tries`, or never.
pub(super) async fn ask<R: Request>(
    client: Client,
    request: R,
    most_tries: Option<u32>,
    acknowledged: Option<Acknowledged>,
) -> Result<R::Reply, RequestError> {
    let exchange = Exchange::new(client, &request, acknowledged);
    exchange.run(most_tries).await
}

/// A request under way.
struct Exchange {
    client: Client,
    operation: Operation,
    topic: String,
    payload: Bytes,
    replies: mpsc::Receiver<Reply>,
    acknowledged: Option<Acknowledged>,
    published: u32,
    /// The connection under way at first. On another one, what was not acknowledged is sent again.
    connection: u64,
    was_unreadable: bool,
}

/// A try that led to nothing.
enum Vain {
    /// What went wrong, as half a sentence, and whether somebody has to change the policy.
    Passing { problem: String, denied: bool },
    /// To try again is of no use.
    Final(RequestError),
}

impl Exchange {
    fn new<R: Request>(client: Client, request: &R, acknowledged: Option<Acknowledged>) -> Self {
        let (operation, job_id) = (R::OPERATION, request.job_id());
        // 65 random bits, in few characters: each is sent twice.
        let token: String = repeat_with(fastrand::alphanumeric).take(11).collect();
        // Only maps with keys other than strings can't be written as JSON, and no request has one.
        let mut payload = serde_json::to_value(request).unwrap_or_default();
        if let Some(fields) = payload.as_object_mut() {
            fields.insert("clientToken".to_owned(), token.as_str().into());
        }
        Self {
            operation,
            topic: client
                .0
                .topics
                .request(operation, job_id.unwrap_or_default()),
            payload: payload.to_string().into(),
            replies: client.0.inbox.await_replies(token, operation, job_id),
            acknowledged,
            published: 0,
            connection: client.0.mqtt.connection(),
            client,
            was_unreadable: false,
        }
    }

    /// Tries until there is a reply.
    async fn run<T: DeserializeOwned>(
        mut self,
        most_tries: Option<u32>,
    ) -> Result<T, RequestError> {
        let operation = self.operation;
        let mut backoff = self.client.0.options.backoff.clone();
        let mut told = None;
        loop {
            let (problem, denied) = match self.one_try().await {
                Ok(reply) => return Ok(reply),
                Err(Vain::Final(error)) => return Err(error),
                Err(Vain::Passing { problem, denied }) => (problem, denied),
            };
            let wait = backoff.wait(denied);
            let tries = backoff.failures();
            if most_tries.is_some_and(|most| most <= tries) {
                return Err(RequestError::Unanswered {
                    operation,
                    tries,
                    problem,
                });
            }
            warn!(?wait, "asking {operation} again: {problem}");
            if told.as_ref() != Some(&problem) {
                self.client.0.inbox.tell(match denied {
                    true => Event::Denied(problem.clone()),
                    false => Event::Trouble(format!("{operation} is asked again: {problem}.")),
                });
                told = Some(problem);
            }
            if let Ok(late) = timeout(wait, self.late_reply()).await {
                return Ok(late);
            }
        }
    }

    /// Publishes the request, once in each session, and waits for the reply.
    async fn one_try<T: DeserializeOwned>(&mut self) -> Result<T, Vain> {
        let client = self.client.clone();
        let (mqtt, inbox, limit) = (
            &client.0.mqtt,
            &client.0.inbox,
            client.0.options.reply_limit,
        );
        loop {
            self.published += 1;
            let published = tokio::select! {
                biased;
                // The reply can be here before the PUBACK.
                Some(reply) = self.replies.recv() => return self.read(&reply),
                published = mqtt.publish(Publish::new(&self.topic, self.payload.clone())) => published,
            };
            match published {
                Ok(()) => inbox.has_published(self.operation),
                Err(PublishError::SessionLost) => continue,
                Err(error) => return Err(self.not_published(error)),
            }
            if let Some(acknowledged) = self.acknowledged.take() {
                let _ = acknowledged.send(());
            }
            tokio::select! {
                biased;
                Some(reply) = self.replies.recv() => return self.read(&reply),
                () = overdue(mqtt, limit) => {
                    let limit = limit.as_secs_f32();
                    return Err(Vain::passing(format!("no reply came within {limit} seconds")));
                }
                denied = inbox.never_granted() => return Err(Vain::Final(denied.into())),
                lost = mqtt.session_after(mqtt.session()) => {
                    lost.map_err(|_| Vain::Final(PublishError::Ended.into()))?;
                }
            }
        }
    }

    /// A reply to a try that was given up: late, but good if it says yes.
    async fn late_reply<T: DeserializeOwned>(&mut self) -> T {
        while let Some(reply) = self.replies.recv().await {
            match serde_json::from_slice(&reply.payload) {
                Ok(late) if reply.accepted => return late,
                _ => debug!("ignored a late answer to {}", self.operation),
            }
        }
        std::future::pending().await // not while the inbox holds the sender
    }

    /// Reads a reply that came with the right topic and token.
    fn read<T: DeserializeOwned>(&mut self, reply: &Reply) -> Result<T, Vain> {
        let operation = self.operation;
        self.client.0.inbox.has_published(operation);
        let payload = &reply.payload;
        let answer = match reply.accepted {
            true => serde_json::from_slice(payload).map(Ok),
            false => serde_json::from_slice::<Rejection>(payload).map(Err),
        };
        match answer {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(rejection)) if rejection.code.is_passing() => {
                let problem = format!("the service answered with {rejection}");
                Err(Vain::passing(problem))
            }
            Ok(Err(rejection)) => Err(Vain::Final(RequestError::Rejected {
                operation,
                rejection,
                repeated: self.published > 1 || self.connection != self.client.0.mqtt.connection(),
            })),
            Err(error) => {
                let problem = printable(&error.to_string()).into_owned();
                // Once, it may be damaged; twice, it is as the service has it.
                if !replace(&mut self.was_unreadable, true) {
                    let problem = format!("the reply could not be read ({problem})");
                    return Err(Vain::passing(problem));
                }
                Err(Vain::Final(RequestError::Unreadable {
                    operation,
                    job_id: job_id_in(payload),
                    problem,
                }))
            }
        }
    }

    /// What it means that the server did not take the request.
    fn not_published(&self, error: PublishError) -> Vain {
        let (mqtt, inbox) = (&self.client.0.mqtt, &self.client.0.inbox);
        match error {
            PublishError::Refused { .. } => Vain::passing(error.to_string()),
            // This is no first connect any more: somebody is changing the policy.
            PublishError::NotAuthorized { .. }
                if inbox.was_published(self.operation) || mqtt.connection() > 1 =>
            {
                Vain::Passing {
                    problem: error.to_string(),
                    denied: true,
                }
            }
            error => Vain::Final(error.into()),
        }
    }
}

impl Vain {
    fn passing(problem: String) -> Self {
        Self::Passing {
            problem,
            denied: false,
        }
    }
}

/// A reply is overdue after this many times its limit, whatever else comes meanwhile.
const CEILING: u32 = 6;

/// Returns when a reply is overdue: nothing at all has come from the server for this long. On a slow
/// link, it stands behind others.
async fn overdue(mqtt: &mqtt::Client, limit: Duration) {
    let since = Instant::now();
    loop {
        let waited = since.elapsed();
        let silent = waited.min(mqtt.silent_for());
        if silent >= limit || waited >= limit * CEILING {
            return;
        }
        sleep(limit - silent).await;
    }
}

/// The job that a reply is about, of which nothing else can be read.
fn job_id_in(payload: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Reply {
        execution: Execution,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Execution {
        job_id: String,
    }
    let reply: Reply = serde_json::from_slice(payload).ok()?;
    Some(reply.execution.job_id)
}
