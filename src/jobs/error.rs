//! Why a request failed.

use std::time::Duration;

use super::job_id::JobId;
use super::model::{ErrorCode, Rejection};
use super::topics::Operation;
use crate::error_class::ErrorClass;
use crate::mqtt::{PublishError, SubscribeError};
use crate::text::Text;

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)] // the texts say what the fields are
pub enum RequestError {
    /// The service rejected it, and would reject it again.
    #[error("{operation} was rejected with {rejection}")]
    Rejected {
        operation: Operation,
        rejection: Rejection,
        /// Whether the request was sent more than once, so that it may have been carried out before.
        repeated: bool,
    },
    /// It was sent several times, without a result.
    #[error("{operation} was asked {tries} times without success: {last}")]
    Unanswered {
        operation: Operation,
        tries: u32,
        #[source]
        last: TryError,
    },
    /// The service accepted it, with an answer that can't be read.
    #[error("{operation} was answered with a job execution that can't be read ({problem})")]
    Unreadable {
        operation: Operation,
        /// The job, if at least that could be read.
        job_id: Option<JobId>,
        problem: Text,
    },
    /// It could not be published.
    #[error("{operation} could not be published: {error}")]
    Publish {
        operation: Operation,
        #[source]
        error: PublishError,
    },
    /// The server does not let us have the replies.
    #[error("{operation} can't be answered: {error}")]
    Subscribe {
        operation: Operation,
        #[source]
        error: SubscribeError,
    },
}

/// What kind of error it is: what a fleet can count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[allow(missing_docs)] // RequestError says what they are
pub enum RequestErrorKind {
    Rejected,
    Unanswered,
    Unreadable,
    Publish,
    Subscribe,
}

/// Why one try of a request had no result. The next one may have.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TryError {
    /// The server took the request, and no reply came.
    #[error("no reply came within {} seconds", within.as_secs_f32())]
    NoReply {
        /// The time limit.
        within: Duration,
        /// Whether the service has ever answered this client. If not, the policy most likely does
        /// not let its replies through.
        has_ever_replied: bool,
    },
    /// The service is busy.
    #[error("the service answered with {0}")]
    Rejected(Rejection),
    /// The reply can't be read: it may be damaged.
    #[error("the reply could not be read ({0})")]
    Unreadable(Text),
    /// The server did not take the request.
    #[error(transparent)]
    Publish(PublishError),
}

impl RequestError {
    /// What kind of error it is.
    pub fn kind(&self) -> RequestErrorKind {
        match self {
            Self::Rejected { .. } => RequestErrorKind::Rejected,
            Self::Unanswered { .. } => RequestErrorKind::Unanswered,
            Self::Unreadable { .. } => RequestErrorKind::Unreadable,
            Self::Publish { .. } => RequestErrorKind::Publish,
            Self::Subscribe { .. } => RequestErrorKind::Subscribe,
        }
    }

    /// Whether it passes by itself, by somebody's hand, or never.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Unanswered { last, .. } => last.class(),
            Self::Publish { error, .. } => error.class(),
            Self::Subscribe { error, .. } => error.class(),
            Self::Rejected { .. } | Self::Unreadable { .. } => ErrorClass::Permanent,
        }
    }

    /// The service's code, if it was the service that refused.
    pub fn code(&self) -> Option<&ErrorCode> {
        match self {
            Self::Rejected { rejection, .. }
            | Self::Unanswered {
                last: TryError::Rejected(rejection),
                ..
            } => Some(&rejection.code),
            _ => None,
        }
    }

    /// What was asked for.
    pub fn operation(&self) -> Operation {
        match self {
            Self::Rejected { operation, .. }
            | Self::Unanswered { operation, .. }
            | Self::Unreadable { operation, .. }
            | Self::Publish { operation, .. }
            | Self::Subscribe { operation, .. } => *operation,
        }
    }

    /// Whether no other request would fare better: the policy forbids what a device lives on and always
    /// did, or the connection has ended for good.
    pub fn is_fatal(&self) -> bool {
        use PublishError as P;
        match self {
            Self::Publish { error, .. } => matches!(error, P::NotAuthorized { .. } | P::Ended),
            Self::Subscribe { .. } => true,
            _ => false,
        }
    }

    /// Whether the request itself is at fault: it is invalid, or too large, or it costs the session
    /// each time that it is sent.
    pub fn is_about_the_request(&self) -> bool {
        use PublishError as P;
        match self {
            Self::Rejected { rejection, .. } => rejection.code == ErrorCode::InvalidRequest,
            Self::Publish { error, .. } => {
                matches!(error, P::TooLarge { .. } | P::BadTopic { .. })
            }
            Self::Unanswered { last, .. } => *last == TryError::Publish(P::SessionLost),
            _ => false,
        }
    }

    /// The rejection, if the service has rejected the request.
    pub fn rejection(&self) -> Option<&Rejection> {
        match self {
            Self::Rejected { rejection, .. } => Some(rejection),
            _ => None,
        }
    }
}

impl TryError {
    /// Whether it passes by itself, or by somebody's hand.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Publish(PublishError::NotAuthorized { .. })
            | Self::NoReply {
                has_ever_replied: false,
                ..
            } => ErrorClass::Misconfigured,
            _ => ErrorClass::Transient,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(code: ErrorCode) -> RequestError {
        RequestError::Rejected {
            operation: Operation::Update,
            rejection: Rejection {
                code,
                message: Text::default(),
                execution_state: None,
            },
            repeated: false,
        }
    }

    fn publish(error: PublishError) -> RequestError {
        let operation = Operation::Update;
        RequestError::Publish { operation, error }
    }

    fn unanswered(last: TryError) -> RequestError {
        RequestError::Unanswered {
            operation: Operation::Describe,
            tries: 5,
            last,
        }
    }

    #[test]
    fn an_error_says_what_it_is_about() {
        use ErrorClass as C;
        let no_reply = |has_ever_replied| TryError::NoReply {
            within: Duration::from_secs(10),
            has_ever_replied,
        };
        let lost = TryError::Publish(PublishError::SessionLost);
        let large = PublishError::TooLarge { size: 2, limit: 1 };
        // Its class; whether the program can't go on; whether the request is at fault.
        for (error, is) in [
            (
                rejected(ErrorCode::InvalidRequest),
                (C::Permanent, false, true),
            ),
            (
                rejected(ErrorCode::VersionMismatch),
                (C::Permanent, false, false),
            ),
            (publish(PublishError::Ended), (C::Permanent, true, false)),
            (publish(large), (C::Permanent, false, true)),
            (unanswered(no_reply(true)), (C::Transient, false, false)),
            (
                unanswered(no_reply(false)),
                (C::Misconfigured, false, false),
            ),
            (unanswered(lost), (C::Transient, false, true)),
        ] {
            let found = (
                error.class(),
                error.is_fatal(),
                error.is_about_the_request(),
            );
            assert_eq!(found, is, "{error}");
        }
    }
}
