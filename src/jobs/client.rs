//! Asks the Jobs service, and finds the reply that belongs to the request.
//!
//! A reply is ours if its topic is, if it carries the `clientToken` of the request, and if the
//! execution in it is the one asked for. A request that gets none in time is asked again with the
//! same token: every operation is safe to repeat, and a late reply to the first is as good.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tokio::time::sleep;
use tracing::{debug, warn};
use uuid::Uuid;

use super::error::RequestError;
use super::model::{
    DescribedExecution, ErrorCode, JobStatus, NextExecution, PendingJobExecutions, Rejection,
    UpdatedExecution,
};
use super::replies::{Replied, Replies, Reply};
use super::requests::{Describe, GetPending, Request, StartNext, Update};
use super::topics::Topics;
use crate::mqtt::{self, Backoff, PublishError};
use crate::text::printable;

/// How long to wait for a reply, and how often to ask.
#[derive(Debug, Clone)]
pub struct Patience {
    /// How long a reply may take, from the PUBACK of its request on.
    pub reply_limit: Duration,
    /// How often a request is sent before it counts as failed. Sending it again because a session
    /// was lost does not count.
    pub tries: u32,
    /// The waits before it is sent again.
    pub backoff: Backoff,
}

impl Default for Patience {
    /// 10 seconds for a reply, 5 tries, waits of up to 1, 2, 4 and 8 seconds between them.
    fn default() -> Self {
        Self {
            reply_limit: Duration::from_secs(10),
            tries: 5,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)),
        }
    }
}

/// A client of the Jobs service for one thing. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    mqtt: mqtt::Client,
    topics: Topics,
    thing_name: Arc<str>,
    replies: Arc<Replies>,
    patience: Patience,
}

/// What a reply turned out to be.
enum Read<T> {
    Accepted(T),
    Rejected(Rejection),
    NotOurs(&'static str),
    Unreadable(serde_json::Error),
}

/// What came of one try.
enum Tried<T> {
    Answered(T),
    /// The session is gone, and with it the request or the reply.
    SessionLost,
    /// Something that may pass, as half a sentence.
    InVain(String),
}

/// Called once, when the request is on its way.
type Published<F> = Mutex<Option<F>>;

/// A request that is being asked.
struct Exchange<F> {
    topic: String,
    payload: Bytes,
    replies: Replied,
    published: Published<F>,
}

/// Tells that the request is on its way, the first time that this is called.
fn tell(published: &Published<impl FnOnce()>) {
    let first = published
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    if let Some(published) = first {
        published();
    }
}

impl Client {
    pub(super) fn new(
        mqtt: mqtt::Client,
        topics: Topics,
        thing_name: &str,
        patience: Patience,
    ) -> Self {
        Self {
            mqtt,
            topics,
            thing_name: thing_name.into(),
            replies: Arc::default(),
            patience,
        }
    }

    pub(super) fn replies(&self) -> Arc<Replies> {
        Arc::clone(&self.replies)
    }

    /// What is pending for the thing: started, or waiting to be.
    ///
    /// # Errors
    /// See [`Client::ask`].
    pub async fn get_pending(&self) -> Result<PendingJobExecutions, RequestError> {
        self.ask(&GetPending {}, || {}).await
    }

    /// All about the latest execution of a job, its document included.
    ///
    /// # Errors
    /// See [`Client::ask`].
    pub async fn describe(&self, job_id: &str) -> Result<DescribedExecution, RequestError> {
        let job_id = job_id.to_owned();
        self.ask(
            &Describe {
                job_id,
                execution_number: None,
                include_job_document: true,
            },
            || {},
        )
        .await
    }

    /// Starts the first execution in line. `published` is called when the request is on its way.
    ///
    /// # Errors
    /// See [`Client::ask`].
    pub async fn start_next(
        &self,
        request: &StartNext,
        published: impl FnOnce() + Send,
    ) -> Result<NextExecution, RequestError> {
        self.ask(request, published).await
    }

    /// Reports on an execution. `published` is called when the request is on its way.
    ///
    /// An update that is refused because the execution *is* in the state asked for counts as
    /// accepted: it is our own, repeated because its reply was lost.
    ///
    /// # Errors
    /// See [`Client::ask`].
    pub async fn update(
        &self,
        request: &Update,
        published: impl FnOnce() + Send,
    ) -> Result<UpdatedExecution, RequestError> {
        match self.ask(request, published).await {
            Err(RequestError::Rejected { rejection, .. })
                if stands_at(&rejection, &request.status) =>
            {
                Ok(UpdatedExecution {
                    execution_state: rejection.execution_state,
                })
            }
            other => other,
        }
    }

    /// Sends a request, and returns the reply to it.
    ///
    /// Waits for a connection as long as that takes; from then on each try has a time limit.
    /// `published` is called once, when the server has acknowledged the request.
    ///
    /// # Errors
    /// [`RequestError::Rejected`] if the service says no for good, [`RequestError::Unanswered`] after
    /// several tries, [`RequestError::Publish`] if the request can't be published at all.
    pub async fn ask<R: Request>(
        &self,
        request: &R,
        published: impl FnOnce() + Send,
    ) -> Result<R::Reply, RequestError> {
        let operation = R::OPERATION;
        let token = Uuid::new_v4().to_string();
        let mut exchange = Exchange {
            topic: self
                .topics
                .request(operation, request.job_id().unwrap_or_default()),
            payload: with_token(request, &token),
            replies: self.replies.register(&token, operation, request.job_id()),
            published: Mutex::new(Some(published)),
        };
        let mut backoff = self.patience.backoff.clone();
        let mut wait = Duration::ZERO;
        loop {
            match self.try_once(request, &mut exchange, wait).await? {
                Tried::Answered(answer) => return Ok(answer),
                Tried::SessionLost => {
                    debug!("asking {operation} again: the session was lost");
                    wait = Duration::ZERO;
                }
                Tried::InVain(problem) => {
                    wait = backoff.next_wait();
                    let tries = backoff.failures();
                    if tries >= self.patience.tries {
                        return Err(RequestError::Unanswered {
                            operation,
                            tries,
                            problem,
                        });
                    }
                    warn!(?wait, "asking {operation} again: {problem}");
                }
            }
        }
    }

    /// Waits, sends the request once, and looks at what comes back. A reply that comes during the
    /// wait is one to the try before: late, but good if it says yes.
    async fn try_once<R: Request>(
        &self,
        request: &R,
        exchange: &mut Exchange<impl FnOnce() + Send>,
        wait: Duration,
    ) -> Result<Tried<R::Reply>, RequestError> {
        let operation = R::OPERATION;
        let Exchange {
            topic,
            payload,
            replies,
            published,
        } = exchange;
        let waiting = AtomicBool::new(!wait.is_zero());
        let mut sent = pin!(self.publish_and_wait(wait, &waiting, topic, payload, published));
        loop {
            let reply = tokio::select! {
                biased;
                reply = replies.next() => reply,
                tried = &mut sent => return tried,
            };
            match self.read(request, &reply) {
                Read::Accepted(answer) => {
                    tell(published); // the reply may overtake the PUBACK
                    return Ok(Tried::Answered(answer));
                }
                Read::Rejected(_) | Read::Unreadable(_) if waiting.load(Ordering::Relaxed) => {
                    debug!("ignored the last answer to {operation}, delivered twice");
                }
                Read::Rejected(rejection) if rejection.code.is_passing() => {
                    let code = rejection.code.to_string();
                    return Ok(Tried::InVain(format!(
                        "the service answered with code:'{}' message:'{}'",
                        printable(&code),
                        printable(&rejection.message)
                    )));
                }
                Read::Rejected(rejection) => {
                    tell(published);
                    return Err(RequestError::Rejected {
                        operation,
                        rejection,
                    });
                }
                Read::NotOurs(why) => debug!("ignored a reply to {operation}: {why}"),
                Read::Unreadable(error) => {
                    let error = error.to_string();
                    return Ok(Tried::InVain(format!(
                        "the reply could not be read ({})",
                        printable(&error)
                    )));
                }
            }
        }
    }

    /// Waits, publishes the request, and returns when there is a reason to do so again.
    async fn publish_and_wait<T>(
        &self,
        wait: Duration,
        waiting: &AtomicBool,
        topic: &str,
        payload: &Bytes,
        published: &Published<impl FnOnce() + Send>,
    ) -> Result<Tried<T>, RequestError> {
        if !wait.is_zero() {
            sleep(wait).await;
            waiting.store(false, Ordering::Relaxed);
        }
        match self.mqtt.publish(topic, payload.clone()).await {
            Ok(()) => tell(published),
            Err(PublishError::SessionLost) => return Ok(Tried::SessionLost),
            Err(refused @ PublishError::Refused { .. }) => {
                return Ok(Tried::InVain(refused.to_string()));
            }
            Err(error) => return Err(error.into()),
        }
        let limit = self.patience.reply_limit;
        let session = self.mqtt.session();
        tokio::select! {
            () = sleep(limit) => {
                let limit = limit.as_secs_f32();
                Ok(Tried::InVain(format!("no reply came within {limit} seconds")))
            }
            new = self.mqtt.session_after(session) => match new {
                Ok(()) => Ok(Tried::SessionLost),
                Err(mqtt::Ended) => Err(PublishError::Ended.into()),
            }
        }
    }

    /// Reads a reply that came with the right topic and token.
    fn read<R: Request>(&self, request: &R, reply: &Reply) -> Read<R::Reply> {
        if !reply.accepted {
            return match serde_json::from_slice(&reply.payload) {
                Ok(rejection) => Read::Rejected(rejection),
                Err(error) => Read::Unreadable(error),
            };
        }
        let answer: R::Reply = match serde_json::from_slice(&reply.payload) {
            Ok(answer) => answer,
            Err(error) => return Read::Unreadable(error),
        };
        if let Some(execution) = R::execution(&answer) {
            if execution
                .thing_name
                .as_deref()
                .is_some_and(|name| *name != *self.thing_name)
            {
                return Read::NotOurs("it is about another thing");
            }
            let asked = request.job_id().filter(|id| *id != "$next");
            if asked.is_some_and(|id| id != execution.job_id) {
                return Read::NotOurs("it is about another job");
            }
        }
        Read::Accepted(answer)
    }

    /// Says DISCONNECT. [`Event::Ended`](super::Event::Ended) follows within a second.
    pub fn disconnect(&self) {
        self.mqtt.disconnect();
    }

    /// The number of the session under way: one more with each that the server begins anew.
    pub fn session(&self) -> u64 {
        self.mqtt.session()
    }

    /// Returns once the session with this number is over and a new one has begun.
    ///
    /// # Errors
    /// If the connection has ended for good.
    pub async fn session_after(&self, session: u64) -> Result<(), mqtt::Ended> {
        self.mqtt.session_after(session).await
    }
}

/// The request as JSON, with its `clientToken`.
fn with_token<R: Serialize>(request: &R, token: &str) -> Bytes {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct WithToken<'a, R> {
        client_token: &'a str,
        #[serde(flatten)]
        request: &'a R,
    }
    // Only maps with keys other than strings can't be written as JSON, and no request has one.
    serde_json::to_vec(&WithToken {
        client_token: token,
        request,
    })
    .unwrap_or_default()
    .into()
}

/// Whether the rejection says that the execution is in this state already.
fn stands_at(rejection: &Rejection, status: &JobStatus) -> bool {
    use ErrorCode as E;
    let ended = matches!(
        status,
        JobStatus::Succeeded | JobStatus::Failed | JobStatus::Rejected
    );
    ended
        && matches!(
            rejection.code,
            E::InvalidStateTransition | E::VersionMismatch | E::TerminalStateReached
        )
        && rejection
            .execution_state
            .as_ref()
            .is_some_and(|state| state.status == *status)
}
