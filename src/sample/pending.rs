//! What is pending: listed and described at the start, and again whenever events may have been
//! missed.

use std::convert::Infallible;

use futures_util::{StreamExt, stream};

use super::{Device, SampleError};
use crate::jobs::{JobExecution, JobExecutionSummary, Timestamp};
use crate::story::tell;
use crate::text::{cut, printable};

/// AWS lists at most this many pending job executions. (15 where scheduling is configured.)
const LISTED: usize = 10;
/// At most this many descriptions are asked for at once: all that are listed.
const DESCRIBED_AT_ONCE: usize = 15;
/// This many characters of a job document are shown in a description; the whole follows at its start.
const DOCUMENT_SHOWN: usize = 400;

impl<W> Device<W> {
    /// Lists the pending job executions: those in progress, then those that are queued.
    pub(super) async fn list_pending(&self) -> Result<Vec<JobExecutionSummary>, SampleError> {
        let pending = match self.jobs.get_pending().await {
            Ok(pending) => pending,
            Err(error) if self.ci || error.is_fatal() => return Err(error.into()),
            Err(error) => {
                tell!(self.story, "The pending jobs could not be listed: {error}");
                return Ok(Vec::new());
            }
        };
        if pending.in_progress_jobs.is_empty() && pending.queued_jobs.is_empty() {
            tell!(self.story, "No pending or queued jobs found!");
            return Ok(Vec::new());
        }
        tell!(self.story, "Pending Jobs:");
        for (prefix, jobs) in [
            ("In Progress: ", &pending.in_progress_jobs),
            ("", &pending.queued_jobs),
        ] {
            for job in jobs {
                let updated = or_unknown(job.last_updated_at);
                tell!(
                    self.story,
                    "  {prefix}{} @ {updated}",
                    printable(&job.job_id)
                );
            }
        }
        let pending = [pending.in_progress_jobs, pending.queued_jobs].concat();
        if pending.len() >= LISTED {
            tell!(
                self.story,
                "  (AWS lists at most {LISTED}; more may follow.)"
            );
        }
        Ok(pending)
    }

    /// Describes each of them, in the order of the list.
    pub(super) async fn describe(
        &self,
        pending: Vec<JobExecutionSummary>,
    ) -> Result<(), SampleError> {
        let mut descriptions = stream::iter(pending)
            .map(|job| {
                let jobs = self.jobs.clone();
                async move { (jobs.describe(&job.job_id).await, job.job_id) }
            })
            .buffered(DESCRIBED_AT_ONCE);
        while let Some((described, job_id)) = descriptions.next().await {
            let job_id = printable(&job_id);
            match described {
                Ok(Some(execution)) => self.tell_description(&execution),
                Ok(None) => tell!(self.story, "Job {job_id}: not pending any more"),
                Err(error) if error.is_fatal() => return Err(error.into()),
                Err(error) if error.says_it_is_gone().is_some() => {
                    tell!(self.story, "Job {job_id}: not pending any more");
                }
                Err(error) => tell!(self.story, "Job {job_id}: {error}"),
            }
        }
        Ok(())
    }

    fn tell_description(&self, execution: &JobExecution) {
        let status = execution.status.to_string();
        let document = execution.job_document.text();
        tell!(
            self.story,
            "Job {}: {}, queued {}, updated {}, version {}, job_document:{}",
            printable(&execution.job_id),
            printable(&status),
            or_unknown(execution.queued_at),
            or_unknown(execution.last_updated_at),
            execution.version_number,
            printable(&cut(document, DOCUMENT_SHOWN))
        );
    }

    /// In CI mode, the list is all. It must not be empty.
    pub(super) fn end_ci(&self, none_pending: bool) -> Result<Option<String>, SampleError> {
        if none_pending {
            tell!(
                self.story,
                "ERROR: No jobs queued in CI! At least one job should be queued!"
            );
            return Err(SampleError::NoJobInCi);
        }
        tell!(
            self.story,
            "At least one job queued in CI! No further work to do. Exiting sample..."
        );
        Ok(None)
    }

    /// A new session means that events may have been missed: looks at the list again.
    pub(super) async fn list_again_in_each_new_session(&self) -> Result<Infallible, SampleError> {
        let mut session = 1; // the first session had its list
        loop {
            let begun = self.mqtt.session_after(session).await;
            begun.map_err(|_| SampleError::Ended)?;
            session = self.mqtt.session();
            let pending = self.list_pending().await?;
            self.describe(pending).await?;
        }
    }
}

/// A time as a person reads it.
fn or_unknown(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "an unknown time".to_owned(), |time| time.to_string())
}
