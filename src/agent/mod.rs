//! What a device does with its jobs: start the next, work, report, wait for more. Others call it the
//! jobs agent.
//!
//! [`run`] is the whole of a device that does jobs. Or, with a loop of your own:
//!
//! ```no_run
//! # use jobs_mqtt5::agent::{Agent, Job, Outcome, WorkResult};
//! # use jobs_mqtt5::jobs;
//! # async fn work(_: &Job) -> WorkResult { Ok(Outcome::succeeded()) }
//! # async fn device(jobs: jobs::Client) -> Result<(), Box<dyn std::error::Error>> {
//! let mut agent = Agent::new(&jobs);
//! while let Some(job) = agent.next().await? {
//!     let outcome = work(&job).await;
//!     job.finish(outcome).await?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! - `start`: starts the next, or the first that is for this program and for now
//! - `job`, `outcome`: what the work holds, and how it ends
//! - `supervise`: has the work done, and sees to it that it ends
//! - `report`: an update that is repeated until the service has taken it, or no longer wants it
//! - `background`: reports the progress, and watches whether the job is still wanted
//! - `running`: what these share
//! - `event`, `error`, `options`: what is told, why an agent ends, and how it does its jobs

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tracing::warn;

mod background;
mod error;
mod event;
mod job;
mod options;
mod outcome;
mod report;
mod running;
mod start;
mod supervise;

pub use error::{Error, Interrupted, Unwanted};
pub use event::Event;
pub use job::Job;
pub use options::{Decision, Filter, Options};
pub use outcome::{Outcome, ReportResult, WorkResult};

use running::{Context, State};
use start::Started;

use crate::jobs::{self, JobExecution, JobId, Operation, RequestError};
use crate::mqtt::{Backoff, Events};

/// So many starts in a row without a report that the service took are nothing unusual: a job may have
/// been canceled.
const UNUSUAL_STARTS: u32 = 3;

/// Does the jobs of a thing, one at a time, in the order in which the service hands them out.
pub struct Agent {
    context: Arc<Context>,
    /// Counts the starts since the service last took a report, and paces them.
    unreported_starts: Backoff,
}

/// Tells an agent to stop. Cheap to clone.
#[derive(Clone)]
pub struct Stopper(Arc<Context>);

/// How an agent ended that ended as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// It was told to stop.
    Stopped,
    /// This job was left IN_PROGRESS on purpose, for the next run of the program.
    LeftInProgress(JobId),
}

/// The whole of a device that does jobs: starts each, has it worked on, reports how that ended, and
/// waits for more. Ends when a job is left IN_PROGRESS on purpose; an [`Agent`] of your own can also be
/// told to stop. Safe to cancel as [`Agent::run`] is.
///
/// # Errors
/// See [`Agent::run`].
pub async fn run<W>(jobs: &jobs::Client, work: W) -> Result<End, Error>
where
    W: AsyncFn(&Job) -> WorkResult + Send + Sync + 'static,
{
    Agent::new(jobs).run(work).await
}

impl Agent {
    /// An agent for the jobs of this client's thing.
    pub fn new(jobs: &jobs::Client) -> Self {
        Self::with_options(jobs, Options::default())
    }

    /// The same, with other options.
    pub fn with_options(jobs: &jobs::Client, options: Options) -> Self {
        Self {
            unreported_starts: options.backoff.clone(),
            context: Context::new(jobs.clone(), options),
        }
    }

    /// What it does, and what the service tells it, from now on.
    pub fn events(&self) -> Events<Event> {
        Events::of(&self.context.events)
    }

    /// What tells it to stop, from wherever that is known.
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.context))
    }

    /// Does jobs until it is told to stop, or one is left IN_PROGRESS on purpose. Only one is worked on
    /// at a time, on a thread of its own: it may block as well as wait, and panic. Told to stop, it waits
    /// for the work to end, and for its report.
    ///
    /// Dropping the future ends it as well: the work is told to, but not waited for. The next run of this
    /// client's jobs waits for it before it works on another.
    ///
    /// # Errors
    /// [`Error::Request`] if there is no going on: the policy denies what is needed and always did, or
    /// the connection has ended permanently. [`Error::WorkOverdue`] if work does not end when it is to.
    pub async fn run<W>(&mut self, work: W) -> Result<End, Error>
    where
        W: AsyncFn(&Job) -> WorkResult + Send + Sync + 'static,
    {
        let work = Arc::new(work);
        while let Some(job) = self.next().await? {
            let work = Arc::clone(&work);
            let working = job.run(async move |job: &Job| work(job).await);
            let outcome = supervise::work_on(&self.context, &job.running, working).await?;
            job.finish(outcome).await?;
        }
        Ok(self.end())
    }

    /// The same, with the work on the task that calls this: it must wait and not block, and a panic in it
    /// is the caller's. For a device with one thread, and for simulations in virtual time. Dropping the
    /// future drops the work.
    ///
    /// # Errors
    /// See [`Agent::run`].
    pub async fn run_here(&mut self, work: impl AsyncFn(&Job) -> WorkResult) -> Result<End, Error> {
        while let Some(job) = self.next().await? {
            let working = async { Outcome::from(work(&job).await) };
            let outcome = supervise::work_on(&self.context, &job.running, working).await?;
            job.finish(outcome).await?;
        }
        Ok(self.end())
    }

    fn end(&self) -> End {
        match &*self.context.state.borrow() {
            State::LeftInProgress(job_id) => End::LeftInProgress(job_id.clone()),
            _ => End::Stopped,
        }
    }

    /// The next job: waits for one if there is none. `None` when it was told to stop, or when the job
    /// before was left IN_PROGRESS on purpose. Safe to cancel: a job that was started meanwhile is
    /// given out again.
    ///
    /// A service that does not answer, or rejects the request, is asked again; an execution that can't
    /// be read is REJECTED, and the one behind it started.
    ///
    /// # Errors
    /// [`Error::Request`] if there is no going on: see [`RequestError::is_fatal`].
    /// [`Error::WorkOverdue`] if work on an earlier job, which was dropped, does not end.
    pub async fn next(&mut self) -> Result<Option<Job>, Error> {
        let context = Arc::clone(&self.context);
        let mut over = pin!(context.is(|state| *state != State::Running));
        let mut was_told = true;
        loop {
            // What was told so far is in line before this request.
            let changes = context.jobs.queue().borrow().changes;
            let step = async {
                let execution = match start::start(&context).await? {
                    Started::Execution(execution) => execution,
                    Started::Nothing(wait) => {
                        was_told = self.wait_for_more(changes, wait).await?;
                        return Ok::<_, Error>(None);
                    }
                };
                if !was_told {
                    let job_id = &execution.job_id;
                    warn!("no event has told of job_id:{job_id}: subscribing once more");
                    context.jobs.mqtt().subscribe_again();
                }
                self.begin(execution).await.map(Some)
            };
            tokio::select! {
                biased;
                () = &mut over => return Ok(None),
                job = step => if let Some(job) = job? {
                    return Ok(Some(job));
                },
            }
        }
    }

    /// Wraps an execution that was started as a [`Job`], once no other job is worked on.
    async fn begin(&mut self, execution: JobExecution) -> Result<Job, Error> {
        let context = &self.context;
        // A service that contradicts itself (it starts what it has called CANCELED, or once more what
        // we have ended) must not have us start a job many times a second.
        let reported = context.note_reported(None);
        if reported.is_some_and(|reported| reported != execution.id()) {
            self.unreported_starts.reset();
        }
        let wait = self.unreported_starts.next_wait();
        if self.unreported_starts.failures() >= UNUSUAL_STARTS {
            sleep(wait).await;
        }
        let limit = context.options.overdue_limit;
        let working = Arc::clone(context.jobs.working()).lock_owned();
        let Ok(working) = timeout(limit, working).await else {
            let (job_id, after) = (execution.job_id, limit);
            return Err(Error::WorkOverdue { job_id, after });
        };
        context.emit(Event::Started(Arc::new(execution.clone())));
        Ok(Job::new(context, execution, working))
    }

    /// Returns when there may be something to start: the service has said so, a lost session may have
    /// swallowed that it did, what was put off is due (`true`), or nothing was heard for
    /// [`Options::idle_timeout`] (`false`).
    async fn wait_for_more(
        &mut self,
        changes: u64,
        put_off: Option<Duration>,
    ) -> Result<bool, RequestError> {
        let context = &self.context;
        context.emit(Event::NothingToStart);
        self.unreported_starts.reset();
        let mut queue = context.jobs.queue();
        let changed = queue.wait_for(|now| now.changes > changes);
        let idle = context.options.idle_timeout;
        tokio::select! {
            biased;
            changed = timeout(put_off.unwrap_or(idle).min(idle), changed) => {
                Ok(changed.is_ok() || put_off.is_some())
            }
            error = context.jobs.denied(Operation::StartNext) => Err(error),
            error = context.connection_ended(Operation::StartNext) => Err(error),
        }
    }
}

impl Stopper {
    /// Tells the agent to stop: it starts no more, and the work hears of it. Returns at once.
    pub fn stop(&self) {
        self.0.state.send_replace(State::Stopping);
    }
}
