//! What must hold in every run.
//!
//! - `jobs`: every job ends as its work did, and is worked on once
//! - `reports`: nothing is reported that the service does not want
//! - `timing`: once the trouble is over, all is done in time
//! - `executions`, `namesakes`: which execution is which, and when nobody can know
//! - `hearing`: what was sent to the device reaches it
//! - `manners`: quotas, waits, keep alive, acknowledgements, and nothing left behind

mod executions;
mod hearing;
mod jobs;
mod manners;
mod namesakes;
mod reports;
mod timing;

use std::fmt;

use crate::run::Run;

/// A rule that did not hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    pub rule: &'static str,
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.what)
    }
}

/// The rule that a run breaks in which something panics.
pub const PANIC: &str = "nothing panics";

/// A rule, and what it finds: one line for each thing that is wrong.
type Rule = (&'static str, fn(&Run) -> Vec<String>);

const RULES: [Rule; 15] = [
    ("every job ends as its work did", jobs::all_ended),
    ("what is reported was done", jobs::what_is_reported_was_done),
    (
        "nothing is worked on twice",
        jobs::nothing_is_worked_on_twice,
    ),
    ("nothing unwanted is reported", reports::nothing_unwanted),
    ("all is done in time", timing::all_is_done),
    (
        "what has come is read before anything is late",
        hearing::what_has_come_is_read,
    ),
    (
        "no command is lost in silence",
        hearing::no_command_is_lost_in_silence,
    ),
    ("no rule of MQTT or AWS is broken", manners::no_violation),
    ("publishes keep to the quota", manners::publishes),
    ("the device is heard of", manners::keep_alive),
    ("tries to connect are spread", manners::tries),
    (
        "what is delivered is acknowledged",
        manners::acknowledgements,
    ),
    ("an idle device is quiet", manners::idle),
    ("nothing is left behind", manners::tasks),
    ("memory is as at the start", manners::memory),
];

/// Every rule that did not hold.
pub fn failures(run: &Run) -> Vec<Failure> {
    let mut failures = Vec::new();
    for (rule, judge) in RULES {
        failures.extend(judge(run).into_iter().map(|what| Failure { rule, what }));
    }
    failures
}
