//! The service's books: every job execution of the thing, and the rules by which it changes.

use std::{
    collections::{BTreeMap, HashMap},
    io, mem,
};

use serde_json::Value;

use super::{
    execution::{JobExecution, Moment, Status},
    replies::Rejection,
    requests::{UpdateRequest, is_job_id},
};

/// The largest job document, in bytes.
const LARGEST_DOCUMENT: usize = 32 * 1024;

/// The books of one thing.
#[derive(Debug, Default)]
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
}

/// What happens in the cloud.
impl Books {
    pub(super) fn create(&mut self, job_id: &str, document: Value) -> io::Result<()> {
        if !is_job_id(job_id) {
            return Err(invalid(format!(
                "'{job_id}' is not a job id: [a-zA-Z0-9_-]{{1,64}}"
            )));
        }
        if self.jobs.contains_key(job_id) {
            return Err(invalid(format!("job '{job_id}' exists already")));
        }
        if document.to_string().len() > LARGEST_DOCUMENT {
            return Err(invalid(format!(
                "the document of '{job_id}' is larger than 32 KiB"
            )));
        }
        let place = self.next_place();
        let execution = JobExecution::queued(job_id, document, 1, place);
        self.created.push(job_id.to_owned());
        self.add(execution);
        Ok(())
    }

    /// Moves a pending execution to CANCELED or TIMED_OUT.
    pub(super) fn end(&mut self, job_id: &str, status: Status) -> io::Result<()> {
        let current = self.current(job_id)?.status;
        if current.is_terminal() {
            return Err(invalid(format!("job '{job_id}' is {current} already")));
        }
        self.edit(job_id, |execution| execution.status = status);
        Ok(())
    }

    pub(super) fn delete(&mut self, job_id: &str) -> io::Result<()> {
        self.current(job_id)?;
        self.edit(job_id, |execution| execution.status = Status::Removed);
        Ok(())
    }

    pub(super) fn retry(&mut self, job_id: &str) -> io::Result<()> {
        let last = self.current(job_id)?;
        if !matches!(last.status, Status::Failed | Status::TimedOut) {
            return Err(invalid(format!(
                "job '{job_id}' is {}: nothing to retry",
                last.status
            )));
        }
        let (document, number) = (last.document.clone(), last.execution_number + 1);
        let place = self.next_place();
        self.add(JobExecution::queued(job_id, document, number, place));
        Ok(())
    }

    pub(super) fn touch(
        &mut self,
        job_id: &str,
        status_details: BTreeMap<String, String>,
    ) -> io::Result<()> {
        self.current(job_id)?;
        self.edit(job_id, |execution| {
            execution.status_details = status_details
        });
        Ok(())
    }

    fn current(&self, job_id: &str) -> io::Result<&JobExecution> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, format!("no job '{job_id}'"));
        self.existing(job_id).ok_or_else(missing)
    }
}

/// What the device asks for.
impl Books {
    pub(super) fn start_next(
        &mut self,
        status_details: Option<BTreeMap<String, String>>,
        step_timeout_minutes: Option<u64>,
    ) -> Option<&JobExecution> {
        let first = self.first_in_line()?;
        let (job_id, status) = (first.job_id.clone(), first.status);
        if status == Status::Queued {
            self.edit(&job_id, |execution| {
                execution.status = Status::InProgress;
                execution.status_details = status_details.unwrap_or_default();
                execution.set_step_timeout(step_timeout_minutes);
            });
        }
        self.execution(&job_id)
    }

    /// The given execution of a job, or its current one.
    pub(super) fn find(
        &self,
        job_id: &str,
        execution_number: Option<u64>,
    ) -> Result<&JobExecution, Rejection> {
        let current = self
            .existing(job_id)
            .ok_or_else(|| Rejection::not_found(job_id))?;
        let Some(number) = execution_number else {
            return Ok(current);
        };
        let mut executions = self.jobs[job_id].iter();
        executions
            .find(|execution| execution.execution_number == number)
            .ok_or_else(|| Rejection::not_found(&format!("{job_id} (execution {number})")))
    }

    pub(super) fn update(
        &mut self,
        job_id: &str,
        request: &UpdateRequest,
    ) -> Result<&JobExecution, Rejection> {
        let execution = self.find(job_id, request.execution_number)?;
        if execution.status.is_terminal() {
            return Err(Rejection::invalid_transition(execution, request.status));
        }
        if request
            .expected_version
            .is_some_and(|version| version != execution.version_number)
        {
            return Err(Rejection::version_mismatch(execution));
        }
        self.edit(job_id, |execution| {
            execution.status = request.status;
            if let Some(details) = &request.status_details {
                execution.status_details.clone_from(details);
            }
            execution.set_step_timeout(request.step_timeout_in_minutes);
        });
        self.find(job_id, None)
    }
}

/// Writing.
impl Books {
    /// What was written since this was last asked.
    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        mem::take(&mut self.changes)
    }

    /// The current execution of a job that has not been deleted.
    fn existing(&self, job_id: &str) -> Option<&JobExecution> {
        self.execution(job_id)
            .filter(|execution| execution.status != Status::Removed)
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
        execution.count_change(from);
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
    fn count_change(&mut self, from: Status) {
        let now = Moment::now();
        self.version_number += 1;
        self.last_updated_at = now;
        if from == self.status {
            return;
        }
        match self.status {
            Status::InProgress => {
                self.starts += 1;
                self.started_at = Some(now);
            }
            Status::Succeeded => self.succeeded += 1,
            _ => {}
        }
    }

    fn set_step_timeout(&mut self, minutes: Option<u64>) {
        if self.status.is_terminal() {
            self.step_deadline = None;
        } else if let Some(minutes) = minutes {
            self.step_deadline = Some(Moment::now().plus_minutes(minutes));
        }
    }
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}
