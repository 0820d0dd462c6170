//! What tells jobs and their executions apart.

use std::fmt;

use serde::Deserialize;

/// The longest name of a job, in characters.
const LONGEST: usize = 64;

/// The name of a job: 1 to 64 letters, digits, `-` and `_`.
///
/// It becomes part of a topic, and of what people read. So whatever else the service may send in its
/// place is no job ID, and what it came with can't be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct JobId(String);

/// This text is not the name of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a job ID has 1 to 64 letters, digits, '-' and '_'")]
pub struct JobIdError;

impl JobId {
    /// This text as a job ID.
    ///
    /// # Errors
    /// If AWS has no job of such a name.
    pub fn new(text: impl Into<String>) -> Result<Self, JobIdError> {
        let text = text.into();
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if (1..=LONGEST).contains(&text.len()) && text.chars().all(allowed) {
            Ok(Self(text))
        } else {
            Err(JobIdError)
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for JobId {
    type Error = JobIdError;

    fn try_from(text: String) -> Result<Self, JobIdError> {
        Self::new(text)
    }
}

impl PartialEq<&str> for JobId {
    fn eq(&self, other: &&str) -> bool {
        self.0 == **other
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_aws_can_not_have_is_no_job_id() {
        let longest = "x".repeat(LONGEST);
        for good in ["a", "Job_1-a", &longest] {
            assert_eq!(JobId::new(good).unwrap(), good);
        }
        let too_long = "x".repeat(LONGEST + 1);
        for bad in [
            "",
            "a/b",
            "../../etc/passwd",
            "a\0",
            "ä",
            "a#",
            "$next",
            &too_long,
        ] {
            assert_eq!(JobId::new(bad), Err(JobIdError), "{bad:?}");
        }
    }
}
