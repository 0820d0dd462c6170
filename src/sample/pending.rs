//! What is pending: listed and described at the start, and again whenever events may have been missed.

use std::convert::Infallible;

use futures_util::{StreamExt, stream};

use super::advice::SampleError;
use crate::agent::Unwanted;
use crate::jobs::{Client, JobExecution, JobExecutionSummary, Timestamp};
use crate::output::{Output, say};
use crate::text::{Text, cut, without_signatures};

/// AWS lists at most this many pending job executions.
const LISTED: usize = 10;
/// And at most this many where scheduling is configured: what another service lists beyond is left out.
const MOST_LISTED: usize = 15;
/// At most this many descriptions are asked for at once: the first start does not stand behind all.
const DESCRIBED_AT_ONCE: usize = 3;
/// This many characters of a job document are shown in a description; the whole follows at its start.
const DOCUMENT_SHOWN: usize = 400;

/// Lists and describes what is pending.
pub(super) struct Pending<'a> {
    pub jobs: &'a Client,
    pub output: &'a Output,
    /// Whether a list that can't be had ends the program.
    pub is_needed: bool,
}

impl Pending<'_> {
    /// In CI mode, the list is all. It must not be empty.
    pub async fn list_only(&self) -> Result<(), SampleError> {
        let output = self.output;
        let listed = self.list().await?;
        if listed.is_empty() {
            say!(
                output,
                "ERROR: No jobs queued in CI! At least one job should be queued!"
            );
            return Err(SampleError::NoJobInCi);
        }
        self.describe(listed).await?;
        say!(
            output,
            "At least one job queued in CI! No further work to do. Exiting sample..."
        );
        Ok(())
    }

    /// Lists the pending job executions: those in progress, then those that are queued.
    pub async fn list(&self) -> Result<Vec<JobExecutionSummary>, SampleError> {
        let out = self.output;
        let pending = match self.jobs.get_pending().await {
            Ok(pending) => pending,
            Err(error) if self.is_needed || error.is_fatal() => return Err(error.into()),
            Err(error) => {
                say!(out, "The pending jobs could not be listed: {error}.");
                return Ok(Vec::new());
            }
        };
        let started = pending.in_progress_jobs.len();
        let mut all = [pending.in_progress_jobs, pending.queued_jobs].concat();
        all.truncate(MOST_LISTED);
        if all.is_empty() {
            say!(out, "No pending or queued jobs found!");
            return Ok(all);
        }
        say!(out, "Pending Jobs:");
        for (nth, job) in all.iter().enumerate() {
            let is_started = nth < started;
            let prefix = if is_started { "In Progress: " } else { "" };
            let updated = or_unknown(job.last_updated_at);
            say!(out, "  {prefix}{} @ {updated}", job.job_id);
        }
        if all.len() >= LISTED {
            say!(out, "  (AWS lists at most {LISTED}; more may follow.)");
        }
        Ok(all)
    }

    /// Describes each of them, in the order of the list.
    pub async fn describe(&self, pending: Vec<JobExecutionSummary>) -> Result<(), SampleError> {
        let out = self.output;
        let mut descriptions = stream::iter(pending)
            .map(|job| async move { (self.jobs.describe(&job.job_id).await, job.job_id) })
            .buffered(DESCRIBED_AT_ONCE);
        while let Some((described, job_id)) = descriptions.next().await {
            match described {
                Ok(Some(execution)) => self.say_description(&execution),
                Ok(None) => say!(out, "Job {job_id}: no longer pending"),
                Err(error) if error.is_fatal() => return Err(error.into()),
                Err(error) if Unwanted::said_by(&error).is_some() => {
                    say!(out, "Job {job_id}: no longer pending");
                }
                Err(error) => say!(out, "Job {job_id}: {error}"),
            }
        }
        Ok(())
    }

    fn say_description(&self, execution: &JobExecution) {
        say!(
            self.output,
            "Job {}: {}, queued {}, updated {}, version {}, job_document:{}",
            execution.job_id,
            execution.status,
            or_unknown(execution.queued_at),
            or_unknown(execution.last_updated_at),
            execution.version_number,
            in_short(execution)
        );
    }

    /// A new session means that events may have been missed: looks at the list again.
    pub async fn list_again_in_each_new_session(&self) -> Result<Infallible, SampleError> {
        let mqtt = self.jobs.mqtt();
        let mut session = 1; // the first session had its list
        loop {
            let begun = mqtt.session_after(session).await;
            session = begun.map_err(|_| SampleError::Ended)?;
            let pending = self.list().await?;
            self.describe(pending).await?;
        }
    }
}

/// The job document, cut: it may have 32 KiB.
pub(super) fn in_short(execution: &JobExecution) -> Text {
    let document = without_signatures(execution.job_document.text());
    cut(&document, DOCUMENT_SHOWN).into()
}

/// A time as a person reads it.
fn or_unknown(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "an unknown time".to_owned(), |time| time.to_string())
}
