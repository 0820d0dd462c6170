//! The story: describe what is pending, start the next, work, report, wait for more.
//!
//! It is told from top to bottom. [`work`] is where your own work goes; the rest is for every device
//! that does jobs. The list at the start is in `pending.rs`; what is heard on the side (news of the
//! connection, events) in `listener.rs`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::jobs::{
    self, Event, JobExecution, JobStatus, RequestError, StartNext, StatusDetails, Update,
};
use crate::mqtt::Backoff;
use crate::story::{Story, tell};
use crate::text::{cut, printable};

mod listener;
mod pending;
mod settings;

pub use settings::{SampleError, Settings};

use listener::{ExecutionId, Hint, Listener};

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

/// Minutes (1 to 10,080) that an execution may stay IN_PROGRESS, counted by the service: if this
/// device dies over it, it becomes TIMED_OUT and frees the way. `None`: as the job itself says.
const STEP_TIMEOUT_IN_MINUTES: Option<u32> = None;

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
        true => tell!(story, "Connecting to endpoint with client ID"), // a public log
        false => tell!(
            story,
            "Connecting to {} with client ID '{client_id}'...",
            settings.mqtt.endpoint
        ),
    }
    let (hint, hints) = mpsc::unbounded_channel();
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
        // The reason is still on its way.
        let reason = timeout(FAREWELL_LIMIT, listener.listen(&mut events));
        outcome = Err(reason.await.unwrap_or(SampleError::Ended));
    }
    match &outcome {
        Ok(Some(why)) => tell!(story, "Exiting Sample: {why}"),
        Ok(None) => {} // CI mode has said it
        Err(_) => tell!(
            story,
            "Exiting Sample: it can't go on; the reason is on stderr"
        ),
    }
    tell!(story, "Disconnecting...");
    device.disconnect(events).await;
    tell!(story, "Client Stopped.");
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
    which: ExecutionId,
    document: serde_json::Value,
    outcome: Outcome,
}

/// So long the end of the connection may take.
const FAREWELL_LIMIT: Duration = Duration::from_millis(1_500);
/// `statusDetails` take values of up to so many characters.
const LONGEST_DETAIL: usize = 1024;

impl Device {
    /// Everything a device does with its jobs. Ends only in CI mode, or when it can't go on.
    async fn do_jobs(
        &self,
        hints: mpsc::UnboundedReceiver<Hint>,
        hint: &mpsc::UnboundedSender<Hint>,
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

    /// Start the next, work, report; wait when there is none. For ever.
    async fn do_one_after_another(
        &self,
        mut hints: mpsc::UnboundedReceiver<Hint>,
    ) -> Result<(), SampleError> {
        let mut unreported: Option<Unreported> = None;
        let mut last = None;
        let mut backoff = self.backoff.clone();
        loop {
            listener::forget(&mut hints);
            tell!(self.story, "Trying to start the next job...");
            let execution = match self.start_next().await {
                Ok(Some(execution)) => execution,
                Ok(None) => {
                    backoff.reset();
                    // Quiet for too long, and an event may have been lost: then ask all the same.
                    let hinted = listener::hinted(&mut hints, last.as_ref());
                    let _ = timeout(self.idle_limit, hinted).await;
                    continue;
                }
                Err(error) if error.is_fatal() => return Err(error.into()),
                Err(error) => {
                    tell!(self.story, "Request to start next job failed: {error}");
                    sleep(backoff.next_wait()).await;
                    continue;
                }
            };
            let which = ExecutionId::of(&execution);
            last = Some(which.clone());
            // Work is done once. If the service did not take its report and hands the execution out
            // again, only the report is repeated.
            let done_before = unreported
                .take()
                .filter(|done| done.which == which && done.document == execution.job_document);
            let outcome = match done_before {
                Some(done) => {
                    tell!(self.story, "The work on it is done; reporting once more...");
                    sleep(backoff.next_wait()).await;
                    done.outcome
                }
                None => self.do_work(&execution).await,
            };
            match self.report(&execution, &outcome).await {
                Ok(()) => backoff.reset(),
                Err(error) if error.is_fatal() => return Err(error.into()),
                Err(error) => {
                    tell!(
                        self.story,
                        "Request to update job failed: {error}. Giving job_id:{} up.",
                        printable(&execution.job_id)
                    );
                    let document = execution.job_document;
                    unreported = Some(Unreported {
                        which,
                        document,
                        outcome,
                    });
                }
            }
        }
    }

    /// Asks for the first execution in line. `None` when nothing is pending.
    async fn start_next(&self) -> Result<Option<JobExecution>, RequestError> {
        tell!(self.story, "Publishing request to start next job...");
        let story = self.story.clone();
        let published = move || tell!(story, "Published request to start the next job.");
        let request = StartNext {
            step_timeout_in_minutes: STEP_TIMEOUT_IN_MINUTES,
            ..StartNext::default()
        };
        let started = self.jobs.start_next(&request, published).await?;
        match &started.execution {
            Some(execution) => tell!(
                self.story,
                "Request to start next job was accepted. job_id:{} job_document:{}",
                printable(&execution.job_id),
                printable(&execution.job_document.to_string())
            ),
            None => tell!(
                self.story,
                "Request to start next job was accepted, but there are no jobs to be done. Waiting \
                 for further jobs..."
            ),
        }
        Ok(started.execution)
    }

    /// Does the work on a thread of its own, so that it may block, and even panic.
    async fn do_work(&self, execution: &JobExecution) -> Outcome {
        tell!(self.story, "Starting local work on job...");
        self.working_on.send_replace(Some(execution.job_id.clone()));
        let (work, own) = (Arc::clone(&self.work), execution.clone());
        let outcome = match tokio::task::spawn_blocking(move || work(&own)).await {
            Ok(outcome) => outcome,
            Err(failed) if failed.is_panic() => Err(panic_reason(failed.into_panic())),
            Err(cancelled) => Err(cancelled.to_string()),
        };
        match &outcome {
            Ok(()) => tell!(self.story, "Done working on job."),
            Err(reason) => {
                tell!(self.story, "Work on job failed: {}", printable(reason));
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
        tell!(
            self.story,
            "Publishing request to update job status to {status}..."
        );
        let mut update = Update::of(execution, status);
        if let Err(reason) = outcome {
            update.status_details = details(reason);
        }
        let story = self.story.clone();
        let published = move || tell!(story, "Published request to update job.");
        let mut updated = self.jobs.update(&update, published).await;
        if outcome.is_err()
            && updated
                .as_ref()
                .is_err_and(RequestError::is_about_the_request)
        {
            // The reason is of the reader's making. It must not keep the job from being FAILED.
            update.status_details = details("see the device's own log");
            updated = self.jobs.update(&update, || {}).await;
        }
        self.working_on.send_replace(None);
        updated?;
        tell!(self.story, "Request to update job was accepted.");
        Ok(())
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
        let _ = timeout(FAREWELL_LIMIT, gone).await;
    }
}

/// The reason of a failure, as the service takes it: printable, not empty and not too long.
fn details(reason: &str) -> StatusDetails {
    let reason = match reason.trim() {
        "" => "no reason was given",
        reason => reason,
    };
    let reason = cut(&printable(reason), LONGEST_DETAIL).into_owned();
    StatusDetails::from([("reason".to_owned(), reason)])
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
