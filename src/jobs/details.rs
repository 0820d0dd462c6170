//! Status details: notes on a job execution that the device and the cloud share.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::text::{cut, is_printable, printable};

/// The longest name of a status detail, in characters.
const LONGEST_NAME: usize = 128;
/// The longest value of a status detail, in characters.
const LONGEST_VALUE: usize = 1024;

/// Notes on a job execution, by name.
///
/// The service keeps them when an update has none, and replaces them *as a whole* when it has some:
/// so whoever reports progress sends all that should stand there. Its limits are kept here: a name
/// has 1 to 128 letters, digits, `:`, `_` and `-`; a value 1 to 1,024 characters, none of which is a
/// control character or invisible. See
/// <https://docs.aws.amazon.com/iot/latest/apireference/API_iot-jobs-data_UpdateJobExecution.html>.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct StatusDetails(BTreeMap<String, String>);

/// The service would not take this status detail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DetailError {
    /// Its name has other characters than the service takes, or too many, or none.
    #[error("the name of a status detail has 1 to 128 letters, digits, ':', '_' and '-'; '{}' has not", printable(.0))]
    Name(String),
    /// The value of the detail with this name is empty, too long, or has control characters.
    #[error(
        "the value of a status detail has 1 to 1,024 visible characters; that of '{0}' has not"
    )]
    Value(String),
}

impl StatusDetails {
    /// Several at once: `StatusDetails::of([("step", "download"), ("percent", "40")])?`.
    ///
    /// # Errors
    /// If the service would not take one of them.
    pub fn of<N: Into<String>, V: Into<String>>(
        details: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, DetailError> {
        let mut all = Self::default();
        for (name, value) in details {
            all.set(name, value)?;
        }
        Ok(all)
    }

    /// Sets one, in place of the one of the same name.
    ///
    /// # Errors
    /// If the service would not take it.
    pub fn set(
        &mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<(), DetailError> {
        let (name, value) = (name.into(), value.into());
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-');
        if !(1..=LONGEST_NAME).contains(&name.len()) || !name.chars().all(allowed) {
            return Err(DetailError::Name(name));
        }
        if value.is_empty() || value.chars().count() > LONGEST_VALUE || !is_printable(&value) {
            return Err(DetailError::Value(name));
        }
        self.0.insert(name, value);
        Ok(())
    }

    /// Why a job ended as it did, made to fit: printable, not empty, and cut after 1,024 characters.
    pub(super) fn reason(reason: &str) -> Self {
        let reason = match reason.trim() {
            "" => "no reason was given",
            reason => reason,
        };
        let reason = cut(&printable(reason), LONGEST_VALUE).into_owned();
        Self(BTreeMap::from([("reason".to_owned(), reason)]))
    }

    /// The value of the detail with this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Details that can't be read must not cost the execution they came with: they count as none.
pub(super) fn lenient<'de, D: Deserializer<'de>>(from: D) -> Result<StatusDetails, D::Error> {
    let text = Box::<RawValue>::deserialize(from)?;
    Ok(StatusDetails(
        serde_json::from_str(text.get()).unwrap_or_default(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_service_would_refuse_is_an_error() {
        let long = "x".repeat(1025);
        for (name, value) in [("", "v"), ("a b", "v"), ("ä", "v"), (&long[..129], "v")] {
            let refused = StatusDetails::of([(name, value)]);
            assert_eq!(refused, Err(DetailError::Name(name.to_owned())));
        }
        for value in ["", "a\nb", "\u{202e}", long.as_str()] {
            let refused = StatusDetails::of([("n", value)]);
            assert_eq!(
                refused,
                Err(DetailError::Value("n".to_owned())),
                "{value:?}"
            );
        }
        let most = StatusDetails::of([(&long[..128], &long[..1024])]);
        assert!(most.is_ok());
    }

    #[test]
    fn a_reason_is_made_to_fit() {
        let fits = |reason: &str| {
            let details = StatusDetails::reason(reason);
            details.get("reason").map(str::to_owned)
        };
        assert_eq!(fits(" \n").as_deref(), Some("no reason was given"));
        assert_eq!(fits("a\u{1b}[2J\nb").as_deref(), Some(r"a\u{1b}[2J\nb"));
        assert_eq!(
            fits(&"世".repeat(2000)).map(|r| r.chars().count()),
            Some(1024)
        );
    }

    #[test]
    fn what_was_set_is_there_by_name() {
        let details = StatusDetails::of([("step", "2"), ("percent", "40"), ("step", "3")]);
        let details = details.unwrap_or_default();
        let all: Vec<_> = details.iter().collect();
        assert_eq!(all, [("percent", "40"), ("step", "3")]);
        assert!(!details.is_empty() && StatusDetails::default().is_empty());
    }
}
