//! What a fault is for, and how often it strikes.

use std::{fmt, str::FromStr};

use crate::jobs::{Occasion, Operation};

/// How often a fault strikes before it is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// On the next occasion only.
    Once,
    /// On this many occasions.
    Count(u32),
    /// On every occasion, until the faults are cleared.
    Always,
}

/// Which messages of the Jobs service a fault concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// Those of one operation.
    Only(Operation),
    /// Those of updates to IN_PROGRESS.
    Progress,
    /// Those of updates to a terminal state.
    Outcome,
    /// All of them.
    Any,
}

impl On {
    pub(crate) fn covers(self, occasion: Occasion) -> bool {
        let is_update = occasion.operation == Operation::Update;
        match self {
            On::Any => true,
            On::Only(operation) => operation == occasion.operation,
            On::Progress => is_update && occasion.is_progress,
            On::Outcome => is_update && !occasion.is_progress,
        }
    }
}

/// What `OP` can stand for in the name of a fault, with a line that explains it.
pub fn operations() -> &'static [(&'static str, &'static str)] {
    &[
        ("get-pending", "GetPendingJobExecutions"),
        ("start-next", "StartNextPendingJobExecution"),
        ("describe", "DescribeJobExecution"),
        ("update", "UpdateJobExecution"),
        ("progress", "an update to IN_PROGRESS"),
        ("outcome", "an update to SUCCEEDED, FAILED or REJECTED"),
        (
            "notify-next",
            "the event; only for faults that concern a message of the service",
        ),
        ("any", "any of them"),
    ]
}

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            On::Only(operation) => operation.fmt(f),
            On::Progress => write!(f, "progress"),
            On::Outcome => write!(f, "outcome"),
            On::Any => write!(f, "any"),
        }
    }
}

impl FromStr for On {
    type Err = String;

    fn from_str(text: &str) -> Result<On, String> {
        match text {
            "progress" => Ok(On::Progress),
            "outcome" => Ok(On::Outcome),
            "any" => Ok(On::Any),
            _ => text.parse().map(On::Only),
        }
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Times::Once => write!(f, "once"),
            Times::Count(times) => write!(f, "{times}"),
            Times::Always => write!(f, "always"),
        }
    }
}

impl FromStr for Times {
    type Err = String;

    fn from_str(text: &str) -> Result<Times, String> {
        match text {
            "once" => Ok(Times::Once),
            "always" => Ok(Times::Always),
            _ => match text.parse() {
                Ok(times) if times > 0 => Ok(Times::Count(times)),
                _ => Err(format!(
                    "'{text}' is not 'once', 'always' or a number above 0"
                )),
            },
        }
    }
}
