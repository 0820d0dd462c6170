//! A running job, as the parts of an agent share it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Mutex, OwnedMutexGuard, watch};

use super::context::Context;
use super::event::Event;
use super::outcome::Unwanted;
use crate::jobs::{
    Describe, ExecutionState, JobExecution, JobId, JobStatus, RequestError, StatusDetails,
};

/// The status detail that counts the starts of a job.
pub(super) const STARTS: &str = "starts";

/// A running job, as the parts of an agent share it.
pub(super) struct Running {
    pub context: Arc<Context>,
    pub execution: JobExecution,
    /// How often it was started, where that is limited.
    pub starts: Option<u32>,
    /// The status details that the work reported last. `None`: none, or a checkpoint took their place.
    pub progress: watch::Sender<Option<Note>>,
    pub unwanted: watch::Sender<Option<Unwanted>>,
    /// What the service has. Whoever holds it may send an update: one at a time.
    known: Arc<Mutex<Known>>,
    has_warned: AtomicBool,
}

/// How an execution stands with the service.
pub(super) enum Standing {
    /// The service has it so.
    Found(JobExecution),
    /// It is not there any longer, or has ended.
    Gone(Unwanted),
}

/// Status details to be reported.
#[derive(Clone, PartialEq)]
pub(super) struct Note {
    pub details: StatusDetails,
    /// Whether they are to reach the service as soon as possible, however long that takes.
    pub is_durable: bool,
}

/// What the service has of an execution, as far as we know.
pub(super) struct Known {
    pub version: i64,
    pub details: StatusDetails,
    /// Details that were sent since, of which it is not known whether they arrived.
    pub in_doubt: Vec<StatusDetails>,
}

impl Running {
    pub fn new(context: &Arc<Context>, execution: JobExecution, starts: Option<u32>) -> Self {
        let known = Known {
            version: execution.version_number,
            details: execution.status_details.clone(),
            in_doubt: Vec::new(),
        };
        Self {
            context: Arc::clone(context),
            progress: watch::Sender::new(None),
            unwanted: watch::Sender::new(None),
            known: Arc::new(Mutex::new(known)),
            has_warned: AtomicBool::new(false),
            starts,
            execution,
        }
    }

    pub fn job_id(&self) -> JobId {
        self.execution.job_id.clone()
    }

    /// The right to send an update.
    pub async fn known(&self) -> OwnedMutexGuard<Known> {
        Arc::clone(&self.known).lock_owned().await
    }

    /// The same details, and the number of starts where it is counted: an update replaces them all.
    pub fn counted(&self, details: StatusDetails) -> StatusDetails {
        match self.starts {
            Some(starts) => details.with_text(STARTS, &starts.to_string()),
            None => details,
        }
    }

    /// How the execution stands now. With its job document, if that is asked for.
    pub async fn standing(&self, document: bool) -> Result<Standing, RequestError> {
        let mut describe = Describe::job(&self.execution.job_id);
        describe.execution_number = Some(self.execution.execution_number);
        describe.include_job_document = document;
        let found = match self.context.jobs.send(describe).await {
            Ok(reply) => reply.execution,
            Err(error) => return Unwanted::said_by(&error).map(Standing::Gone).ok_or(error),
        };
        let ours = found.filter(|found| found.id() == self.execution.id());
        Ok(ours.map_or(Standing::Gone(Unwanted::Deleted), Standing::Found))
    }

    /// Somebody else has changed the execution. (Is told once.)
    pub fn warn_conflict(&self) {
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            let job_id = self.job_id();
            self.context.emit(Event::Conflict { job_id });
        }
    }

    /// The service no longer wants the job done. It is told before the work hears of it.
    pub fn no_longer_wanted(&self, why: &Unwanted) {
        self.unwanted.send_if_modified(|so_far| {
            if so_far.is_some() {
                return false;
            }
            let (job_id, why) = (self.job_id(), why.clone());
            *so_far = Some(why.clone());
            self.context.emit(Event::NoLongerWanted { job_id, why });
            true
        });
    }
}

impl Known {
    /// An update with these details was taken.
    pub fn accepted(&mut self, details: StatusDetails) {
        if !details.is_empty() {
            self.details = details; // an update without details leaves those that there are
        }
        self.version += 1;
        self.in_doubt.clear();
    }

    /// The execution stands so.
    pub fn stands(&mut self, state: ExecutionState) {
        self.details = state.status_details;
        self.version = state.version_number.unwrap_or(self.version);
        self.in_doubt.clear();
    }

    /// Whether we know how the execution has come to stand so: it has ended, or stands as before, or
    /// as one of our updates left it whose reply was lost. `refused`: the one that was refused just
    /// now is no such update.
    pub fn is_our_change(&self, state: &ExecutionState, refused: bool) -> bool {
        let sent = self.in_doubt.len() - usize::from(refused);
        state.status.is_terminal()
            || self.is_at(state)
            || state.status == JobStatus::InProgress
                && self.in_doubt[..sent].contains(&state.status_details)
    }

    /// Whether that is the version that we know.
    pub fn is_at(&self, state: &ExecutionState) -> bool {
        state.version_number.is_none_or(|now| now == self.version)
    }
}
