//! AWS IoT Jobs: typed requests, replies and events, and the job in hand.
//!
//! A [`Client`] stands on a connection that it shares with whatever else the device does:
//!
//! ```no_run
//! # use jobs_mqtt5::{jobs, mqtt};
//! # async fn work(_: &jobs::Job) -> jobs::WorkResult { Ok(jobs::Outcome::succeeded()) }
//! # async fn device(mqtt: mqtt::Client) -> Result<(), Box<dyn std::error::Error>> {
//! let jobs = jobs::Client::new(&mqtt, "my-thing");
//! loop {
//!     let Some(job) = jobs.start_next().await? else { jobs.changed().await?; continue };
//!     let outcome = work(&job).await;
//!     job.finish(outcome).await?;
//! }
//! # }
//! ```
//!
//! Take this folder, and `mqtt` which it stands on, into a program of your own.
//!
//! - `client`: asks for jobs, and tells what comes unasked
//! - `job`, `outcome`: the job in hand, and how the work on it ends
//! - `report`: an update that is repeated until the service has a verdict
//! - `keeper`: what goes on beside the work: progress, and whether the job is still wanted
//! - `unreadable`: gets an execution that can't be read out of the way
//! - `exchange`: one request and the reply that belongs to it
//! - `inbox`: sorts what comes in, and knows what has worked so far
//! - `requests`, `model`, `details`, `timestamp`: what can be asked, and what is answered
//! - `error`, `options`: why a request came to nothing, and how patiently it is asked
//! - `topics`: every topic string

use std::sync::Arc;

mod client;
mod details;
mod error;
mod exchange;
mod inbox;
mod job;
mod keeper;
mod model;
mod options;
mod outcome;
mod report;
mod requests;
mod timestamp;
mod topics;
mod unreadable;

pub use client::Client;
pub use details::{DetailError, StatusDetails};
pub use error::RequestError;
pub use exchange::Asked;
pub use job::Job;
pub use model::{
    ErrorCode, ExecutionReply, ExecutionState, JobDocument, JobExecution, JobExecutionSummary,
    JobStatus, PendingJobExecutions, Rejection, UpdatedExecution,
};
pub use options::Options;
pub use outcome::{Outcome, ReportError, Unwanted, WorkResult};
pub use report::Verdict;
pub use requests::{Describe, GetPending, Request, StartNext, Update};
pub use timestamp::Timestamp;
pub use topics::{Incoming, Operation, Topics};

/// What happens without having been asked for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// `NextJobExecutionChanged`: another execution is the first in line now, or (`None`) none is.
    NextJobExecutionChanged(Option<Arc<JobExecution>>),
    /// A request was not answered, or in vain, and is sent again: one sentence.
    Trouble(String),
    /// The policy does not allow any more what it has allowed before; it is tried again, after long
    /// waits. One sentence, with the statement that is missing.
    Denied(String),
    /// Somebody else has changed the job execution that this device works on: most likely a second
    /// program does the jobs of this thing as well.
    AnotherWorks {
        /// The job.
        job_id: String,
    },
}
