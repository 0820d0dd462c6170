//! The story: describe what is pending, start the next, work, report, wait for more. [`work`] is where
//! your own work goes; the rest is for every device that does jobs. The list at the start is in
//! `pending.rs`; what is heard on the side (the connection, events) in `listener.rs`.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::jobs::{self, Asked, ExecutionReply, Job, Outcome, RequestError, Verdict, WorkResult};
use crate::mqtt::{self, Backoff};
use crate::story::{Story, tell};
use crate::text::printable;

mod listener;
mod pending;
mod settings;

pub use settings::{SampleError, Settings};

use listener::Listener;

/// **Your work goes here.**
///
/// It gets the job in hand: its document, how to report progress, whether it is still wanted, and
/// whether the program was told to stop. It runs on a thread of its own, so it may block as well as
/// wait, and no panic in it ends the program. Only one runs at a time. `job_time` is how long the
/// simulated work lasts.
///
/// # Errors
/// The reason why the job could not be done. The execution is then FAILED, with this reason in its
/// status details, and the next one is started.
pub async fn work(job: &Job, job_time: Duration) -> WorkResult {
    tokio::select! {
        () = sleep(job_time) => Ok(Outcome::succeeded()),
        why = job.until_unwanted() => Err(why.to_string().into()),
        () = job.until_stopping() => Ok(Outcome::LeftInProgress),
    }
}

/// How long the work may take to end after the program was told to stop.
const STOP_LIMIT: Duration = Duration::from_secs(1);
/// How long the end of the connection may take.
const FAREWELL_LIMIT: Duration = Duration::from_millis(1_500);
/// The first start is told after the descriptions, unless they take longer than this.
const DESCRIPTIONS_FIRST: Duration = Duration::from_secs(1);

/// Does jobs until `stop` resolves, to the reason in words.
///
/// # Errors
/// What ended it otherwise, in words for the user: a connection that no waiting brings about, a
/// policy that forbids what is needed, or in CI mode, that there is no job.
pub async fn run(
    settings: Settings,
    work: impl AsyncFn(Job) -> WorkResult + Clone + Send + Sync + 'static,
    story: &Story,
    stop: impl Future<Output = &'static str>,
) -> Result<(), SampleError> {
    match settings.ci {
        true => tell!(story, "Connecting to endpoint with client ID"), // a public log
        false => tell!(
            story,
            "Connecting to {} with client ID '{}'...",
            settings.mqtt.endpoint,
            printable(&settings.mqtt.client_id)
        ),
    }
    let (mqtt, mut events) = mqtt::connect(settings.mqtt.clone());
    let jobs = jobs::Client::with(&mqtt, &settings.thing_name, settings.jobs.clone());
    let mut listener = Listener::new(story.clone(), jobs.events(), settings.mqtt);
    let device = Device {
        jobs,
        mqtt,
        story: story.clone(),
        work,
        ci: settings.ci,
        backoff: settings.jobs.backoff,
        in_hand: watch::Sender::new(None),
    };
    let mut doing = pin!(device.do_jobs());
    let mut outcome = tokio::select! {
        biased;
        ended = &mut doing => ended,
        failed = listener.listen(&mut events) => Err(failed),
        why = stop => {
            device.jobs.stop();
            if device.in_hand.borrow().is_some() {
                let _ = timeout(STOP_LIMIT, doing).await;
            }
            Ok(Some(match &*device.in_hand.borrow() {
                Some(what) => format!("{why}; {what} the next run takes it up again"),
                None => why.to_owned(),
            }))
        }
    };
    if let Err(SampleError::Ended) = outcome {
        // The reason is still on its way.
        let reason = timeout(FAREWELL_LIMIT, listener.listen(&mut events));
        outcome = Err(reason.await.unwrap_or(SampleError::Ended));
    }
    match &outcome {
        Ok(Some(why)) => tell!(story, "Exiting Sample: {why}"),
        Ok(None) => {} // CI mode has said it
        Err(_) if story.is_one_text() => tell!(story, "Exiting Sample: it can't go on"),
        Err(_) => tell!(
            story,
            "Exiting Sample: it can't go on; the reason is on stderr"
        ),
    }
    tell!(story, "Disconnecting...");
    device.mqtt.disconnect();
    let _ = timeout(FAREWELL_LIMIT, async {
        while events.next().await.is_some() {}
    })
    .await;
    tell!(story, "Client Stopped.");
    outcome.map(drop)
}

/// A device that does jobs: one at a time, in the order in which the service hands them out.
struct Device<W> {
    jobs: jobs::Client,
    mqtt: mqtt::Client,
    story: Story,
    work: W,
    ci: bool,
    backoff: Backoff,
    /// What becomes of the job under way if the program is told to stop now.
    in_hand: watch::Sender<Option<String>>,
}

impl<W: AsyncFn(Job) -> WorkResult + Clone + Send + Sync + 'static> Device<W> {
    /// Everything a device does with its jobs. Ends only in CI mode, when it is told to, or when it
    /// can't go on.
    async fn do_jobs(&self) -> Result<Option<String>, SampleError> {
        let pending = self.list_pending().await?;
        if self.ci {
            let none_pending = pending.is_empty();
            self.describe(pending).await?;
            return self.end_ci(none_pending);
        }
        // Neither waits for the other: the descriptions and the first start leave together.
        let jobs = self.jobs.clone();
        let first = tokio::spawn(async move { jobs.publish_start_next().await });
        let mut describing = pin!(self.describe(pending));
        let described = timeout(DESCRIPTIONS_FIRST, &mut describing).await;
        let is_described = described.is_ok();
        described.unwrap_or(Ok(()))?;
        let first = first.await.unwrap_or(Err(mqtt::PublishError::Ended.into()));
        tokio::select! {
            biased;
            ended = self.do_one_after_another(first) => ended,
            Err(failed) = async {
                if !is_described {
                    describing.await?;
                }
                self.list_again_in_each_new_session().await
            } => Err(failed),
        }
    }

    /// Start the next, work, report; wait when there is none. The first start has left already.
    async fn do_one_after_another(
        &self,
        first: Result<Asked<ExecutionReply>, RequestError>,
    ) -> Result<Option<String>, SampleError> {
        let mut first = Some(first);
        let mut backoff = self.backoff.clone();
        while !self.jobs.is_stopping() {
            tell!(self.story, "Trying to start the next job...");
            let job = match self.start_next(first.take()).await {
                Ok(Some(job)) => job,
                Ok(None) => {
                    backoff.reset();
                    self.jobs.changed().await?;
                    continue;
                }
                Err(error) if error.is_fatal() => return Err(error.into()),
                Err(error) => {
                    tell!(self.story, "Request to start next job failed: {error}");
                    if self.jobs.reject_unreadable(error).await.is_err() {
                        sleep(backoff.next_wait()).await;
                    }
                    continue;
                }
            };
            let outcome = self.do_work(&job).await;
            if outcome == Outcome::LeftInProgress && job.unwanted().is_none() {
                let job_id = printable(job.id());
                return Ok(Some(format!(
                    "job_id:{job_id} is left IN_PROGRESS, and the next run takes it up again"
                )));
            }
            self.report(job, outcome).await?;
            self.in_hand.send_replace(None);
            backoff.reset();
        }
        Ok(None)
    }

    /// Asks for the first execution in line. `None` when nothing is pending.
    async fn start_next(
        &self,
        published: Option<Result<Asked<ExecutionReply>, RequestError>>,
    ) -> Result<Option<Job>, RequestError> {
        tell!(self.story, "Publishing request to start next job...");
        let request = match published {
            Some(published) => published?,
            None => self.jobs.publish_start_next().await?,
        };
        tell!(self.story, "Published request to start the next job.");
        let job = self.jobs.job(request.reply().await?);
        match &job {
            Some(job) => tell!(
                self.story,
                "Request to start next job was accepted. job_id:{} job_document:{}",
                printable(job.id()),
                printable(job.execution().job_document.text())
            ),
            None => tell!(
                self.story,
                "Request to start next job was accepted, but there are no jobs to be done. Waiting \
                 for further jobs..."
            ),
        }
        Ok(job)
    }

    /// Does the work, and tells if the job is not wanted any more meanwhile.
    async fn do_work(&self, job: &Job) -> Outcome {
        tell!(self.story, "Starting local work on job...");
        let job_id = printable(job.id());
        let unfinished = format!("job_id:{job_id} stays IN_PROGRESS, and");
        self.in_hand.send_replace(Some(unfinished));
        let mut working = pin!(job.run(self.work.clone()));
        let outcome = tokio::select! {
            biased;
            outcome = &mut working => outcome,
            why = job.until_unwanted() => {
                tell!(self.story, "job_id:{job_id} is not wanted any more: {why}.");
                working.await
            }
        };
        match &outcome {
            Outcome::Failed(reason) => {
                tell!(self.story, "Work on job failed: {}", printable(reason));
            }
            Outcome::Rejected(reason) => {
                tell!(self.story, "Job refused: {}", printable(reason));
            }
            Outcome::LeftInProgress => tell!(self.story, "Stopped working on job."),
            _ => tell!(self.story, "Done working on job."),
        }
        outcome
    }

    /// Reports how the work ended: SUCCEEDED, FAILED or REJECTED.
    async fn report(&self, job: Job, outcome: Outcome) -> Result<(), RequestError> {
        let job_id = printable(job.id()).into_owned();
        if let Some(why) = job.unwanted() {
            tell!(
                self.story,
                "How it ended is not reported: {why}. Giving job_id:{job_id} up."
            );
            return Ok(());
        }
        let status = outcome.status();
        tell!(
            self.story,
            "Publishing request to update job status to {status}..."
        );
        let untold = format!("the report on job_id:{job_id} may not have arrived, and if so,");
        self.in_hand.send_replace(Some(untold));
        let report = job.report(outcome).await?;
        tell!(self.story, "Published request to update job.");
        match report.reply().await? {
            Verdict::Unwanted(why) => {
                tell!(
                    self.story,
                    "Request to update job failed: {why}. Giving job_id:{job_id} up."
                );
            }
            _ => tell!(self.story, "Request to update job was accepted."),
        }
        Ok(())
    }
}
