//! Why the sample ended otherwise than asked.

use crate::advice;
use crate::agent;
use crate::jobs::RequestError;
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
    Connection(mqtt::ConnectionError, advice::Target),
    /// The file with the proxy's user name and password can't be used.
    #[error("--proxy_auth {0}")]
    ProxyAuth(String),
    /// A request without which there is no going on has failed.
    #[error("{0}")]
    Request(RequestError, advice::Partition),
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
        advice::explained(self, match self {
            Self::Tls(error) => return advice::file_error(error),
            Self::Connection(error, target) => advice::on_connection(error, target),
            Self::Request(error, partition) => advice::on_request(error, *partition),
            Self::Work(_) => Some(
                "The program ends, for a supervisor to start it anew: work must end when its job is no \
                 longer wanted."
                    .to_owned(),
            ),
            Self::NoJobInCi => Some(
                "Create one first: see the section \"A job\" in the README.".to_owned(),
            ),
            Self::Ended => Some("Run with --verbosity Debug for more.".to_owned()),
            _ => None,
        })
    }
}

impl From<RequestError> for SampleError {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Publish {
                error: PublishError::Ended,
                ..
            } => Self::Ended,
            error => Self::Request(error, advice::Partition::default()), // `run` knows which
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
