//! Why the sample ended otherwise than asked, and what to do about an error: which flag, file, policy
//! statement or page to look at. The libraries say what happened; this is what the program adds.

mod connection;
mod files;
mod requests;

pub use connection::{Target, on_connection};
pub use files::{file_error, warning};
pub use requests::{on_denied, on_request, on_subscribe};

use super::lines::explained;
use crate::agent;
use crate::jobs::{RequestError, RequestErrorKind};
use crate::mqtt::{self, PublishError};
use crate::tls::TlsError;

/// Why the sample ended otherwise than asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SampleError {
    /// A file can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// There is no connection, and waiting won't bring one about.
    #[error("{0}")]
    Connection(mqtt::ConnectionError, Target),
    /// The file with the proxy's user name and password can't be used.
    #[error("--proxy_auth {0}")]
    ProxyAuth(String),
    /// A request without which there is no going on has failed.
    #[error(transparent)]
    Request(RequestError),
    /// Work that was to end did not.
    #[error(transparent)]
    Work(agent::Error),
    /// CI mode wants at least one pending job.
    #[error("no job is queued for this thing, and CI mode (--is_ci) wants one")]
    NoJobInCi,
    /// The connection has ended without a reason.
    #[error("the connection has ended for an unknown reason")]
    Ended,
    /// The operating system does not let the program listen for signals.
    #[error("signals can't be listened for: {0}")]
    Signals(#[from] std::io::Error),
}

impl SampleError {
    /// What happened and what to do about it, in sentences.
    pub fn explained(&self) -> String {
        let advice = match self {
            Self::Tls(error) => return file_error(error),
            Self::Connection(error, target) => on_connection(error, target),
            Self::Request(error) => on_denied(error),
            Self::Work(_) => Some(
                "The program ends, for a supervisor to start it anew: work must end when its job is no \
                 longer wanted."
                    .to_owned(),
            ),
            Self::NoJobInCi => {
                Some("Create one first: see the section \"A job\" in the README.".to_owned())
            }
            Self::Ended => Some("Run with --verbosity Debug for more.".to_owned()),
            _ => None,
        };
        explained(self, advice)
    }
}

impl From<RequestError> for SampleError {
    fn from(error: RequestError) -> Self {
        match error.kind() {
            RequestErrorKind::Publish(PublishError::Ended) => Self::Ended,
            _ => Self::Request(error),
        }
    }
}

impl From<agent::Error> for SampleError {
    fn from(error: agent::Error) -> Self {
        match error {
            agent::Error::Request(error) => error.into(),
            error => Self::Work(error),
        }
    }
}
