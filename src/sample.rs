//! The story: describe what is pending, start the next, work, report, wait for more.
//!
//! It is told from top to bottom. [`work`] is where your own work goes; the rest is for every device
//! that does jobs. What is heard on the side (news of the connection, events) is in `listener.rs`.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::jobs::{
    self, Event, JobExecution, JobExecutionSummary, JobStatus, RequestError, StartNext,
    StatusDetails, Update,
};
use crate::mqtt::Backoff;
use crate::story::Story;
use crate::text::{cut, printable};

mod listener;
mod settings;

pub use settings::{SampleError, Settings};

use listener::{Hint, Listener};

/// **Your work goes here.**
///
/// It gets one job execution with its document, and may take as long as it needs: it has a thread
/// of its own, so nothing it does (and no panic in it) disturbs the connection. Only one runs at a
/// time. `job_time` is how long the sample pretends to work.
///
/// # Errors
/// The reason why the job could not be done. The execution is then FAILED, with this reason in its
/// status details, and the next one is started.
pub fn work(_execution: &JobExecution, job_time: Duration) -> Result<(), String> {
    std::thread::sleep(job_time);
    Ok(())
}

/// Some work, as [`run`] takes it: from an execution to success or the reason of the failure.
pub type Work = Arc<dyn Fn(&JobExecution) -> Result<(), String> + Send + Sync>;

/// Does jobs until `stop` resolves, to the reason in words.
///
/// # Errors
/// What ended it otherwise, in words for the user: a connection that no waiting brings about, a
/// policy that forbids what is needed, or in CI mode, that there is no job.
pub async fn run(
    settings: Settings,
    work: Work,
    story: &Story,
    stop: impl Future<Output = &'static str>,
) -> Result<(), SampleError> {
    let client_id = printable(&settings.mqtt.client_id).into_owned();
    match settings.ci {
        true => story.tell(format_args!("Connecting to endpoint with client ID")), // a public log
        false => story.tell(format_args!(
            "Connecting to {} with client ID '{client_id}'...",
            settings.mqtt.endpoint
        )),
    }
    let (hint, hints) = watch::channel(Hint::None);
    let (jobs, mut events) = jobs::connect(
        settings.mqtt,
        &settings.thing_name,
        settings.patience.clone(),
    );
    let mut listener = Listener::new(story.clone(), hint.clone());
    let device = Device {
        jobs,
        story: story.clone(),
        work,
        ci: settings.ci,
        idle_limit: settings.idle_limit,
        working_on: watch::Sender::new(None),
        backoff: settings.patience.backoff,
    };
    let mut outcome = tokio::select! {
        biased;
        failed = listener.listen(&mut events) => Err(failed),
        ended = device.do_jobs(hints, &hint) => ended,
        why = stop => Ok(Some(device.stopped(why))),
    };
    if let Err(SampleError::Ended) = outcome {
        outcome = Err(listener.listen(&mut events).await); // the reason is still on its way
    }
    match &outcome {
        Ok(Some(why)) => story.tell(format_args!("Exiting Sample: {why}")),
        Ok(None) => {} // CI mode has said it
        Err(_) => story.tell(format_args!(
            "Exiting Sample: it can't go on; the reason is on stderr"
        )),
    }
    story.tell(format_args!("Disconnecting..."));
    device.disconnect(events).await;
    story.tell(format_args!("Client Stopped."));
    outcome.map(drop)
}

/// A device that does jobs: one at a time, in the order in which the service hands them out.
struct Device {
    jobs: jobs::Client,
    story: Story,
    work: Work,
    ci: bool,
    idle_limit: Duration,
    working_on: watch::Sender<Option<String>>,
    backoff: Backoff,
}

/// How the work on an execution ended.
type Outcome = Result<(), String>;

/// A job execution whose work is done, but whose report the service did not take.
struct Unreported {
    job_id: String,
    execution_number: i64,
    outcome: Outcome,
}

/// So many descriptions are asked for at once.
const DESCRIBED_AT_ONCE: usize = 8;
/// So many characters of a job document are shown in a description; the whole follows at its start.
const DOCUMENT_SHOWN: usize = 400;
/// `statusDetails` take values of up to so many characters.
const LONGEST_DETAIL: usize = 1024;

impl Device {
    /// Everything a device does with its jobs. Ends only in CI mode, or when it can't go on.
    async fn do_jobs(
        &self,
        hints: watch::Receiver<Hint>,
        hint: &watch::Sender<Hint>,
    ) -> Result<Option<String>, SampleError> {
        let session = self.jobs.session();
        let pending = self.list_pending().await?;
        if self.ci {
            let none_pending = pending.is_empty();
            self.describe(pending).await?;
            return self.end_ci(none_pending);
        }
        // None of these waits for another: the descriptions and the first start leave together.
        tokio::try_join!(
            self.describe(pending),
            self.do_one_after_another(hints),
            self.list_again_in_each_new_session(session, hint),
        )?;
        Ok(None)
    }

    /// Lists the pending job executions: those in progress, then those that are queued.
    async fn list_pending(&self) -> Result<Vec<JobExecutionSummary>, SampleError> {
        let pending = match self.jobs.get_pending().await {
            Ok(pending) => pending,
            Err(error) if self.ci || error.is_fatal() => return Err(error.into()),
            Err(error) => {
                self.story.tell(format_args!(
                    "The pending jobs could not be listed: {error}"
                ));
                return Ok(Vec::new());
            }
        };
        if pending.in_progress_jobs.is_empty() && pending.queued_jobs.is_empty() {
            self.story
                .tell(format_args!("No pending or queued jobs found!"));
            return Ok(Vec::new());
        }
        self.story.tell(format_args!("Pending Jobs:"));
        for (prefix, jobs) in [
            ("In Progress: ", &pending.in_progress_jobs),
            ("", &pending.queued_jobs),
        ] {
            for job in jobs {
                let updated = or_unknown(job.last_updated_at);
                self.story.tell(format_args!(
                    "  {prefix}{} @ {updated}",
                    printable(&job.job_id)
                ));
            }
        }
        Ok([pending.in_progress_jobs, pending.queued_jobs].concat())
    }

    /// Describes each of them, in the order of the list.
    async fn describe(&self, pending: Vec<JobExecutionSummary>) -> Result<(), SampleError> {
        let mut descriptions = stream::iter(pending)
            .map(|job| {
                let jobs = self.jobs.clone();
                async move { (jobs.describe(&job.job_id).await, job.job_id) }
            })
            .buffered(DESCRIBED_AT_ONCE);
        while let Some((described, job_id)) = descriptions.next().await {
            let job_id = printable(&job_id);
            match described.map(|described| described.execution) {
                Ok(Some(execution)) => self.tell_description(&execution),
                Ok(None) => self
                    .story
                    .tell(format_args!("Job {job_id}: not pending any more")),
                Err(error) if error.is_fatal() => return Err(error.into()),
                Err(error) if error.says_it_is_gone() => {
                    self.story
                        .tell(format_args!("Job {job_id}: not pending any more"));
                }
                Err(error) => self.story.tell(format_args!("Job {job_id}: {error}")),
            }
        }
        Ok(())
    }

    fn tell_description(&self, execution: &JobExecution) {
        let status = execution.status.to_string();
        let document = execution.job_document.to_string();
        self.story.tell(format_args!(
            "Job {}: {}, queued {}, updated {}, version {}, job_document:{}",
            printable(&execution.job_id),
            printable(&status),
            or_unknown(execution.queued_at),
            or_unknown(execution.last_updated_at),
            execution.version_number,
            printable(&cut(&document, DOCUMENT_SHOWN)),
        ));
    }

    /// In CI mode, the list is all. It must not be empty.
    fn end_ci(&self, none_pending: bool) -> Result<Option<String>, SampleError> {
        if none_pending {
            let line = "ERROR: No jobs queued in CI! At least one job should be queued!";
            self.story.tell(format_args!("{line}"));
            return Err(SampleError::NoJobInCi);
        }
        let line = "At least one job queued in CI! No further work to do. Exiting sample...";
        self.story.tell(format_args!("{line}"));
        Ok(None)
    }

    /// A new session means that events may have been missed: looks at the list again.
    async fn list_again_in_each_new_session(
        &self,
        mut session: u64,
        hint: &watch::Sender<Hint>,
    ) -> Result<(), SampleError> {
        session = session.max(1); // the first session had its list
        loop {
            self.jobs
                .session_after(session)
                .await
                .map_err(|_| SampleError::Ended)?;
            session = self.jobs.session();
            let pending = self.list_pending().await?;
            hint.send_replace(Hint::AskAgain);
            self.describe(pending).await?;
        }
    }

    /// Start the next, work, report; wait when there is none. For ever.
    async fn do_one_after_another(
        &self,
        mut hints: watch::Receiver<Hint>,
    ) -> Result<(), SampleError> {
        let mut unreported: Option<Unreported> = None;
        let mut last = None;
        let mut backoff = self.backoff.clone();
        loop {
            self.story
                .tell(format_args!("Trying to start the next job..."));
            let execution = match self.start_next().await {
                Ok(Some(execution)) => execution,
                Ok(None) => {
                    backoff.reset();
                    self.wait_for_more(&mut hints, last.as_ref()).await;
                    continue;
                }
                Err(error) if error.is_fatal() => return Err(error.into()),
                Err(error) => {
                    self.story
                        .tell(format_args!("Request to start next job failed: {error}"));
                    sleep(backoff.next_wait()).await;
                    continue;
                }
            };
            last = Some((execution.job_id.clone(), execution.execution_number));
            // Work is done once. If the service did not take its report and hands the execution out
            // again, only the report is repeated.
            let done_before = unreported.take().filter(|done| done.is_of(&execution));
            let outcome = match done_before {
                Some(done) => {
                    self.story.tell(format_args!(
                        "The work on it is done; reporting once more..."
                    ));
                    sleep(backoff.next_wait()).await;
                    done.outcome
                }
                None => self.do_work(&execution).await,
            };
            match self.report(&execution, &outcome).await {
                Ok(()) => backoff.reset(),
                Err(error) if error.is_fatal() => return Err(error.into()),
                Err(error) => {
                    self.story.tell(format_args!(
                        "Request to update job failed: {error}. Giving job_id:{} up.",
                        printable(&execution.job_id)
                    ));
                    let (job_id, execution_number) = (execution.job_id, execution.execution_number);
                    unreported = Some(Unreported {
                        job_id,
                        execution_number,
                        outcome,
                    });
                }
            }
        }
    }

    /// Asks for the first execution in line. `None` when nothing is pending.
    async fn start_next(&self) -> Result<Option<JobExecution>, RequestError> {
        self.story
            .tell(format_args!("Publishing request to start next job..."));
        let story = self.story.clone();
        let published =
            move || story.tell(format_args!("Published request to start the next job."));
        let started = self
            .jobs
            .start_next(&StartNext::default(), published)
            .await?;
        match &started.execution {
            Some(execution) => self.story.tell(format_args!(
                "Request to start next job was accepted. job_id:{} job_document:{}",
                printable(&execution.job_id),
                printable(&execution.job_document.to_string()),
            )),
            None => self.story.tell(format_args!(
                "Request to start next job was accepted, but there are no jobs to be done. Waiting \
                 for further jobs..."
            )),
        }
        Ok(started.execution)
    }

    /// Does the work on a thread of its own, so that it may block, and even panic.
    async fn do_work(&self, execution: &JobExecution) -> Outcome {
        self.story
            .tell(format_args!("Starting local work on job..."));
        self.working_on.send_replace(Some(execution.job_id.clone()));
        let (work, own) = (Arc::clone(&self.work), execution.clone());
        let outcome = match tokio::task::spawn_blocking(move || work(&own)).await {
            Ok(outcome) => outcome,
            Err(failed) if failed.is_panic() => Err(panic_reason(failed.into_panic())),
            Err(cancelled) => Err(cancelled.to_string()),
        };
        match &outcome {
            Ok(()) => self.story.tell(format_args!("Done working on job.")),
            Err(reason) => {
                self.story
                    .tell(format_args!("Work on job failed: {}", printable(reason)));
            }
        }
        outcome
    }

    /// Reports how the work ended: SUCCEEDED, or FAILED with the reason.
    async fn report(
        &self,
        execution: &JobExecution,
        outcome: &Outcome,
    ) -> Result<(), RequestError> {
        let status = match outcome {
            Ok(()) => JobStatus::Succeeded,
            Err(_) => JobStatus::Failed,
        };
        self.story.tell(format_args!(
            "Publishing request to update job status to {status}..."
        ));
        let mut update = Update::of(execution, status);
        if let Err(reason) = outcome {
            let reason = cut(&printable(reason), LONGEST_DETAIL).into_owned();
            update.status_details = StatusDetails::from([("reason".to_owned(), reason)]);
        }
        let story = self.story.clone();
        let published = move || story.tell(format_args!("Published request to update job."));
        let updated = self.jobs.update(&update, published).await;
        self.working_on.send_replace(None);
        updated?;
        self.story
            .tell(format_args!("Request to update job was accepted."));
        Ok(())
    }

    /// Returns when there may be a job: the service says so, a new session has begun, or it has been
    /// quiet for so long that an event may have been lost.
    async fn wait_for_more(&self, hints: &mut watch::Receiver<Hint>, last: Option<&(String, i64)>) {
        let hinted = async {
            loop {
                let seen = hints.borrow_and_update().clone();
                match seen {
                    Hint::AskAgain => break,
                    Hint::Next(next) if last != Some(&next) => break,
                    _ => {}
                }
                if hints.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let _ = timeout(self.idle_limit, hinted).await;
    }

    /// Why the program ends, and what becomes of the job under way.
    fn stopped(&self, why: &str) -> String {
        match &*self.working_on.borrow() {
            None => why.to_owned(),
            Some(job_id) => format!(
                "{why}; job_id:{} stays IN_PROGRESS, and the next run takes it up again",
                printable(job_id)
            ),
        }
    }

    /// Says DISCONNECT, and waits until it is said.
    async fn disconnect(self, mut events: mpsc::Receiver<Event>) {
        self.jobs.disconnect();
        let gone = async { while events.recv().await.is_some() {} };
        let _ = timeout(Duration::from_millis(1_500), gone).await;
    }
}

impl Unreported {
    fn is_of(&self, execution: &JobExecution) -> bool {
        self.job_id == execution.job_id && self.execution_number == execution.execution_number
    }
}

/// What a panic in the reader's work said.
fn panic_reason(panic: Box<dyn std::any::Any + Send>) -> String {
    let said = panic
        .downcast_ref::<&str>()
        .map(|said| (*said).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    format!(
        "the work panicked: {}",
        said.as_deref().unwrap_or("without a word")
    )
}

/// A time as a person reads it.
fn or_unknown(time: Option<jobs::Timestamp>) -> String {
    time.map_or_else(|| "an unknown time".to_owned(), |time| time.to_string())
}
