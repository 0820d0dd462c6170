//! What AWS documents of names, status details and timeouts.

use std::collections::BTreeMap;

use serde::Deserialize;
use unicode_general_category::{GeneralCategory, get_general_category};

use super::replies::Rejection;

pub(super) type StatusDetails = BTreeMap<String, String>;

/// `[a-zA-Z0-9_-]{1,64}`
pub(super) fn is_job_id(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    (1..=64).contains(&text.len()) && text.chars().all(allowed)
}

/// A new limit for the step that the device is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub(super) enum StepTimeout {
    Minutes(u64),
    /// -1: no limit any more.
    Never,
}

impl TryFrom<i64> for StepTimeout {
    type Error = &'static str;

    fn try_from(minutes: i64) -> Result<StepTimeout, Self::Error> {
        match u64::try_from(minutes) {
            Ok(minutes) if is_timeout(minutes) => Ok(StepTimeout::Minutes(minutes)),
            Err(_) if minutes == -1 => Ok(StepTimeout::Never),
            _ => Err("stepTimeoutInMinutes is not in 1..=10080"),
        }
    }
}

/// May an execution, or a step of it, take so many minutes?
pub(super) fn is_timeout(minutes: u64) -> bool {
    (1..=10_080).contains(&minutes)
}

pub(super) fn check_status_details(details: Option<&StatusDetails>) -> Result<(), Rejection> {
    let key_character = |c: char| c.is_ascii_alphanumeric() || ":_-".contains(c);
    for (key, value) in details.into_iter().flatten() {
        if !(1..=128).contains(&key.len()) || !key.chars().all(key_character) {
            return Err(Rejection::invalid(
                "a key in statusDetails is not [a-zA-Z0-9:_-]{1,128}",
            ));
        }
        let length = value.chars().count();
        if !(1..=1024).contains(&length) || value.contains(is_other) {
            return Err(Rejection::invalid(
                "a value in statusDetails is empty, longer than 1024 characters, or holds \
                 characters of Unicode's category C",
            ));
        }
    }
    Ok(())
}

/// Unicode's category C: control, format, surrogate, private use and unassigned characters.
fn is_other(character: char) -> bool {
    use GeneralCategory::{Control, Format, PrivateUse, Surrogate, Unassigned};
    matches!(
        get_general_category(character),
        Control | Format | Surrogate | PrivateUse | Unassigned
    )
}
