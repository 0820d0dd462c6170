//! The service client: AWS IoT Jobs as typed requests, replies and events.
//!
//! [`connect`] gives a [`Client`] that asks, and the stream of [`Event`]s that come unasked. Take this
//! folder, and `mqtt` which it stands on, into a program of your own.
//!
//! - `client`: asks, and finds the reply that belongs to the request
//! - `requests`: what can be asked
//! - `replies`: sorts what comes in
//! - `timestamp`: points in time, as the service writes them
//! - `model`: what is answered
//! - `error`: why a request came to nothing
//! - `topics`: every topic string

use tokio::sync::mpsc;

use crate::mqtt;

mod client;
mod error;
mod model;
mod replies;
mod requests;
mod timestamp;
mod topics;

pub use client::{Client, Patience};
pub use error::RequestError;
pub use model::{
    DescribedExecution, ErrorCode, ExecutionState, JobExecution, JobExecutionSummary, JobStatus,
    NextExecution, PendingJobExecutions, Rejection, StatusDetails, UpdatedExecution,
};
pub use requests::{Describe, GetPending, Request, StartNext, Update};
pub use timestamp::Timestamp;
pub use topics::{Incoming, Operation, Topics};

use std::time::Duration;

/// What happens without having been asked for.
#[derive(Debug)]
pub enum Event {
    /// There is a connection.
    Connected {
        /// Whether the session of the last connection goes on. If not, events may have been missed.
        session_present: bool,
    },
    /// A connection, or the try to make one, has failed. The next try follows.
    Interrupted {
        /// Why.
        failure: mqtt::Failure,
        /// How long until then.
        wait: Duration,
    },
    /// `NextJobExecutionChanged`: another execution is the first in line now, or (`None`) none is.
    NextJobExecutionChanged(Option<Box<JobExecution>>),
    /// It is over: as asked by [`Client::disconnect`], or because of a failure that no waiting
    /// mends. Nothing comes after this.
    Ended(Result<(), mqtt::Failure>),
}

/// Connects to AWS IoT Core as `options` say, for the jobs of the thing `thing_name`.
///
/// The topic filters in `options` are set here. Must be called within a tokio runtime. The events must
/// be read: while they are not, replies do not come through either, and when the receiver is dropped,
/// the connection ends.
pub fn connect(
    mut options: mqtt::Options,
    thing_name: &str,
    patience: Patience,
) -> (Client, mpsc::Receiver<Event>) {
    let topics = Topics::of_thing(thing_name);
    options.filters = topics.filters();
    let (mqtt, from_mqtt) = mqtt::connect(options);
    let (to_user, events) = mpsc::channel(16);
    let client = Client::new(mqtt, topics.clone(), thing_name, patience);
    tokio::spawn(replies::sort(from_mqtt, topics, client.replies(), to_user));
    (client, events)
}
