//! Why a request came to nothing.

use super::model::{ErrorCode, Rejection};
use super::outcome::Unwanted;
use super::topics::Operation;
use crate::mqtt::{PublishError, SubscribeError};
use crate::text::printable;

/// Why a request came to nothing.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)] // the texts say what the fields are
pub enum RequestError {
    /// The service rejected it, and would reject it again.
    #[error("{}", rejected(*operation, rejection))]
    Rejected {
        operation: Operation,
        rejection: Rejection,
        /// Whether the request was sent more than once, so that it may have been carried out before.
        repeated: bool,
    },
    /// It was asked several times, and no useful answer came. The problem is half a sentence.
    #[error(
        "{operation} was asked {tries} times without success. The last time, {problem}. If it goes on, \
         check that the policy allows iot:Receive on all of policy.json, and the name of the thing"
    )]
    Unanswered {
        operation: Operation,
        tries: u32,
        problem: String,
    },
    /// The service accepted it, with an execution that can't be read.
    #[error("{operation} was answered with a job execution that can't be read ({problem})")]
    Unreadable {
        operation: Operation,
        /// The job, if at least that could be read.
        job_id: Option<String>,
        problem: String,
    },
    /// It could not be published.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The server does not let us have the replies.
    #[error(transparent)]
    Subscribe(#[from] SubscribeError),
}

impl RequestError {
    /// Whether the program can't go on: the policy forbids what it lives on and always did, or the
    /// connection has ended for good. Everything else concerns one request.
    pub fn is_fatal(&self) -> bool {
        use PublishError as P;
        matches!(
            self,
            Self::Publish(P::NotAuthorized { .. } | P::Ended) | Self::Subscribe(_)
        )
    }

    /// Whether the request itself is at fault: it is invalid, or too large.
    pub fn is_about_the_request(&self) -> bool {
        match self {
            Self::Rejected { rejection, .. } => rejection.code == ErrorCode::InvalidRequest,
            Self::Publish(error) => matches!(error, PublishError::TooLarge { .. }),
            _ => false,
        }
    }

    /// Whether the service says that the execution has ended, or was deleted.
    pub fn says_it_is_gone(&self) -> Option<Unwanted> {
        let Self::Rejected { rejection, .. } = self else {
            return None;
        };
        match rejection.code {
            ErrorCode::TerminalStateReached => Some(Unwanted::Ended(None)),
            ErrorCode::ResourceNotFound => Some(Unwanted::Deleted),
            _ => None,
        }
    }

    /// Whether the service says that nothing more happens to the execution.
    pub(super) fn says_it_has_ended(&self) -> bool {
        let Self::Rejected { rejection, .. } = self else {
            return false;
        };
        let state = rejection.execution_state.as_ref();
        self.says_it_is_gone().is_some() || state.is_some_and(|state| state.status.is_terminal())
    }
}

/// What was rejected and why, with where the execution stands.
fn rejected(operation: Operation, rejection: &Rejection) -> String {
    let mut words = format!("{operation} was rejected with {rejection}");
    if let Some(state) = &rejection.execution_state {
        let status = state.status.to_string();
        words += &format!("; the job execution is {} now", printable(&status));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_it_is_about() {
        let rejected = |code| RequestError::Rejected {
            operation: Operation::Update,
            rejection: Rejection {
                code,
                message: String::new(),
                execution_state: None,
            },
            repeated: false,
        };
        let topic = String::new;
        let publish = RequestError::Publish;
        // Whether the program can't go on; whether the request is at fault; whether the job is gone.
        for (error, is) in [
            (rejected(ErrorCode::InvalidRequest), (false, true, None)),
            (rejected(ErrorCode::VersionMismatch), (false, false, None)),
            (
                rejected(ErrorCode::TerminalStateReached),
                (false, false, Some(Unwanted::Ended(None))),
            ),
            (
                rejected(ErrorCode::ResourceNotFound),
                (false, false, Some(Unwanted::Deleted)),
            ),
            (publish(PublishError::Ended), (true, false, None)),
            (
                publish(PublishError::NotAuthorized {
                    topic: topic(),
                    disconnected: false,
                }),
                (true, false, None),
            ),
            (
                publish(PublishError::TooLarge { size: 2, limit: 1 }),
                (false, true, None),
            ),
            (publish(PublishError::SessionLost), (false, false, None)),
            (
                RequestError::Unanswered {
                    operation: Operation::Describe,
                    tries: 5,
                    problem: String::new(),
                },
                (false, false, None),
            ),
        ] {
            let found = (
                error.is_fatal(),
                error.is_about_the_request(),
                error.says_it_is_gone(),
            );
            assert_eq!(found, is, "{error}");
        }
    }
}
