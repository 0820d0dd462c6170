//! The client of the Jobs service: AWS's `IotJobsClient`, on an MQTT5 client.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::error::RequestError;
use super::event::Event;
use super::exchange::Requester;
use super::inbox::Inbox;
use super::job_id::JobId;
use super::model::{JobExecution, PendingJobExecutions, UpdatedExecution};
use super::options::Options;
use super::queue::Queue;
use super::requests::{Describe, GetPending, Request, StartNext, Update};
use super::topics::Topics;
use super::worked::Worked;
use crate::mqtt::{self, Events};

/// A client of the Jobs service for one thing, on a connection that others use as well. Cheap to
/// clone. A gateway has one for each of its things: up to ten on a connection, which has 50
/// subscriptions, and each client five.
///
/// It asks and listens; what a device does with its jobs is the affair of [`agent`](crate::agent).
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    requests: Requester,
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
    /// Subscribes to its topic filters; if there is no connection yet, they leave with its first
    /// SUBSCRIBE.
    pub fn new(mqtt: &mqtt::Client, thing_name: &str) -> Self {
        Self::with_options(mqtt, thing_name, Options::default())
    }

    /// The same, with other options.
    pub fn with_options(mqtt: &mqtt::Client, thing_name: &str, options: Options) -> Self {
        let topics = Topics::new(thing_name);
        let subscription = mqtt.subscribe(topics.filters());
        let worked = Worked::new(mqtt.clone(), subscription.granted());
        let inbox = Arc::new(Inbox::new(worked));
        let filling = tokio::spawn({
            let (inbox, mqtt, topics) = (Arc::clone(&inbox), mqtt.clone(), topics.clone());
            async move { inbox.fill(subscription, mqtt, topics).await }
        });
        let requests = Requester {
            mqtt: mqtt.clone(),
            topics,
            options,
            inbox,
        };
        Self(Arc::new(Inner {
            requests,
            filling: filling.abort_handle(),
        }))
    }

    /// `GetPendingJobExecutions`: what is pending for the thing. The service lists at most ten.
    ///
    /// # Errors
    /// See [`Client::send`].
    pub async fn get_pending(&self) -> Result<PendingJobExecutions, RequestError> {
        self.send(GetPending {}).await
    }

    /// `StartNextPendingJobExecution`: starts the first execution in line, or gives one that is
    /// IN_PROGRESS already. `None` if nothing is pending.
    ///
    /// # Errors
    /// See [`Client::send`].
    pub async fn start_next(
        &self,
        request: StartNext,
    ) -> Result<Option<JobExecution>, RequestError> {
        Ok(self.send(request).await?.execution)
    }

    /// `DescribeJobExecution`: all about the latest execution of a job, its document included.
    ///
    /// # Errors
    /// See [`Client::send`].
    pub async fn describe(&self, job_id: &JobId) -> Result<Option<JobExecution>, RequestError> {
        Ok(self.send(Describe::job(job_id)).await?.execution)
    }

    /// `UpdateJobExecution`: sets the status of an execution, and its status details.
    ///
    /// # Errors
    /// See [`Client::send`].
    pub async fn update(&self, request: Update) -> Result<UpdatedExecution, RequestError> {
        self.send(request).await
    }

    /// Publishes a request, and returns the reply to it. Waits for a connection for as long as that
    /// takes. Where no reply comes in time, or the service is busy, the request is sent again, and an
    /// [`Event::Retrying`] says so.
    ///
    /// # Errors
    /// [`RequestError::Rejected`] if the service says no for good, [`RequestError::Unanswered`] after
    /// [`Options::max_tries`], [`RequestError::Unreadable`] if the answer is twice none that can be
    /// read, the others if the request or its reply can't pass at all.
    pub async fn send<R: Request>(&self, request: R) -> Result<R::Reply, RequestError> {
        let max_tries = Some(self.options().max_tries);
        self.send_with(request, max_tries, || ()).await
    }

    /// The same, with another number of tries (`None`: no limit), and a function that is called once
    /// the server has acknowledged the request.
    ///
    /// # Errors
    /// See [`Client::send`].
    pub async fn send_with<R: Request>(
        &self,
        request: R,
        max_tries: Option<u32>,
        published: impl FnOnce() + Send,
    ) -> Result<R::Reply, RequestError> {
        self.0.requests.send(&request, max_tries, published).await
    }

    /// What happens without having been asked for, from now on.
    pub fn events(&self) -> Events<Event> {
        Events::of(&self.0.requests.inbox.events)
    }

    /// Calls a function with each event, before anything else comes of it, until it returns `false`.
    /// It must not wait.
    pub fn listen(&self, listener: impl Fn(&Event) -> bool + Send + 'static) {
        self.0.requests.inbox.listen(Box::new(listener));
    }

    /// What the service has said last about the queue, and what it says from now on.
    pub fn queue(&self) -> watch::Receiver<Queue> {
        self.0.requests.inbox.queue.subscribe()
    }

    /// Returns if the policy denies us replies and events, and always did: no waiting helps. Safe to
    /// cancel.
    pub async fn denied(&self) -> mqtt::SubscribeError {
        self.0.requests.inbox.worked.never_granted().await
    }

    /// The connection that this client stands on.
    pub fn mqtt(&self) -> &mqtt::Client {
        &self.0.requests.mqtt
    }

    /// How patient it is.
    pub fn options(&self) -> &Options {
        &self.0.requests.options
    }
}
