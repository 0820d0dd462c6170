//! What tells job executions apart.

use super::job_id::JobId;

/// One execution among all: a job can be tried several times on one thing, and a job that was deleted
/// can come again under its old name. Never its document, which can differ from copy to copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionId {
    pub(super) job_id: JobId,
    pub(super) execution_number: i64,
    pub(super) queued_at_second: Option<u64>,
}

impl ExecutionId {
    /// Whether one of the two belongs to a job that was deleted, and the other to the one that was
    /// created anew under its name: an update can't tell them apart.
    pub fn has_namesake(&self, other: &Self) -> bool {
        self.job_id == other.job_id
            && self.execution_number == other.execution_number
            && self.queued_at_second != other.queued_at_second
    }
}
