//! What can be done about an error, whichever layer it comes from.

/// What can be done about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// It may pass by itself: to try again, with growing pauses, makes sense.
    Transient,
    /// Somebody has to fix it: a policy, a certificate, a setting. For a device that has worked before,
    /// it passes when they have; at the first connect it is most likely a mistake.
    Misconfigured,
    /// To try again would do harm, or be of no use.
    Permanent,
}
