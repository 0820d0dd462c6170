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
//! - `inbox`: takes what comes in: replies and events; which execution is the first in line
//! - `requests`, `model`, `document`, `details`, `job_id`, `timestamp`: what can be asked, and what is answered
//! - `error`: why a request failed
//! - `topics`: every topic string

mod client;
mod details;
mod document;
mod error;
mod exchange;
mod inbox;
mod job_id;
mod model;
mod requests;
mod timestamp;
mod topics;

pub use client::{Client, Options};
pub use details::{DetailError, StatusDetails};
pub use document::JobDocument;
pub use error::{RequestError, RequestErrorKind};
pub use inbox::{Event, First, Queue};
pub use job_id::{ExecutionId, JobId, JobIdError};
pub use model::{
    ErrorCode, ExecutionReply, ExecutionState, JobExecution, JobExecutionSummary, JobStatus,
    PendingJobExecutions, Rejection, UpdatedExecution,
};
pub use requests::{Describe, GetPending, Request, StartNext, Update};
pub use timestamp::Timestamp;
pub use topics::{Incoming, Operation, Topics};
