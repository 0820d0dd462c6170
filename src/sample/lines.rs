//! What is said in the same form each time: whoever waits for what a line tells waits for these, and not
//! for a sentence. (The words of the first five are those of AWS's Python sample.)

use std::fmt::Display;
use std::time::Duration;

use crate::jobs::JobId;

/// The first connection is there.
pub const CONNECTED: &str = "Connected!";
/// The work on a job begins.
pub const WORK_STARTED: &str = "Starting local work on job...";
/// The work has succeeded, and is not reported yet.
pub const WORK_DONE: &str = "Done working on job.";
/// The service has taken the report.
pub const REPORT_ACCEPTED: &str = "Request to update job was accepted.";
/// There is nothing to start: from now on, the device waits.
pub const NOTHING_TO_START: &str = "Request to start next job was accepted, but there are no jobs to be \
                                    done. Waiting for further jobs...";
/// The end of what is said of a connection that is lost.
pub const TRYING_AGAIN: &str = "Trying again, with growing pauses.";
/// It has come back.
pub const CONNECTION_BACK: &str = "The connection is back.";

/// Of a job that was canceled, timed out or deleted meanwhile.
pub fn no_longer_wanted(job_id: impl Display, why: impl Display) -> String {
    format!("job_id:{job_id} is no longer wanted: {why}.")
}

/// The end of a job that is not reported.
pub fn abandoning(job_id: impl Display) -> String {
    format!("Abandoning job_id:{job_id}.")
}

/// Of somebody else's report on a job that is worked on here.
pub fn conflict(job_id: impl Display) -> String {
    format!(
        "Somebody else has reported on job_id:{job_id} while this program worked on it: most likely a \
         second program does the jobs of this thing, and each job is done twice. Stop one."
    )
}

/// Of work that was to end so long ago.
pub fn overdue(job_id: impl Display, since: Duration, limit: Duration) -> String {
    format!(
        "The work on job_id:{job_id} was to end {} seconds ago, and goes on; no other job can be started. \
         After {} seconds the program ends, for a supervisor to start it anew.",
        since.as_secs_f32(),
        limit.as_secs_f32()
    )
}

/// What the agent is at, and so what a stop would leave undone.
#[derive(Clone, PartialEq)]
pub(super) enum Busy {
    No,
    Working(JobId),
    /// The work on a job that is no longer wanted.
    Unwanted,
    Reporting(JobId),
}

impl Busy {
    /// What would become of the job that is being worked on, or reported, if the program ended now.
    pub fn unfinished(&self) -> Option<String> {
        match self {
            Self::No | Self::Unwanted => None,
            Self::Working(job_id) => Some(format!(
                "job_id:{job_id} stays IN_PROGRESS, and the next run resumes it"
            )),
            Self::Reporting(job_id) => Some(format!(
                "the report on job_id:{job_id} may not have arrived, and if so, the next run resumes it"
            )),
        }
    }
}

/// What happened as a sentence, and what to do about it.
pub fn explained(error: &impl Display, advice: Option<String>) -> String {
    let mut words = sentence(error);
    if let Some(advice) = advice {
        words += " ";
        words += &advice;
    }
    words
}

/// An error's words as a sentence: with a capital, unless it begins with the name of a host, and a
/// full stop.
pub fn sentence(error: &impl Display) -> String {
    let mut words = error.to_string();
    let first = words.split(' ').next().unwrap_or_default();
    if first.chars().all(|letter| letter.is_ascii_alphabetic())
        && let Some(first) = words.get_mut(..1)
    {
        first.make_ascii_uppercase();
    }
    words.truncate(words.trim_end_matches('.').len());
    words + "."
}
