//! What happens in the cloud: jobs are created, canceled, deleted and retried.

use std::{collections::BTreeMap, io};

use tokio::time::Instant;

use super::{Books, invalid};
use crate::jobs::{
    document,
    execution::{JobExecution, NewJob, Status},
    limits::{is_job_id, is_timeout},
};

impl Books {
    pub(in crate::jobs) fn create(&mut self, mut job: NewJob) -> io::Result<()> {
        let job_id = job.job_id.clone();
        if !is_job_id(&job_id) {
            return Err(invalid(format!(
                "'{job_id}' is not a job id: [a-zA-Z0-9_-]{{1,64}}"
            )));
        }
        if self.existing(&job_id).is_some() {
            return Err(invalid(format!("job '{job_id}' exists already")));
        }
        if let Some(minutes) = job.in_progress_timeout_minutes
            && !is_timeout(minutes)
        {
            return Err(invalid(format!(
                "a timeout of {minutes} minutes is not in 1..=10080"
            )));
        }
        job.document = document::checked(&job_id, &job.document)?;
        let queued_at = match self.execution(&job_id) {
            // On AWS, deleting a job takes a while: the new one is never queued in the same second.
            Some(removed) => self.clock.now().max(removed.queued_at.next_second()),
            None => self.clock.now(),
        };
        self.forget_removed(&job_id);
        let place = self.next_place();
        self.created.push(job_id);
        self.add(JobExecution::queued(job, 1, place, queued_at));
        Ok(())
    }

    /// The name is free again: the new job has nothing in common with the old one.
    fn forget_removed(&mut self, job_id: &str) {
        if self.jobs.remove(job_id).is_some() {
            self.created.retain(|id| id != job_id);
            if let Some(removed) = self.counts.get_mut(&Status::Removed) {
                *removed -= 1;
            }
        }
    }

    /// Cancels an execution. One that is IN_PROGRESS is canceled by force only.
    pub(in crate::jobs) fn cancel(&mut self, job_id: &str, force: bool) -> io::Result<()> {
        if self.current(job_id)?.status == Status::InProgress && !force {
            return Err(invalid(format!(
                "job '{job_id}' is IN_PROGRESS: it can only be canceled by force"
            )));
        }
        self.end(job_id, Status::Canceled)
    }

    /// Moves a pending execution to CANCELED or TIMED_OUT.
    pub(in crate::jobs) fn end(&mut self, job_id: &str, status: Status) -> io::Result<()> {
        let current = self.current(job_id)?.status;
        if current.is_terminal() {
            return Err(invalid(format!("job '{job_id}' is {current} already")));
        }
        self.edit(job_id, |execution| execution.status = status);
        Ok(())
    }

    /// Moves what has run out of time to TIMED_OUT.
    pub(in crate::jobs) fn expire(&mut self, now: Instant) {
        let is_over = |one: &&JobExecution| one.deadline().is_some_and(|deadline| deadline <= now);
        let over = self.in_progress().filter(is_over);
        let over: Vec<String> = over.map(|execution| execution.job_id.clone()).collect();
        for job_id in over {
            self.edit(&job_id, |execution| execution.status = Status::TimedOut);
        }
    }

    pub(in crate::jobs) fn delete(&mut self, job_id: &str) -> io::Result<()> {
        self.current(job_id)?;
        self.edit(job_id, |execution| execution.status = Status::Removed);
        Ok(())
    }

    pub(in crate::jobs) fn retry(&mut self, job_id: &str) -> io::Result<()> {
        let last = self.current(job_id)?;
        if !matches!(last.status, Status::Failed | Status::TimedOut) {
            return Err(invalid(format!(
                "job '{job_id}' is {}: nothing to retry",
                last.status
            )));
        }
        let number = last.execution_number + 1;
        let job = NewJob {
            job_id: job_id.to_owned(),
            document: last.document.clone(),
            in_progress_timeout_minutes: last.in_progress_timeout_minutes,
        };
        let (place, now) = (self.next_place(), self.clock.now());
        self.add(JobExecution::queued(job, number, place, now));
        Ok(())
    }

    pub(in crate::jobs) fn touch(
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
