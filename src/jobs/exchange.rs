//! One request and the reply that belongs to it.
//!
//! MQTT has no replies. A message is the reply to a request if its topic is the right one, and if it
//! carries the `clientToken` of the request. A request that gets none in time is sent again with the
//! same token: every operation is safe to repeat, and a late reply to the first try is as good.

use std::iter::repeat_with;
use std::mem::replace;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use super::error::{RequestError, TryError};
use super::event::Event;
use super::inbox::{Inbox, Reply};
use super::job_id::JobId;
use super::model::Rejection;
use super::options::Options;
use super::requests::Request;
use super::topics::{Operation, Topics};
use crate::error_class::ErrorClass;
use crate::mqtt::{self, Publish, PublishError};
use crate::text::Text;

/// A request that meets so many lost sessions may be what costs them: from then on, each counts as a
/// try without a result.
const SESSIONS_LOST_IN_PASSING: u32 = 2;

/// A reply is overdue after this many times its timeout, whatever else comes meanwhile.
const CEILING: u32 = 6;

/// Sends requests, and waits for their replies.
pub(super) struct Requester {
    pub mqtt: mqtt::Client,
    pub topics: Topics,
    pub options: Options,
    pub inbox: Arc<Inbox>,
}

impl Requester {
    /// Publishes a request, and waits for its reply. Waits for a connection for as long as that takes;
    /// gives up after `max_tries`, or never. Calls `published` when the server has acknowledged it for
    /// the first time, or the reply is there before that.
    pub async fn send<R: Request>(
        &self,
        request: &R,
        max_tries: Option<u32>,
        published: impl FnOnce() + Send,
    ) -> Result<R::Reply, RequestError> {
        let (operation, job_id) = (R::OPERATION, request.job_id());
        // 65 random bits, in few characters: each is sent twice.
        let token: String = repeat_with(fastrand::alphanumeric).take(11).collect();
        // Only maps with keys other than strings can't be written as JSON, and no request has one.
        let mut payload = serde_json::to_value(request).unwrap_or_default();
        if let Some(fields) = payload.as_object_mut() {
            fields.insert("clientToken".to_owned(), token.as_str().into());
        }
        let exchange = Exchange {
            to: self,
            operation,
            topic: self.topics.request(operation, job_id.unwrap_or_default()),
            payload: payload.to_string().into(),
            replies: self.inbox.await_replies(token, operation, job_id),
            published: Some(published),
            publishes: 0,
            sessions_lost: 0,
            connection: self.mqtt.connection(),
            was_unreadable: false,
        };
        exchange.run(max_tries).await
    }
}

/// A request under way.
struct Exchange<'a, F> {
    to: &'a Requester,
    operation: Operation,
    topic: String,
    payload: Bytes,
    replies: mpsc::Receiver<Reply>,
    /// To be called once the server has the request.
    published: Option<F>,
    /// How often it was published.
    publishes: u32,
    sessions_lost: u32,
    /// The connection under way at first. On another one, what was not acknowledged is sent again.
    connection: u64,
    was_unreadable: bool,
}

/// A try without a result.
enum Failed {
    /// The next one may have one.
    Try(TryError),
    /// To try again is of no use.
    Request(RequestError),
}

impl<F: FnOnce() + Send> Exchange<'_, F> {
    /// Tries until there is a reply.
    async fn run<T: DeserializeOwned>(mut self, max_tries: Option<u32>) -> Result<T, RequestError> {
        let operation = self.operation;
        let mut backoff = self.to.options.backoff.clone();
        loop {
            let error = match self.one_try().await {
                Ok(reply) => return Ok(reply),
                Err(Failed::Request(error)) => return Err(error),
                Err(Failed::Try(error)) => error,
            };
            // Somebody has to change the policy, and does not do so within a second. (If only the
            // replies are missing, their time limit is wait enough.)
            let needs_long_waits =
                matches!(error, TryError::Publish(_)) && error.class() == ErrorClass::Misconfigured;
            let wait = backoff.wait(needs_long_waits);
            let tries = backoff.failures();
            if max_tries.is_some_and(|max| max <= tries) {
                return Err(RequestError::Unanswered {
                    operation,
                    tries,
                    last: error,
                });
            }
            warn!(?wait, "asking {operation} again: {error}");
            self.to.inbox.emit(Event::Retrying {
                operation,
                error,
                wait,
            });
            if let Ok(late) = timeout(wait, self.late_reply()).await {
                return Ok(late);
            }
        }
    }

    /// Publishes the request, once in each session, and waits for the reply.
    async fn one_try<T: DeserializeOwned>(&mut self) -> Result<T, Failed> {
        let Requester {
            mqtt,
            inbox,
            options,
            ..
        } = self.to;
        let operation = self.operation;
        let ended = move || {
            let error = PublishError::Ended;
            Failed::Request(RequestError::Publish { operation, error })
        };
        loop {
            self.publishes += 1;
            let published = tokio::select! {
                biased;
                // The reply can be here before the PUBACK.
                Some(reply) = self.replies.recv() => return self.read(&reply),
                published = mqtt.publish(Publish::new(&self.topic, self.payload.clone())) => published,
            };
            match published {
                Ok(()) => self.is_published(),
                Err(PublishError::SessionLost) if self.sessions_lost < SESSIONS_LOST_IN_PASSING => {
                    self.sessions_lost += 1;
                    continue;
                }
                Err(error) => return Err(self.not_published(error)),
            }
            tokio::select! {
                biased;
                Some(reply) = self.replies.recv() => return self.read(&reply),
                () = overdue(mqtt, options.reply_timeout) => {
                    return Err(Failed::Try(TryError::NoReply {
                        within: options.reply_timeout,
                        has_ever_replied: inbox.worked.has_replied(),
                    }));
                }
                error = inbox.worked.never_granted() => {
                    return Err(Failed::Request(RequestError::Subscribe { operation, error }));
                }
                // With the session, the reply may be lost.
                begun = mqtt.session_after(mqtt.session()) => begun.map_err(|_| ended())?,
            }
        }
    }

    /// The server has taken the request.
    fn is_published(&mut self) {
        self.to.inbox.worked.published(self.operation);
        if let Some(published) = self.published.take() {
            published();
        }
    }

    /// A reply to a try that was given up: late, but good if it says yes.
    async fn late_reply<T: DeserializeOwned>(&mut self) -> T {
        while let Some(reply) = self.replies.recv().await {
            match serde_json::from_slice(&reply.payload) {
                Ok(late) if reply.accepted => {
                    self.is_published();
                    return late;
                }
                _ => debug!("ignored a late answer to {}", self.operation),
            }
        }
        std::future::pending().await // not while the inbox holds the sender
    }

    /// Reads a reply that came with the right topic and token.
    fn read<T: DeserializeOwned>(&mut self, reply: &Reply) -> Result<T, Failed> {
        self.is_published();
        let operation = self.operation;
        let payload = &reply.payload;
        let answer = if reply.accepted {
            serde_json::from_slice(payload).map(Ok)
        } else {
            serde_json::from_slice::<Rejection>(payload).map(Err)
        };
        match answer {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(rejection)) if rejection.code.is_transient() => {
                Err(Failed::Try(TryError::Rejected(rejection)))
            }
            Ok(Err(rejection)) => Err(Failed::Request(RequestError::Rejected {
                operation,
                rejection,
                repeated: self.publishes > 1 || self.connection != self.to.mqtt.connection(),
            })),
            Err(error) => {
                let problem = Text::from(error.to_string());
                // Once, it may be damaged; twice, it is as the service has it.
                if !replace(&mut self.was_unreadable, true) {
                    return Err(Failed::Try(TryError::Unreadable(problem)));
                }
                Err(Failed::Request(RequestError::Unreadable {
                    operation,
                    job_id: job_id_in(payload),
                    problem,
                }))
            }
        }
    }

    /// What it means that the server did not take the request.
    fn not_published(&self, error: PublishError) -> Failed {
        let operation = self.operation;
        let may_pass = match error {
            PublishError::Refused { .. } | PublishError::SessionLost => true,
            // It is no longer the first connect: someone is changing the policy.
            PublishError::NotAuthorized { .. } => {
                !self.to.inbox.worked.was_never_allowed(operation)
            }
            _ => false,
        };
        if may_pass {
            Failed::Try(TryError::Publish(error))
        } else {
            Failed::Request(RequestError::Publish { operation, error })
        }
    }
}

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
