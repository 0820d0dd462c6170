//! The lines that say the same each time: whoever waits for what they tell waits for these, and not for
//! a sentence. (The words of the first five are those of AWS's Python sample.)

use std::fmt::Display;

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
