//! The client of the Jobs service: asks for jobs, and tells what comes unasked.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::Event;
use super::error::RequestError;
use super::exchange::{self, Asked};
use super::inbox::Inbox;
use super::job::Job;
use super::model::{ExecutionReply, JobExecution, PendingJobExecutions};
use super::options::Options;
use super::requests::{Describe, GetPending, Request, StartNext};
use super::topics::Topics;
use crate::mqtt::{self, Events, PublishError};

/// A client of the Jobs service for one thing, on a connection that others use as well. Cheap to
/// clone. A gateway has one for each of its things.
#[derive(Clone)]
pub struct Client(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub mqtt: mqtt::Client,
    pub topics: Topics,
    pub options: Options,
    pub inbox: Arc<Inbox>,
    pub stop: watch::Sender<bool>,
    filling: AbortHandle,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.filling.abort();
    }
}

impl Client {
    /// A client for the jobs of the thing with this name. Must be called within a tokio runtime.
    ///
    /// Brings its topic filters along; if there is no connection yet, they leave with its first
    /// SUBSCRIBE.
    pub fn new(mqtt: &mqtt::Client, thing_name: &str) -> Self {
        Self::with(mqtt, thing_name, Options::default())
    }

    /// The same, with other options.
    pub fn with(mqtt: &mqtt::Client, thing_name: &str, options: Options) -> Self {
        let topics = Topics::of_thing(thing_name);
        let subscription = mqtt.subscribe(topics.filters());
        let inbox = Arc::new(Inbox::new(subscription.granted()));
        let filling = tokio::spawn({
            let (inbox, mqtt, topics) = (Arc::clone(&inbox), mqtt.clone(), topics.clone());
            async move { inbox.fill(subscription, mqtt, topics).await }
        });
        Self(Arc::new(Inner {
            mqtt: mqtt.clone(),
            topics,
            options,
            inbox,
            stop: watch::Sender::new(false),
            filling: filling.abort_handle(),
        }))
    }

    /// Starts the first job execution in line, or takes up one that an earlier run left IN_PROGRESS.
    /// `None` if nothing is pending.
    ///
    /// An execution that can't be read at all is REJECTED, and the next one started. A service that
    /// does not answer is waited for.
    ///
    /// # Errors
    /// See [`Asked::reply`].
    pub async fn start_next(&self) -> Result<Option<Job>, RequestError> {
        let mut backoff = self.0.options.backoff.clone();
        loop {
            let reply = match self.publish_start_next().await {
                Ok(asked) => asked.reply().await,
                Err(error) => Err(error), // the reply can be here before the PUBACK
            };
            let error = match reply {
                Ok(next) => return Ok(self.job(next)),
                Err(error) => error,
            };
            match self.reject_unreadable(error).await {
                Ok(()) => {}
                Err(
                    error @ (RequestError::Unanswered { .. } | RequestError::Unreadable { .. }),
                ) => {
                    self.tell_asked_again(&error);
                    sleep(backoff.long_wait()).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The first half of [`Self::start_next`]: returns when the request is on its way. Its reply is for
    /// [`Self::job`].
    ///
    /// # Errors
    /// See [`Asked::reply`].
    pub async fn publish_start_next(&self) -> Result<Asked<ExecutionReply>, RequestError> {
        // What was hinted at so far is in line before this request.
        let _ = futures_util::FutureExt::now_or_never(self.0.inbox.hint.notified());
        let request = StartNext {
            step_timeout_in_minutes: self.0.options.step_timeout_in_minutes,
            ..StartNext::default()
        };
        self.publish(request).await
    }

    /// Takes the job that was started in hand.
    pub fn job(&self, next: ExecutionReply) -> Option<Job> {
        next.execution.map(|execution| Job::new(self, execution))
    }

    /// Returns when another execution may be the first in line: the service has said so, a lost
    /// session may have swallowed that it did, or nothing was heard for [`Options::idle_limit`].
    /// Safe to cancel.
    ///
    /// # Errors
    /// If the connection has ended for good, or the policy denies us the events and always did.
    pub async fn changed(&self) -> Result<(), RequestError> {
        let limit = self.0.options.idle_limit;
        tokio::select! {
            _ = timeout(limit, self.0.inbox.hint.notified()) => Ok(()),
            denied = self.0.inbox.never_granted() => Err(denied.into()),
            _ = self.0.mqtt.ended() => Err(PublishError::Ended.into()),
        }
    }

    /// What is pending for the thing: started, or waiting to be. The service lists at most ten.
    ///
    /// # Errors
    /// See [`Asked::reply`].
    pub async fn get_pending(&self) -> Result<PendingJobExecutions, RequestError> {
        self.ask(GetPending {}).await
    }

    /// All about the latest execution of a job, its document included.
    ///
    /// # Errors
    /// See [`Asked::reply`].
    pub async fn describe(&self, job_id: &str) -> Result<Option<JobExecution>, RequestError> {
        Ok(self.ask(Describe::job(job_id)).await?.execution)
    }

    /// Publishes any request; its reply follows.
    ///
    /// # Errors
    /// See [`Asked::reply`].
    pub async fn publish<R: Request + 'static>(
        &self,
        request: R,
    ) -> Result<Asked<R::Reply>, RequestError> {
        let (client, tries) = (self.clone(), Some(self.0.options.tries));
        Asked::published(|acknowledged| exchange::ask(client, request, tries, acknowledged)).await
    }

    /// Publishes any request, and returns the reply to it.
    ///
    /// # Errors
    /// See [`Asked::reply`].
    pub async fn ask<R: Request>(&self, request: R) -> Result<R::Reply, RequestError> {
        exchange::ask(self.clone(), request, Some(self.0.options.tries), None).await
    }

    /// What comes unasked, from now on.
    pub fn events(&self) -> Events<Event> {
        Events::of(&self.0.inbox.events)
    }

    /// Tells that something went wrong, in a sentence.
    pub(super) fn tell_trouble(&self, words: String) {
        self.0.inbox.tell(Event::Trouble(words));
    }

    pub(super) fn tell_asked_again(&self, error: &RequestError) {
        self.tell_trouble(format!("{error}. It is asked again."));
    }

    /// Tells the job in hand that the program is about to end: see [`Job::is_stopping`].
    pub fn stop(&self) {
        self.0.stop.send_replace(true);
    }

    /// Whether [`Self::stop`] was called.
    pub fn is_stopping(&self) -> bool {
        *self.0.stop.borrow()
    }
}
