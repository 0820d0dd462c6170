//! What is to be done about an error.

/// What is to be done about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// It may pass by itself: try again, with growing pauses.
    Transient,
    /// Somebody has to fix something (a policy, a certificate, a flag): try again with long pauses, or
    /// not at all.
    NeedsOperator,
    /// To try the same again is of no use.
    Permanent,
}
