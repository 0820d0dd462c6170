//! What the parts of an agent share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{broadcast, watch};

use super::event::Event;
use super::options::Options;
use crate::jobs::{self, JobId, Operation, RequestError};
use crate::mqtt::PublishError;

/// A listener may be this many events behind before it misses one.
const EVENTS_KEPT: usize = 256;

/// What the parts of an agent share.
pub(super) struct Context {
    pub jobs: jobs::Client,
    pub options: Options,
    pub events: broadcast::Sender<Event>,
    state: watch::Sender<State>,
    /// How many reports the service has taken.
    accepted: AtomicU64,
}

/// Whether the agent is to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Running,
    /// It was told to stop.
    Stopping,
    /// This job was left IN_PROGRESS on purpose: the next start would only give it again.
    Left(JobId),
}

impl Context {
    pub fn new(jobs: jobs::Client, options: Options) -> Arc<Self> {
        let (events, _) = broadcast::channel(EVENTS_KEPT);
        // One stream: what the service tells comes in its place between what the agent does.
        let weak = events.downgrade();
        jobs.listen(move |event| match weak.upgrade() {
            Some(events) => {
                let _ = events.send(Event::Jobs(event.clone()));
                true
            }
            None => false, // the agent is gone
        });
        Arc::new(Self {
            jobs,
            options,
            events,
            state: watch::Sender::new(State::Running),
            accepted: AtomicU64::new(0),
        })
    }

    /// Tells an event to whoever listens.
    pub fn emit(&self, event: Event) {
        let _ = self.events.send(event);
    }

    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    pub fn is_told_to_stop(&self) -> bool {
        *self.state.borrow() == State::Stopping
    }

    pub fn stop(&self) {
        self.state.send_replace(State::Stopping);
    }

    pub fn leave(&self, job_id: &JobId) {
        self.state.send_if_modified(|state| {
            let goes_on = *state == State::Running;
            if goes_on {
                *state = State::Left(job_id.clone());
            }
            goes_on
        });
    }

    /// Returns once the agent is not to go on. Safe to cancel.
    pub async fn is_over(&self) {
        let mut state = self.state.subscribe();
        let _ = state.wait_for(|state| *state != State::Running).await; // the sender lives
    }

    /// Returns once the agent was told to stop. Safe to cancel.
    pub async fn is_stopping(&self) {
        let mut state = self.state.subscribe();
        let _ = state.wait_for(|state| *state == State::Stopping).await;
    }

    /// Returns when the connection has ended for good. Safe to cancel.
    pub async fn connection_ended(&self, operation: Operation) -> RequestError {
        self.jobs.mqtt().ended().await;
        let error = PublishError::Ended;
        RequestError::Publish { operation, error }
    }

    pub fn report_accepted(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }
}
