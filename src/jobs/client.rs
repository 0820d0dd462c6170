//! The client of the Jobs service: AWS's `IotJobsClient`, on an MQTT5 client.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};

use super::error::{RequestError, RequestErrorKind};
use super::inbox::{Event, Inbox, Queue};
use super::job_id::JobId;
use super::model::{JobExecution, PendingJobExecutions, UpdatedExecution};
use super::requests::{Describe, GetPending, StartNext, Update};
use super::topics::{Operation, Topics};
use crate::mqtt::{self, Backoff, Handled, setters};

/// How patient a client is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// How long a reply may take, from the PUBACK of its request on. 10 seconds.
    pub reply_timeout: Duration,
    /// After so many tries without a result, a request has failed: 5.
    pub max_tries: u32,
    /// The waits between tries: up to 1, 2, 4, 8… seconds, never more than 60.
    pub backoff: Backoff,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            reply_timeout: Duration::from_secs(10),
            max_tries: 5,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)),
        }
    }
}

setters! { Options: reply_timeout: Duration, max_tries: u32, backoff: Backoff }

/// A client of the Jobs service for one thing, on a connection that others use as well. Cheap to
/// clone. A gateway has one for each of its things: up to ten on a connection, which has 50
/// subscriptions, and each client five.
///
/// It asks and listens; what a device does with its jobs is the affair of [`agent`](crate::agent).
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    mqtt: mqtt::Client,
    options: Options,
    inbox: Arc<Inbox>,
    _handled: Handled,
    working: Arc<Mutex<()>>,
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
        let filters = topics.filters();
        let inbox = Inbox::new(topics);
        let handled = mqtt.handle(filters, {
            let inbox = Arc::clone(&inbox);
            move |delivery| {
                inbox.on_delivery(delivery);
                true
            }
        });
        Self(Arc::new(Inner {
            mqtt: mqtt.clone(),
            options,
            inbox,
            _handled: handled,
            working: Arc::default(),
        }))
    }

    /// `GetPendingJobExecutions`: what is pending for the thing. The service lists at most ten.
    ///
    /// # Errors
    /// See [`Client::send`], as for what becomes of it when it is dropped.
    pub async fn get_pending(&self) -> Result<PendingJobExecutions, RequestError> {
        self.send(GetPending {}).await
    }

    /// `StartNextPendingJobExecution`: starts the first execution in line, or gives one that is
    /// IN_PROGRESS already. `None` if nothing is pending.
    ///
    /// # Errors
    /// See [`Client::send`], as for what becomes of it when it is dropped.
    pub async fn start_next(
        &self,
        request: StartNext,
    ) -> Result<Option<JobExecution>, RequestError> {
        Ok(self.send(request).await?.execution)
    }

    /// `DescribeJobExecution`: all about the latest execution of a job, its document included.
    ///
    /// # Errors
    /// See [`Client::send`], as for what becomes of it when it is dropped.
    pub async fn describe(&self, job_id: &JobId) -> Result<Option<JobExecution>, RequestError> {
        Ok(self.send(Describe::job(job_id)).await?.execution)
    }

    /// `UpdateJobExecution`: sets the status of an execution, and its status details.
    ///
    /// # Errors
    /// See [`Client::send`], as for what becomes of it when it is dropped.
    pub async fn update(&self, request: Update) -> Result<UpdatedExecution, RequestError> {
        self.send(request).await
    }

    /// Calls a function with each event from now on, before anything else comes of it, until it returns
    /// `false`. It must not wait.
    pub fn listen(&self, listener: impl Fn(&Event) -> bool + Send + 'static) {
        self.0.inbox.listen(Box::new(listener));
    }

    /// What the service has said last about the queue, and what it says from now on. Once the
    /// connection has ended permanently, nothing new comes.
    pub fn queue(&self) -> watch::Receiver<Queue> {
        self.0.inbox.queue.subscribe()
    }

    /// Returns if the policy denies us replies and events, and always did: no waiting helps. Safe to
    /// cancel.
    pub async fn denied(&self, operation: Operation) -> RequestError {
        let mut denied = self.0.inbox.denied.subscribe();
        loop {
            if let Some(error) = &*denied.borrow_and_update() {
                let kind = RequestErrorKind::Subscribe(error.clone());
                return RequestError::new(operation, kind, false);
            }
            let _ = denied.changed().await; // the sender lives
        }
    }

    /// Has an agent that waits for a job ask the service again: for a device that can now do what it has
    /// put off.
    pub fn look_again(&self) {
        self.0.inbox.queue.send_modify(|queue| queue.changes += 1);
    }

    /// The connection that this client stands on.
    pub fn mqtt(&self) -> &mqtt::Client {
        &self.0.mqtt
    }

    /// How patient it is.
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    pub(super) fn inbox(&self) -> &Inbox {
        &self.0.inbox
    }

    /// Locked by whoever works on a job of this thing: one at a time.
    pub(crate) fn working(&self) -> &Arc<Mutex<()>> {
        &self.0.working
    }
}
