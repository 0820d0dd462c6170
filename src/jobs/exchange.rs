//! One request and the reply that belongs to it.
//!
//! A reply is ours if its topic is, if it carries the `clientToken` of the request, and if the
//! execution in it is the one asked for. A request that gets none in time is asked again with the
//! same token: every operation is safe to repeat, and a late reply to the first is as good.

use std::pin::pin;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, warn};

use super::Event;
use super::client::Client;
use super::error::RequestError;
use super::inbox::{Replies, Reply};
use super::model::Rejection;
use super::requests::Request;
use crate::mqtt::{Backoff, PublishError};
use crate::text::printable;

/// A request that was published: the server has acknowledged it, or its reply is here already.
pub struct Asked<R: Request> {
    client: Client,
    request: R,
    topic: String,
    payload: Bytes,
    replies: Replies,
    phase: Phase,
    backoff: Backoff,
    /// Give up after this many tries. `None`: never.
    most_tries: Option<u32>,
    /// How often it was published, or tried to.
    published: u32,
    /// The connection under way when it was first published. On another one, what was not acknowledged
    /// is sent again.
    connection: u64,
    /// Whether the last reply could not be read.
    was_unreadable: bool,
    /// What went wrong last; each trouble is told once.
    problem: Option<String>,
    answer: Option<R::Reply>,
}

/// What is done until a reply comes.
#[derive(Clone, Copy)]
enum Phase {
    /// Waiting before it is published once more.
    Pausing(Instant),
    /// Until the server acknowledges it.
    Publishing,
    /// Until this moment, and as long as this session lasts.
    Listening(Instant, u64),
}

/// How a phase ends if no reply comes.
enum End {
    Paused,
    Published(Result<(), PublishError>),
    Overdue,
    SessionLost,
    Failed(RequestError),
}

/// What a reply turned out to be.
enum Read<T> {
    Accepted(T),
    Rejected(Rejection),
    NotOurs(&'static str),
    /// It, or the execution in it, has not the form that it should have; and the job it is about, if
    /// at least that could be read.
    Unreadable(String, Option<String>),
}

impl<R: Request> Asked<R> {
    /// Publishes the request. Waits for a connection for as long as that takes.
    pub(super) async fn publish(
        client: &Client,
        request: R,
        most_tries: Option<u32>,
    ) -> Result<Self, RequestError> {
        let token = token();
        let job_id = request.job_id();
        let mut asked = Self {
            client: client.clone(),
            topic: client
                .0
                .topics
                .request(R::OPERATION, job_id.unwrap_or_default()),
            payload: with_token(&request, &token),
            replies: client.0.inbox.await_replies(&token, R::OPERATION, job_id),
            phase: Phase::Publishing,
            backoff: client.0.options.backoff.clone(),
            most_tries,
            published: 0,
            connection: client.0.mqtt.connection(),
            was_unreadable: false,
            problem: None,
            answer: None,
            request,
        };
        while asked.answer.is_none() && !matches!(asked.phase, Phase::Listening(..)) {
            asked.advance().await?;
        }
        Ok(asked)
    }

    /// Waits for the reply, and asks again where none comes in time.
    ///
    /// # Errors
    /// [`RequestError::Rejected`] if the service says no for good, [`RequestError::Unanswered`] after
    /// several tries, [`RequestError::Publish`] if the request can't be published once more.
    pub async fn reply(mut self) -> Result<R::Reply, RequestError> {
        loop {
            match self.answer.take() {
                Some(answer) => return Ok(answer),
                None => self.advance().await?,
            }
        }
    }

    /// Goes through the phase under way, to its end or to the reply.
    async fn advance(&mut self) -> Result<(), RequestError> {
        let phase = self.phase;
        if let Phase::Publishing = phase {
            self.published += 1;
        }
        match self.reply_or_end(phase).await {
            Ok(Read::Accepted(answer)) => {
                self.client.0.inbox.history.has_published(R::OPERATION);
                self.answer = Some(answer);
                Ok(())
            }
            Ok(Read::Rejected(rejection)) if rejection.code.is_passing() => {
                self.in_vain(said(&rejection), false)
            }
            Ok(Read::Rejected(rejection)) => Err(RequestError::Rejected {
                operation: R::OPERATION,
                rejection,
                repeated: self.published > 1 || self.connection != self.client.0.mqtt.connection(),
            }),
            // Once, it may be damaged; twice, it is as the service has it.
            Ok(Read::Unreadable(problem, job_id)) if self.was_unreadable => {
                Err(RequestError::Unreadable {
                    operation: R::OPERATION,
                    job_id,
                    problem,
                })
            }
            Ok(Read::Unreadable(problem, _)) => {
                self.was_unreadable = true;
                self.in_vain(format!("the reply could not be read ({problem})"), false)
            }
            Ok(Read::NotOurs(_)) => Ok(()),
            Err(end) => self.go_on(end),
        }
    }

    /// The first reply that tells something, or else how the phase ended.
    async fn reply_or_end(&mut self, phase: Phase) -> Result<Read<R::Reply>, End> {
        let mut end = pin!(end_of(phase, &self.client, &self.topic, &self.payload));
        loop {
            let reply = tokio::select! {
                biased;
                reply = self.replies.next() => reply,
                end = &mut end => return Err(end),
            };
            match read(&self.client, &self.request, &reply) {
                Read::NotOurs(why) => debug!("ignored a reply to {}: {why}", R::OPERATION),
                // A reply during a pause is one to the try before: late, but good if it says yes.
                Read::Rejected(_) | Read::Unreadable(..) if matches!(phase, Phase::Pausing(_)) => {
                    debug!(
                        "ignored the last answer to {}, delivered twice",
                        R::OPERATION
                    );
                }
                read => return Ok(read),
            }
        }
    }

    /// To the next phase.
    fn go_on(&mut self, end: End) -> Result<(), RequestError> {
        match end {
            End::Paused | End::SessionLost | End::Published(Err(PublishError::SessionLost)) => {
                self.phase = Phase::Publishing;
            }
            End::Published(Ok(())) => {
                self.client.0.inbox.history.has_published(R::OPERATION);
                let until = Instant::now() + self.client.0.options.reply_limit;
                self.phase = Phase::Listening(until, self.client.0.mqtt.session());
            }
            End::Published(Err(refused @ PublishError::Refused { .. })) => {
                return self.in_vain(refused.to_string(), false);
            }
            End::Published(Err(denied @ PublishError::NotAuthorized { .. }))
                if self.client.0.inbox.history.was_published(R::OPERATION)
                    || self.client.0.mqtt.connection() > 1 =>
            {
                // This is no first connect any more: somebody is changing the policy.
                return self.in_vain(denied.to_string(), true);
            }
            End::Published(Err(error)) => return Err(error.into()),
            End::Overdue => {
                let limit = self.client.0.options.reply_limit.as_secs_f32();
                return self.in_vain(format!("no reply came within {limit} seconds"), false);
            }
            End::Failed(error) => return Err(error),
        }
        Ok(())
    }

    /// The try led to nothing: another one follows, if there are any left.
    fn in_vain(&mut self, problem: String, long: bool) -> Result<(), RequestError> {
        let wait = match long {
            true => self.backoff.long_wait(),
            false => self.backoff.next_wait(),
        };
        let tries = self.backoff.failures();
        let operation = R::OPERATION;
        if self.most_tries.is_some_and(|most| most <= tries) {
            return Err(RequestError::Unanswered {
                operation,
                tries,
                problem,
            });
        }
        warn!(?wait, "asking {operation} again: {problem}");
        if self.problem.as_ref() != Some(&problem) {
            self.client.0.inbox.tell(match long {
                true => Event::Denied(problem.clone()),
                false => Event::Trouble(format!("{operation} is asked again: {problem}.")),
            });
            self.problem = Some(problem);
        }
        self.phase = Phase::Pausing(Instant::now() + wait);
        Ok(())
    }
}

/// Waits until there is a reason to go on without a reply.
async fn end_of(phase: Phase, client: &Client, topic: &str, payload: &Bytes) -> End {
    match phase {
        Phase::Pausing(until) => {
            sleep_until(until).await;
            End::Paused
        }
        Phase::Publishing => End::Published(client.0.mqtt.publish(topic, payload.clone()).await),
        Phase::Listening(until, session) => tokio::select! {
            () = sleep_until(until) => End::Overdue,
            denied = client.0.inbox.history.never_granted() => End::Failed(denied.into()),
            new = client.0.mqtt.session_after(session) => match new {
                Ok(()) => End::SessionLost,
                Err(_) => End::Failed(PublishError::Ended.into()),
            }
        },
    }
}

/// Reads a reply that came with the right topic and token.
fn read<R: Request>(client: &Client, request: &R, reply: &Reply) -> Read<R::Reply> {
    let unreadable = |error: serde_json::Error| {
        let problem = printable(&error.to_string()).into_owned();
        Read::Unreadable(problem, job_id_in(&reply.payload))
    };
    if !reply.accepted {
        return serde_json::from_slice(&reply.payload).map_or_else(unreadable, Read::Rejected);
    }
    let answer: R::Reply = match serde_json::from_slice(&reply.payload) {
        Ok(answer) => answer,
        Err(error) => return unreadable(error),
    };
    if let Some(execution) = R::execution(&answer) {
        let thing_name = execution.thing_name.as_deref();
        if thing_name.is_some_and(|name| name != client.0.thing_name) {
            return Read::NotOurs("it is about another thing");
        }
        let asked = request.job_id().filter(|id| *id != "$next");
        if asked.is_some_and(|id| id != execution.job_id) {
            return Read::NotOurs("it is about another job");
        }
    }
    Read::Accepted(answer)
}

/// The job that a reply is about, of which nothing else can be read.
fn job_id_in(payload: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Outer {
        execution: Box<RawValue>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Inner {
        job_id: String,
    }
    let outer: Outer = serde_json::from_slice(payload).ok()?;
    let inner: Inner = serde_json::from_str(outer.execution.get()).ok()?;
    Some(inner.job_id)
}

/// The service's words in a rejection that may pass, as half a sentence.
fn said(rejection: &Rejection) -> String {
    let code = rejection.code.to_string();
    format!(
        "the service answered with code:'{}' message:'{}'",
        printable(&code),
        printable(&rejection.message)
    )
}

/// A fresh `clientToken`: 64 random bits in 11 characters, for each of which the device pays twice.
fn token() -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits = fastrand::u64(..);
    let digit = |nth: u32| char::from(DIGITS[(bits >> (6 * nth)) as usize % DIGITS.len()]);
    (0..11).map(digit).collect()
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
