//! What the device asks for: starting, finding and updating executions.

use std::{collections::BTreeMap, time::Duration};

use super::{Books, after};
use crate::jobs::{
    execution::{JobExecution, Status},
    limits::StepTimeout,
    replies::Rejection,
    requests::UpdateRequest,
};

impl Books {
    pub(in crate::jobs) fn start_next(
        &mut self,
        status_details: Option<BTreeMap<String, String>>,
        step_timeout: Option<StepTimeout>,
    ) -> Option<&JobExecution> {
        let first = self.first_in_line()?;
        let (job_id, status) = (first.job_id.clone(), first.status);
        let minute = self.minute;
        if status == Status::Queued {
            self.edit(&job_id, |execution| {
                execution.status = Status::InProgress;
                execution.status_details = status_details.unwrap_or_default();
                execution.set_step_timeout(step_timeout, minute);
            });
        }
        self.execution(&job_id)
    }

    /// The given execution of a job, or its current one.
    pub(in crate::jobs) fn find(
        &self,
        job_id: &str,
        execution_number: Option<u64>,
    ) -> Result<&JobExecution, Rejection> {
        let not_found = || Rejection::not_found(job_id);
        let current = self.existing(job_id).ok_or_else(not_found)?;
        let Some(number) = execution_number else {
            return Ok(current);
        };
        let mut executions = self.jobs[job_id].iter();
        executions
            .find(|execution| execution.execution_number == number)
            .ok_or_else(not_found)
    }

    pub(in crate::jobs) fn update(
        &mut self,
        job_id: &str,
        request: &UpdateRequest,
        version_first: bool,
    ) -> Result<&JobExecution, Rejection> {
        if !request.status.is_reported() {
            return Err(Rejection::not_for_devices(request.status));
        }
        let execution = self.find(job_id, request.execution_number)?;
        let stale = |version: &u64| *version != execution.version_number;
        let stale = request.expected_version.filter(stale);
        match stale {
            _ if execution.status.is_terminal() && !(version_first && stale.is_some()) => {
                return Err(Rejection::invalid_transition(execution, request.status));
            }
            Some(expected) => return Err(Rejection::version_mismatch(execution, expected)),
            None => {}
        }
        let minute = self.minute;
        self.edit(job_id, |execution| {
            execution.status = request.status;
            if let Some(details) = &request.status_details {
                execution.status_details.clone_from(details);
            }
            execution.set_step_timeout(request.step_timeout_in_minutes, minute);
        });
        self.find(job_id, None)
    }
}

impl JobExecution {
    /// A new limit starts the step's timer anew. Without one, the timer runs on.
    fn set_step_timeout(&mut self, timeout: Option<StepTimeout>, minute: Duration) {
        match timeout {
            Some(StepTimeout::Minutes(minutes)) => {
                self.step_deadline = Some(after(minutes, minute));
            }
            Some(StepTimeout::Never) => self.step_deadline = None,
            None => {}
        }
    }
}
