//! What the parts of an agent share: what it is to do, and the job that is running.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedMutexGuard, broadcast, watch};

use super::error::{Interrupted, Unwanted};
use super::event::Event;
use super::options::Options;
use crate::jobs::{
    self, Describe, ExecutionId, ExecutionState, JobExecution, JobId, JobStatus, Operation,
    RequestError, StatusDetails,
};

/// So many updates without a verdict are remembered, each with its details.
const MOST_IN_DOUBT: usize = 16;
/// A listener may be this many events behind before it misses one.
const EVENTS_KEPT: usize = 256;

/// What the parts of an agent share.
pub(super) struct Context {
    pub jobs: jobs::Client,
    pub options: Options,
    pub events: broadcast::Sender<Event>,
    pub state: watch::Sender<State>,
    /// The execution whose report the service took last, if that was since the last start.
    pub reported: Mutex<Option<ExecutionId>>,
}

/// Whether the agent is to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Running,
    /// It was told to stop.
    Stopping,
    /// This job was left IN_PROGRESS on purpose: the next start would only give it again.
    LeftInProgress(JobId),
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
            reported: Mutex::default(),
        })
    }

    /// Tells an event to whoever listens.
    pub fn emit(&self, event: Event) {
        let _ = self.events.send(event);
    }

    pub fn is_told_to_stop(&self) -> bool {
        *self.state.borrow() == State::Stopping
    }

    pub fn leave_in_progress(&self, job_id: &JobId) {
        self.state.send_if_modified(|state| {
            let goes_on = *state == State::Running;
            if goes_on {
                *state = State::LeftInProgress(job_id.clone());
            }
            goes_on
        });
    }

    /// Returns once the agent is in such a state. Safe to cancel.
    pub async fn is(&self, wanted: impl FnMut(&State) -> bool) {
        let mut state = self.state.subscribe();
        let _ = state.wait_for(wanted).await; // the sender lives
    }

    /// Returns when the connection has ended permanently. Safe to cancel.
    pub async fn connection_ended(&self, operation: Operation) -> RequestError {
        self.jobs.mqtt().ended().await;
        RequestError::ended(operation)
    }

    /// Notes an execution whose report the service has taken; `None`: a new start. Returns the last.
    pub fn note_reported(&self, id: Option<ExecutionId>) -> Option<ExecutionId> {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut reported, id)
    }
}

/// A running job, as the parts of an agent share it.
pub(super) struct Running {
    pub context: Arc<Context>,
    pub execution: JobExecution,
    /// The status details that the work reported last. `None`: none, or a checkpoint took their place.
    pub progress: watch::Sender<Option<StatusDetails>>,
    /// Why the work is to end, where that is about this job alone.
    pub interrupted: watch::Sender<Option<Interrupted>>,
    /// What the service has. Whoever holds it may send an update: one at a time.
    pub known: tokio::sync::Mutex<Known>,
    has_warned: AtomicBool,
    /// No other job is worked on meanwhile.
    _working: OwnedMutexGuard<()>,
}

/// How an execution stands with the service.
pub(super) enum CurrentState {
    /// The service has it so.
    Found(JobExecution),
    /// It is not there any longer, or has ended.
    Gone(Unwanted),
}

/// What the service has of an execution, as far as we know.
pub(super) struct Known {
    pub version: i64,
    pub details: StatusDetails,
    /// What our updates since then would have left, where it is not known whether they arrived.
    in_doubt: Vec<(JobStatus, StatusDetails)>,
}

impl Running {
    pub fn new(
        context: &Arc<Context>,
        execution: JobExecution,
        working: OwnedMutexGuard<()>,
    ) -> Self {
        let known = Known {
            version: execution.version_number,
            details: execution.status_details.clone(),
            in_doubt: Vec::new(),
        };
        Self {
            context: Arc::clone(context),
            progress: watch::Sender::new(None),
            interrupted: watch::Sender::new(None),
            known: tokio::sync::Mutex::new(known),
            has_warned: AtomicBool::new(false),
            execution,
            _working: working,
        }
    }

    pub fn job_id(&self) -> JobId {
        self.execution.job_id.clone()
    }

    /// How the execution stands now. With its job document, if that is asked for.
    pub async fn current_state(&self, document: bool) -> Result<CurrentState, RequestError> {
        let mut describe = Describe::job(&self.execution.job_id);
        describe.execution_number = Some(self.execution.execution_number);
        describe.include_job_document = document;
        let found = match self.context.jobs.send(describe).await {
            Ok(reply) => reply.execution,
            Err(error) => {
                let why = Unwanted::said_by(&error);
                return why.map(CurrentState::Gone).ok_or(error);
            }
        };
        let ours = found.filter(|found| found.id() == self.execution.id());
        Ok(ours.map_or(CurrentState::Gone(Unwanted::Deleted), CurrentState::Found))
    }

    /// Somebody else has changed the execution. (Is told once.)
    pub fn warn_conflict(&self) {
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            let job_id = self.job_id();
            self.context.emit(Event::Conflict { job_id });
        }
    }

    /// Whether the work is to end.
    pub fn check(&self) -> Result<(), Interrupted> {
        match &*self.interrupted.borrow() {
            Some(why) => Err(why.clone()),
            None if self.context.is_told_to_stop() => Err(Interrupted::Stopping),
            None => Ok(()),
        }
    }

    /// Returns when the work is to end. Safe to cancel.
    pub async fn interrupted(&self) -> Interrupted {
        let mut interrupted = self.interrupted.subscribe();
        tokio::select! {
            biased;
            _ = interrupted.wait_for(Option::is_some) => {}
            () = self.context.is(|state| *state == State::Stopping) => {}
        }
        self.check().err().unwrap_or(Interrupted::Stopping)
    }

    pub fn unwanted(&self) -> Option<Unwanted> {
        match &*self.interrupted.borrow() {
            Some(Interrupted::Unwanted(why)) => Some(why.clone()),
            _ => None,
        }
    }

    /// The service no longer wants the job done. It is told before the work hears of it.
    pub fn no_longer_wanted(&self, why: &Unwanted) {
        self.interrupted.send_if_modified(|so_far| {
            if let Some(Interrupted::Unwanted(_)) = so_far {
                return false;
            }
            let (job_id, why) = (self.job_id(), why.clone());
            *so_far = Some(Interrupted::Unwanted(why.clone()));
            self.context.emit(Event::NoLongerWanted { job_id, why });
            true
        });
    }
}

impl Known {
    /// An update is about to leave that would set this status and these details; none keep those that
    /// there are.
    pub fn sending(&mut self, status: &JobStatus, details: &StatusDetails) {
        let details = if details.is_empty() {
            &self.details
        } else {
            details
        };
        // All name the same version, so one at most was taken: most likely the first, or one of the last.
        if self.in_doubt.len() == MOST_IN_DOUBT {
            self.in_doubt.remove(1);
        }
        self.in_doubt.push((status.clone(), details.clone()));
    }

    /// The update that left last was taken.
    pub fn accepted(&mut self) {
        if let Some((_, details)) = self.in_doubt.pop() {
            self.details = details;
        }
        self.version += 1;
        self.in_doubt.clear();
    }

    /// The update that left last was refused, and was sent once only.
    pub fn refused(&mut self) {
        self.in_doubt.pop();
    }

    /// The execution stands so.
    pub fn set_state(&mut self, state: ExecutionState) {
        self.details = state.status_details;
        self.version = state.version_number.unwrap_or(self.version);
        self.in_doubt.clear();
    }

    /// Whether one of our updates left the execution so, and its reply was lost.
    pub fn is_our_doing(&self, state: &ExecutionState) -> bool {
        self.in_doubt.iter().any(|(status, details)| {
            *status == state.status && (status.is_terminal() || *details == state.status_details)
        })
    }

    /// Whether that is the version that we know.
    pub fn is_at(&self, state: &ExecutionState) -> bool {
        state.version_number.is_none_or(|now| now == self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_doubt_does_not_grow_without_end_and_its_first_and_last_are_remembered() {
        let state = |step: u32| ExecutionState {
            status: JobStatus::InProgress,
            status_details: StatusDetails::default().with_text("step", &step.to_string()),
            version_number: None,
        };
        let mut known = Known {
            version: 1,
            details: StatusDetails::default(),
            in_doubt: Vec::new(),
        };
        for step in [vec![0; 1_000], (1..1_000).collect(), vec![999]].concat() {
            known.sending(&JobStatus::InProgress, &state(step).status_details);
            assert!(known.in_doubt.len() <= MOST_IN_DOUBT);
        }
        known.refused(); // the last, and not the same before it
        for step in [0, 990, 999] {
            assert!(known.is_our_doing(&state(step)), "{step}");
        }
    }
}
