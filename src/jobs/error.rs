//! Why a request failed, or one try of it.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::job_id::JobId;
use super::model::{ErrorCode, Rejection};
use super::topics::Operation;
use crate::error_class::ErrorClass;
use crate::mqtt::{PublishError, SubscribeError};
use crate::text::Text;

/// Why a request failed, or one try of it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RequestError {
    /// What was asked for.
    pub operation: Operation,
    kind: Box<RequestErrorKind>,
    /// Whether the request was sent more than once, so that it may have been carried out before.
    pub was_repeated: bool,
    /// Whether the service has answered such a request before. If not, the policy most likely denies it.
    has_worked: bool,
    /// How often it was tried, if it ended for that.
    tries: Option<u32>,
}

/// What kind of error it is.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum RequestErrorKind {
    /// The service rejected it.
    Rejected(Rejection),
    /// The server took it, and no reply came within this time.
    NoReply(Duration),
    /// The service accepted it, with an answer that can't be read.
    Unreadable {
        /// The job, if at least that could be read.
        job_id: Option<JobId>,
        /// What is wrong with it.
        problem: Text,
    },
    /// It could not be published.
    Publish(PublishError),
    /// The server does not let us have the replies.
    Subscribe(SubscribeError),
}

impl RequestError {
    pub(super) fn new(operation: Operation, kind: RequestErrorKind, has_worked: bool) -> Self {
        Self {
            operation,
            kind: Box::new(kind),
            was_repeated: false,
            has_worked,
            tries: None,
        }
    }

    /// The connection has ended permanently.
    pub(crate) fn ended(operation: Operation) -> Self {
        let kind = RequestErrorKind::Publish(PublishError::Ended);
        Self::new(operation, kind, true)
    }

    /// The same, as the end of it after this many tries.
    pub(super) fn after(self, tries: u32) -> Self {
        let tries = Some(tries);
        Self { tries, ..self }
    }

    /// What kind of error it is.
    pub fn kind(&self) -> &RequestErrorKind {
        &self.kind
    }

    /// What can be done about it.
    pub fn class(&self) -> ErrorClass {
        use RequestErrorKind as K;
        match self.kind() {
            K::Rejected(rejection) if rejection.code.is_transient() => ErrorClass::Transient,
            K::NoReply(_) if self.has_worked => ErrorClass::Transient,
            K::NoReply(_) => ErrorClass::Misconfigured,
            K::Publish(error) => error.class(),
            K::Subscribe(error) => error.class(),
            K::Rejected(_) | K::Unreadable { .. } => ErrorClass::Permanent,
        }
    }

    /// The service's code, if it was the service that refused.
    pub fn code(&self) -> Option<&ErrorCode> {
        self.rejection().map(|rejection| &rejection.code)
    }

    /// The rejection, if the service has rejected the request.
    pub fn rejection(&self) -> Option<&Rejection> {
        match self.kind() {
            RequestErrorKind::Rejected(rejection) => Some(rejection),
            _ => None,
        }
    }

    /// Whether the next try of the same request may have a result.
    pub(super) fn may_pass(&self) -> bool {
        match self.kind() {
            RequestErrorKind::Unreadable { .. } => true, // the answer may be damaged
            RequestErrorKind::Subscribe(_) => false,
            _ => self.class() != ErrorClass::Permanent && !self.is_fatal(),
        }
    }

    /// Whether no other request would fare better: the policy forbids what a device lives on and always
    /// did, or the connection has ended permanently.
    pub fn is_fatal(&self) -> bool {
        match self.kind() {
            RequestErrorKind::Publish(PublishError::Ended) => true,
            RequestErrorKind::Publish(error) => error.is_denied() && !self.has_worked,
            RequestErrorKind::Subscribe(_) => !self.has_worked,
            _ => false,
        }
    }

    /// Whether the request itself is at fault: it is invalid, or too large.
    pub fn is_about_the_request(&self) -> bool {
        match self.kind() {
            RequestErrorKind::Rejected(rejection) => rejection.code == ErrorCode::InvalidRequest,
            RequestErrorKind::Publish(error) => {
                *error != PublishError::Ended && error.class() == ErrorClass::Permanent
            }
            _ => false,
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = self.operation;
        if let Some(tries) = self.tries {
            let kind = &self.kind;
            return write!(
                f,
                "{operation} was asked {tries} times without success: {kind}"
            );
        }
        match self.kind() {
            RequestErrorKind::Rejected(rejection) => {
                write!(f, "{operation} was rejected with {rejection}")
            }
            RequestErrorKind::Unreadable { problem, .. } => write!(
                f,
                "{operation} was answered with a job execution that can't be read ({problem})"
            ),
            RequestErrorKind::Publish(error) => {
                write!(f, "{operation} could not be published: {error}")
            }
            RequestErrorKind::Subscribe(error) => error.fmt(f), // it is nobody's alone
            kind @ RequestErrorKind::NoReply(_) => write!(f, "{operation}: {kind}"),
        }
    }
}

impl fmt::Display for RequestErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejection) => write!(f, "the service answered with {rejection}"),
            Self::NoReply(within) => {
                let seconds = (within.as_millis() / 10) as f32 / 100.0;
                write!(f, "no reply came within {seconds} seconds")
            }
            Self::Unreadable { problem, .. } => {
                write!(f, "the reply could not be read ({problem})")
            }
            Self::Publish(error) => error.fmt(f),
            Self::Subscribe(error) => error.fmt(f),
        }
    }
}

impl Error for RequestError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self.kind() {
            RequestErrorKind::Publish(error) => Some(error),
            RequestErrorKind::Subscribe(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::ReasonCode;

    #[test]
    fn an_error_says_what_it_is_about() {
        use ErrorClass as C;
        use RequestErrorKind as K;
        let rejected = |code| {
            K::Rejected(Rejection {
                code,
                message: Text::default(),
                execution_state: None,
            })
        };
        let no_reply = K::NoReply(Duration::from_secs(10));
        let large = K::Publish(PublishError::TooLarge { size: 2, limit: 1 });
        let denied = K::Publish(PublishError::Refused {
            topic: "t".into(),
            reason: ReasonCode::NOT_AUTHORIZED,
            disconnected: false,
        });
        let permanent = (C::Permanent, false);
        // What it is, and whether such a request was answered before; its class; whether the program
        // can't go on; whether the request is at fault; whether it is tried again.
        for (kind, has_worked, (class, is_fatal), is_at_fault, may_pass) in [
            (
                rejected(ErrorCode::InvalidRequest),
                true,
                permanent,
                true,
                false,
            ),
            (
                rejected(ErrorCode::VersionMismatch),
                true,
                permanent,
                false,
                false,
            ),
            (
                rejected(ErrorCode::RequestThrottled),
                true,
                (C::Transient, false),
                false,
                true,
            ),
            (
                K::Publish(PublishError::Ended),
                true,
                (C::Permanent, true),
                false,
                false,
            ),
            (
                K::Publish(PublishError::SessionLost),
                true,
                (C::Transient, false),
                false,
                true,
            ),
            (large, true, permanent, true, false),
            (no_reply.clone(), true, (C::Transient, false), false, true),
            (no_reply, false, (C::Misconfigured, false), false, true),
            (denied.clone(), true, (C::Misconfigured, false), false, true),
            (denied, false, (C::Misconfigured, true), false, false),
        ] {
            let error = RequestError::new(Operation::Update, kind, has_worked);
            assert_eq!(error.class(), class, "{error}");
            assert_eq!(error.is_fatal(), is_fatal, "{error}");
            assert_eq!(error.is_about_the_request(), is_at_fault, "{error}");
            assert_eq!(error.may_pass(), may_pass, "{error}");
        }
    }
}
