//! AWS IoT Jobs as typed requests, replies and events: AWS's `IotJobsClient`, and nothing else.
//!
//! A [`Client`] stands on a connection that it shares with whatever else the device does:
//!
//! ```no_run
//! # use jobs_mqtt5::{jobs, mqtt};
//! # async fn device(mqtt: mqtt::Client) -> Result<(), jobs::RequestError> {
//! let jobs = jobs::Client::new(&mqtt, "my-thing");
//! for job in jobs.get_pending().await?.queued_jobs {
//!     println!("{} is queued", job.job_id);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! What a device does with its jobs is in [`agent`](crate::agent), which stands on this.
//!
//! - `client`: the four operations, and what comes unasked
//! - `exchange`: one request and the reply that belongs to it
//! - `inbox`: sorts what comes in
//! - `queue`: which execution is the first in line
//! - `worked`: what has worked so far
//! - `requests`, `model`, `details`, `job_id`, `execution_id`, `timestamp`: what can be asked, and what is answered
//! - `event`, `error`, `options`: what happens unasked, why a request failed, how patient a client is
//! - `topics`: every topic string

mod client;
mod details;
mod error;
mod event;
mod exchange;
mod execution_id;
mod inbox;
mod job_id;
mod model;
mod options;
mod queue;
mod requests;
mod timestamp;
mod topics;
mod worked;

pub use client::Client;
pub use details::{DetailError, StatusDetails};
pub use error::{RequestError, RequestErrorKind, TryError};
pub use event::Event;
pub use execution_id::ExecutionId;
pub use job_id::{JobId, JobIdError};
pub use model::{
    ErrorCode, ExecutionReply, ExecutionState, JobDocument, JobExecution, JobExecutionSummary,
    JobStatus, PendingJobExecutions, Rejection, UpdatedExecution,
};
pub use options::Options;
pub use queue::{First, Queue};
pub use requests::{Describe, GetPending, Request, StartNext, Update};
pub use timestamp::Timestamp;
pub use topics::{Incoming, Operation, Topics};
