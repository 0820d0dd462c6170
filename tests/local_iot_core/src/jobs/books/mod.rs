//! The service's books: every job execution of a thing, and the rules by which it changes.

mod cloud;
mod device;

use std::{
    collections::{BTreeMap, HashMap},
    io, mem,
    time::Duration,
};

use tokio::time::Instant;

use super::{
    clock::Clock,
    execution::{JobExecution, Moment, Status},
};

/// The books of one thing.
#[derive(Debug)]
pub struct Books {
    /// Every execution of each job; the last one is the current one.
    jobs: HashMap<String, Vec<JobExecution>>,
    /// The job ids in the order in which they were created.
    created: Vec<String>,
    /// The executions that are IN_PROGRESS, by their place in line.
    in_progress: BTreeMap<u64, String>,
    /// The executions that are QUEUED, by their place in line.
    queued: BTreeMap<u64, String>,
    /// How many jobs are in each state.
    counts: HashMap<Status, usize>,
    next_place: u64,
    changes: Vec<Change>,
    /// How long a minute of a timeout lasts.
    minute: Duration,
    clock: Clock,
}

/// Something that was written into the books.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) job_id: String,
    pub(super) from: Option<Status>,
    pub(super) to: Status,
    pub(super) version: u64,
}

/// Reading.
impl Books {
    pub(super) fn new(minute: Duration, clock: Clock) -> Books {
        Books {
            jobs: HashMap::new(),
            created: Vec::new(),
            in_progress: BTreeMap::new(),
            queued: BTreeMap::new(),
            counts: HashMap::new(),
            next_place: 0,
            changes: Vec::new(),
            minute,
            clock,
        }
    }

    /// The current execution of a job.
    pub fn execution(&self, job_id: &str) -> Option<&JobExecution> {
        self.jobs.get(job_id)?.last()
    }

    /// The current execution of every job, in the order in which the jobs were created.
    pub fn list(&self) -> impl Iterator<Item = &JobExecution> {
        self.created.iter().filter_map(|id| self.execution(id))
    }

    /// How many jobs are in this state.
    pub fn count(&self, status: Status) -> usize {
        self.counts.get(&status).copied().unwrap_or_default()
    }

    /// What is IN_PROGRESS, in line order.
    pub fn in_progress(&self) -> impl Iterator<Item = &JobExecution> {
        self.in_progress
            .values()
            .filter_map(|id| self.execution(id))
    }

    /// What is QUEUED, in line order.
    pub fn queued(&self) -> impl Iterator<Item = &JobExecution> {
        self.queued.values().filter_map(|id| self.execution(id))
    }

    /// What the device is to do next: first what is IN_PROGRESS, then what is QUEUED.
    pub fn first_in_line(&self) -> Option<&JobExecution> {
        self.in_progress().chain(self.queued()).next()
    }

    /// When the first execution will be TIMED_OUT.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.in_progress().filter_map(JobExecution::deadline).min()
    }

    /// The current execution of a job that has not been deleted.
    fn existing(&self, job_id: &str) -> Option<&JobExecution> {
        self.execution(job_id)
            .filter(|execution| execution.status != Status::Removed)
    }
}

/// Writing.
impl Books {
    /// What was written since this was last asked.
    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        mem::take(&mut self.changes)
    }

    fn recount(&mut self, from: Option<Status>, to: Status) {
        if let Some(count) = from.and_then(|from| self.counts.get_mut(&from)) {
            *count -= 1;
        }
        *self.counts.entry(to).or_default() += 1;
    }

    fn next_place(&mut self) -> u64 {
        self.next_place += 1;
        self.next_place
    }

    fn add(&mut self, execution: JobExecution) {
        let before = self
            .execution(&execution.job_id)
            .map(|before| before.status);
        self.recount(before, execution.status);
        self.queued
            .insert(execution.place, execution.job_id.clone());
        self.changes.push(Change {
            job_id: execution.job_id.clone(),
            from: None,
            to: execution.status,
            version: execution.version_number,
        });
        self.jobs
            .entry(execution.job_id.clone())
            .or_default()
            .push(execution);
    }

    /// Changes the current execution of a job, as one new version of it.
    fn edit(&mut self, job_id: &str, change: impl FnOnce(&mut JobExecution)) {
        let Some(execution) = self.jobs.get_mut(job_id).and_then(|all| all.last_mut()) else {
            return;
        };
        let from = execution.status;
        change(execution);
        execution.count_change(from, self.minute, self.clock.now());
        self.changes.push(Change {
            job_id: job_id.to_owned(),
            from: Some(from),
            to: execution.status,
            version: execution.version_number,
        });
        let (place, to) = (execution.place, execution.status);
        self.recount(Some(from), to);
        self.in_progress.remove(&place);
        self.queued.remove(&place);
        match to {
            Status::Queued => self.queued.insert(place, job_id.to_owned()),
            Status::InProgress => self.in_progress.insert(place, job_id.to_owned()),
            _ => None,
        };
    }
}

impl JobExecution {
    fn count_change(&mut self, from: Status, minute: Duration, now: Moment) {
        let now = now.max(self.last_updated_at);
        self.version_number += 1;
        self.last_updated_at = now;
        if from == self.status {
            return;
        }
        if self.status.is_terminal() {
            (self.in_progress_deadline, self.step_deadline) = (None, None);
        }
        match self.status {
            Status::InProgress => {
                self.starts += 1;
                let minutes = self.in_progress_timeout_minutes;
                self.in_progress_deadline = minutes.map(|minutes| after(minutes, minute));
            }
            Status::Succeeded => self.succeeded += 1,
            _ => {}
        }
        // The first report starts it, unless the device rejects it.
        if self.status.is_reported() && self.status != Status::Rejected {
            self.started_at.get_or_insert(now);
        }
    }
}

/// The point in time after so many minutes.
fn after(minutes: u64, minute: Duration) -> Instant {
    Instant::now() + minute * u32::try_from(minutes).unwrap_or(u32::MAX)
}

pub(super) fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}
