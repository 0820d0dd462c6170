//! What a device does with its jobs: start the next, work, report, wait for more. Others call it the
//! jobs agent.
//!
//! [`run`] is the whole of a device that does jobs. Or, with the loop in your own hands:
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
//! - `job`, `outcome`: what the work holds, and how it ends
//! - `supervise`: has the work done, and sees to it that it ends
//! - `report`: an update that is repeated until the service has taken it, or no longer wants it
//! - `background`: reports the progress, and watches whether the job is still wanted
//! - `listed`, `unreadable`: what is started when it is not simply the next; `starts`: how often
//! - `running`, `context`: what these share
//! - `event`, `error`, `options`: what is told, why an agent ends, and how it does its jobs

use std::pin::pin;
use std::sync::Arc;

use tokio::time::{sleep, timeout};

mod background;
mod context;
mod error;
mod event;
mod job;
mod listed;
mod options;
mod outcome;
mod report;
mod running;
mod starts;
mod supervise;
mod unreadable;

pub use error::Error;
pub use event::Event;
pub use job::Job;
pub use options::{Filter, Options};
pub use outcome::{CheckpointError, Interrupted, Outcome, ReportResult, Unwanted, WorkResult};

use context::{Context, State};
use unreadable::Unblocked;

use crate::jobs::{self, ExecutionId, JobExecution, JobId, Operation, RequestError, StartNext};
use crate::mqtt::{Backoff, Events};

/// Does the jobs of a thing, one at a time, in the order in which the service hands them out.
pub struct Agent {
    context: Arc<Context>,
    /// The pauses after a start that failed, or that led to nothing.
    backoff: Backoff,
    /// What was started last, and how many reports the service had taken by then.
    last: Option<(ExecutionId, u64)>,
    /// Jobs in a row that led to nothing.
    fruitless: u32,
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
/// told to stop.
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
            backoff: options.backoff.clone(),
            context: Context::new(jobs.clone(), options),
            last: None,
            fruitless: 0,
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
    /// # Errors
    /// [`Error::Request`] if there is no going on: the policy denies what is needed and always did, or
    /// the connection has ended for good. [`Error::WorkOverdue`] if work does not end when it is to.
    pub async fn run<W>(&mut self, work: W) -> Result<End, Error>
    where
        W: AsyncFn(&Job) -> WorkResult + Send + Sync + 'static,
    {
        let work = Arc::new(work);
        while let Some(job) = self.next().await? {
            let work = Arc::clone(&work);
            let working = job.run(async move |job: &Job| work(job).await);
            let outcome = supervise::work_on(&self.context, &job, working).await?;
            job.finish(outcome).await?;
        }
        Ok(self.end())
    }

    /// The same, with the work on the task that calls this: it must wait and not block, and a panic in it
    /// is the caller's. For a device with one thread, and for simulations in virtual time.
    ///
    /// # Errors
    /// See [`Agent::run`].
    pub async fn run_here(&mut self, work: impl AsyncFn(&Job) -> WorkResult) -> Result<End, Error> {
        while let Some(job) = self.next().await? {
            let working = async { Outcome::from(work(&job).await) };
            let outcome = supervise::work_on(&self.context, &job, working).await?;
            job.finish(outcome).await?;
        }
        Ok(self.end())
    }

    fn end(&self) -> End {
        match self.context.state() {
            State::Left(job_id) => End::LeftInProgress(job_id),
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
    /// If there is no going on: see [`RequestError::is_fatal`].
    pub async fn next(&mut self) -> Result<Option<Job>, RequestError> {
        let context = Arc::clone(&self.context);
        let mut over = pin!(context.is_over());
        loop {
            // What was told so far is in line before this request.
            let signs = context.jobs.queue().borrow().signs;
            let step = async {
                match self.start().await? {
                    Some(execution) => self.begin(execution).await,
                    None => self.wait_for_more(signs).await.map(|()| None),
                }
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

    /// Starts the next execution. `None` if there is none.
    async fn start(&mut self) -> Result<Option<JobExecution>, RequestError> {
        let context = Arc::clone(&self.context);
        loop {
            context.emit(Event::Starting);
            let started = match &context.options.filter {
                Some(filter) => listed::start_first(&context, |one| filter(one)).await,
                None => self.start_first_in_line().await,
            };
            let error = match started {
                Ok(execution) => return Ok(execution),
                Err(error) if error.is_fatal() => return Err(error),
                Err(error) => error,
            };
            context.emit(Event::StartFailed(error.clone()));
            match unreadable::unblock(&context, &error).await {
                Ok(Unblocked::Rejected) => {}
                Ok(Unblocked::Bypassed(execution)) => return Ok(Some(execution)),
                Ok(Unblocked::NothingElse) => return Ok(None),
                Err(_) => sleep(self.backoff.next_wait()).await,
            }
        }
    }

    async fn start_first_in_line(&self) -> Result<Option<JobExecution>, RequestError> {
        let jobs = &self.context.jobs;
        let request = StartNext {
            step_timeout_in_minutes: self.context.options.step_timeout_in_minutes,
            ..StartNext::default()
        };
        let max_tries = Some(jobs.options().max_tries);
        let published = || self.context.emit(Event::StartPublished);
        let reply = jobs.send_with(request, max_tries, published).await?;
        Ok(reply.execution)
    }

    /// Wraps an execution that was started as a [`Job`]. `None` if it was started too often already.
    async fn begin(&mut self, execution: JobExecution) -> Result<Option<Job>, RequestError> {
        let (id, accepted) = (execution.id(), self.context.accepted());
        let before = self.last.replace((id.clone(), accepted));
        // A service that contradicts itself (it starts what it has called CANCELED, or once more what
        // we have ended) must not have us start a job many times a second.
        let led_to_nothing =
            before.is_some_and(|(last, reports)| last == id || reports == accepted);
        if !led_to_nothing {
            self.fruitless = 0;
            self.backoff.reset();
        } else if self.fruitless == 0 {
            self.fruitless = 1; // one job that was canceled proves nothing
        } else {
            sleep(self.backoff.next_wait()).await;
        }
        let started = Event::Started(Arc::new(execution.clone()));
        self.context.emit(started);
        starts::counted(&self.context, execution).await
    }

    /// Returns when there may be something to start: the service has said so, a lost session may have
    /// swallowed that it did, or nothing was heard for [`Options::idle_timeout`].
    async fn wait_for_more(&mut self, signs: u64) -> Result<(), RequestError> {
        let context = &self.context;
        context.emit(Event::NothingToStart);
        self.backoff.reset();
        let mut queue = context.jobs.queue();
        tokio::select! {
            biased;
            _ = timeout(context.options.idle_timeout, queue.wait_for(|now| now.signs > signs)) => Ok(()),
            error = context.jobs.denied() => {
                let operation = Operation::StartNext;
                Err(RequestError::Subscribe { operation, error })
            }
            error = context.connection_ended(Operation::StartNext) => Err(error),
        }
    }
}

impl Stopper {
    /// Tells the agent to stop: it starts no more, and the work hears of it. Returns at once.
    pub fn stop(&self) {
        self.0.stop();
    }
}
