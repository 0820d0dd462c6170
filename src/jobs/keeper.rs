//! What goes on beside the work on a job: reporting progress, and listening whether it is still wanted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;

use super::Event;
use super::client::Client;
use super::details::StatusDetails;
use super::error::RequestError;
use super::model::{JobExecution, JobStatus};
use super::outcome::Unwanted;
use super::report::{Known, Report};
use super::requests::{Describe, Update};

/// The work hears that its job has ended after this time at the latest, known how or not.
const ENDING_LIMIT: Duration = Duration::from_secs(1);

/// What a job shares with its keeper.
pub(super) struct Shared {
    pub client: Client,
    pub execution: JobExecution,
    /// The progress that the work reported last. `None`: none, or a checkpoint took its place.
    pub progress: watch::Sender<Option<StatusDetails>>,
    pub unwanted: watch::Sender<Option<Unwanted>>,
    /// What the service has. Whoever holds it may send an update: one at a time.
    known: Arc<Mutex<Known>>,
    said_another: AtomicBool,
}

impl Shared {
    pub fn new(client: &Client, execution: JobExecution) -> Self {
        Self {
            client: client.clone(),
            progress: watch::Sender::new(None),
            unwanted: watch::Sender::new(None),
            known: Arc::new(Mutex::new(Known::from(&execution))),
            said_another: AtomicBool::new(false),
            execution,
        }
    }

    /// The right to send an update.
    pub async fn known(&self) -> OwnedMutexGuard<Known> {
        Arc::clone(&self.known).lock_owned().await
    }

    /// The execution as the service has it now, or why it is not wanted any more.
    pub async fn look(
        &self,
        document: bool,
    ) -> Result<Result<JobExecution, Unwanted>, RequestError> {
        let mut describe = Describe::job(&self.execution.job_id);
        describe.execution_number = Some(self.execution.execution_number);
        describe.include_job_document = document;
        let found = match self.client.ask(describe).await {
            Ok(reply) => reply.execution,
            Err(error) => return error.says_it_is_gone().map(Err).ok_or(error),
        };
        let ours = found.filter(|found| found.id() == self.execution.id());
        Ok(ours.ok_or(Unwanted::Deleted))
    }

    /// Somebody else has changed the execution that we work on. (Is told once.)
    pub fn say_another(&self) {
        if !self.said_another.swap(true, Ordering::Relaxed) {
            let job_id = self.execution.job_id.clone();
            self.client.0.inbox.tell(Event::AnotherWorks { job_id });
        }
    }

    /// The service does not want the job any more.
    pub fn no_longer_wanted(&self, why: &Unwanted) {
        self.unwanted.send_if_modified(|so_far| {
            let first = so_far.is_none();
            *so_far = so_far.take().or_else(|| Some(why.clone()));
            first
        });
    }
}

/// Keeps a job in hand, until it is aborted.
pub(super) async fn keep(job: Arc<Shared>, progress: watch::Receiver<Option<StatusDetails>>) {
    tokio::join!(report_progress(&job, progress), listen(&job));
}

/// Reports the latest progress, one update at a time and not too often.
async fn report_progress(job: &Arc<Shared>, mut progress: watch::Receiver<Option<StatusDetails>>) {
    let options = &job.client.0.options;
    while progress.changed().await.is_ok() {
        let known = job.known().await;
        let Some(details) = progress.borrow_and_update().clone() else {
            continue; // a checkpoint took its place
        };
        let next = Instant::now() + options.progress_interval;
        let report = Report {
            job: Arc::clone(job),
            known,
            status: JobStatus::InProgress,
            details,
            most_tries: Some(options.tries),
        };
        let told = report.send(None).await;
        if job.unwanted.borrow().is_some() {
            return; // nobody wants to hear of it
        }
        if let Err(error) = told {
            debug!("a progress was not reported: {error}"); // a later one takes its place
        }
        sleep_until(next).await;
    }
}

/// Listens for signs that the job is not wanted any more, and asks the service about each.
///
/// While a job is IN_PROGRESS it is the first in line. So when the service names another one, or
/// none, it has ended or is gone; and in a lost session, that may have gone unheard.
async fn listen(job: &Shared) {
    let id = job.execution.id();
    let mut first_in_line = job.client.0.inbox.first_in_line.subscribe();
    let mut session = job.client.0.mqtt.session();
    loop {
        let is_first = match &*first_in_line.borrow_and_update() {
            Some(first) => first.as_ref() == Some(&id),
            None => true, // nobody has said otherwise
        };
        if !is_first {
            ask(job).await;
        }
        tokio::select! {
            named = first_in_line.changed() => if named.is_err() {
                return;
            },
            begun = job.client.0.mqtt.session_after(session) => {
                if begun.is_err() {
                    return;
                }
                session = job.client.0.mqtt.session();
                ask(job).await;
            }
        }
    }
}

/// Asks the service whether the job is still to be done. (What it said last may be older than the
/// start of this job.)
async fn ask(job: &Shared) {
    let why = match job.look(false).await {
        Ok(Ok(execution)) if execution.status == JobStatus::InProgress => return,
        Ok(Ok(execution)) => Unwanted::Ended(Some(execution.status)),
        Ok(Err(Unwanted::Ended(_))) => how_it_ended(job).await,
        Ok(Err(why)) => why,
        Err(error) => return debug!("whether the job is still wanted is not known: {error}"),
    };
    if let Unwanted::Ended(Some(JobStatus::Succeeded | JobStatus::Failed | JobStatus::Rejected)) =
        why
    {
        job.say_another(); // only a device says that, and this one has not
    }
    job.no_longer_wanted(&why);
}

/// An execution that has ended is not described, but the refusal of an update tells its status.
async fn how_it_ended(job: &Shared) -> Unwanted {
    let update = Update::of(&job.execution, JobStatus::InProgress);
    let refused = timeout(ENDING_LIMIT, job.client.ask(update)).await;
    let status = match refused {
        Ok(Err(RequestError::Rejected { rejection, .. })) => rejection.execution_state,
        _ => None,
    };
    let status = status.map(|state| state.status);
    Unwanted::Ended(status.filter(JobStatus::is_terminal))
}
