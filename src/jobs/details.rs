//! Status details: notes on a job execution that the device and the cloud share.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::text::{Text, is_printable, printable, without_signatures};

/// The longest name of a status detail, in characters.
const LONGEST_NAME: usize = 128;
/// The longest value of a status detail, in characters.
const LONGEST_VALUE: usize = 1024;
/// So many details an execution may have. (The API reference says so of CancelJobExecution.)
const MOST: usize = 10;

/// Notes on a job execution, by name.
///
/// The service keeps them when an update has none, and replaces them *as a whole* when it has some:
/// so whoever reports progress sends all that should stand there. Its limits are kept here: a name
/// has 1 to 128 letters, digits, `:`, `_` and `-`; a value 1 to 1,024 characters, none of which is a
/// control character or invisible. [`Self::with_text`] makes any text fit. See
/// <https://docs.aws.amazon.com/iot/latest/apireference/API_iot-jobs-data_UpdateJobExecution.html>.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct StatusDetails(BTreeMap<String, Text>);

/// The service would not take this status detail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DetailError {
    /// Its name has other characters than the service takes, or too many, or none.
    #[error(
        "the name of a status detail has 1 to 128 letters, digits, ':', '_' and '-'; '{0}' has not"
    )]
    Name(Text),
    /// The value of the detail with this name is empty, too long, or has control characters.
    #[error(
        "the value of a status detail has 1 to 1,024 visible characters; that of '{0}' has not"
    )]
    Value(String),
}

impl StatusDetails {
    /// Several at once: `StatusDetails::from_pairs([("step", "download"), ("percent", "40")])?`.
    ///
    /// # Errors
    /// If the service would not take one of them.
    pub fn from_pairs<N: Into<String>, V: Into<String>>(
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
        if !(1..=LONGEST_NAME).contains(&name.len()) || !name.chars().all(is_in_a_name) {
            return Err(DetailError::Name(name.into()));
        }
        if value.is_empty() || value.chars().count() > LONGEST_VALUE || !is_printable(&value) {
            return Err(DetailError::Value(name));
        }
        self.0.insert(name, value.into());
        Ok(())
    }

    /// These, and one more whose value is any text (the output of a command, an error), made to fit:
    /// what signs a presigned URL is left out, what the service would refuse is escaped (a line feed as
    /// `\n`), an empty text is `(empty)`, and of one that is too long the end is kept, behind a `…`. So
    /// is its name: whatever the service would refuse in it is a `_`.
    #[must_use]
    pub fn with_text(mut self, name: &str, text: &str) -> Self {
        let name: String = name
            .chars()
            .map(|c| if is_in_a_name(c) { c } else { '_' })
            .chain(name.is_empty().then_some('_'))
            .take(LONGEST_NAME)
            .collect();
        self.0.insert(name, fitted(text).into());
        self
    }

    /// These, in place of those of the same name in `others`; of the others, as many as fit.
    #[must_use]
    pub fn over(mut self, others: &Self) -> Self {
        for (name, value) in &others.0 {
            if self.0.len() < MOST {
                self.0.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        self
    }

    /// The value of the detail with this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(Text::raw)
    }

    /// All of them, by name. Those of the service are as they came: see [`printable`].
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.raw()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn is_in_a_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, ':' | '_' | '-')
}

/// A text as the value of a status detail.
fn fitted(text: &str) -> String {
    let text = without_signatures(text.trim());
    if text.is_empty() {
        return "(empty)".to_owned();
    }
    // Character by character, so that no escape is cut in half; from the end, which says how it went.
    let (mut kept, mut length) = (Vec::new(), 0);
    for character in text.chars().rev() {
        let shown = printable(character.encode_utf8(&mut [0; 4])).into_owned();
        length += shown.chars().count();
        if length > LONGEST_VALUE {
            // The mark takes the place of what was kept last, so that it fits whatever that is.
            kept.pop();
            kept.push("…".to_owned());
            break;
        }
        kept.push(shown);
    }
    kept.into_iter().rev().collect()
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
            let refused = StatusDetails::from_pairs([(name, value)]);
            assert_eq!(refused, Err(DetailError::Name(name.into())));
        }
        for value in ["", "a\nb", "\u{202e}", long.as_str()] {
            let refused = StatusDetails::from_pairs([("n", value)]);
            assert_eq!(
                refused,
                Err(DetailError::Value("n".to_owned())),
                "{value:?}"
            );
        }
        let most = StatusDetails::from_pairs([(&long[..128], &long[..1024])]);
        assert!(most.is_ok());
    }

    #[test]
    fn any_text_is_made_to_fit_and_keeps_its_end() {
        let fits = |text: &str| {
            let details = StatusDetails::default().with_text("out", text);
            let value = details.get("out").unwrap().to_owned();
            assert!(
                StatusDetails::from_pairs([("out", &value)]).is_ok(),
                "{value}"
            );
            value
        };
        assert_eq!(fits(" \n"), "(empty)");
        assert_eq!(fits("a\u{1b}[2J\nb\n"), r"a\u{1b}[2J\nb");
        let long = fits(&format!("begin{}end", "世".repeat(2000)));
        assert!(long.starts_with("…世") && long.ends_with("世end"), "{long}");
        assert_eq!(long.chars().count(), LONGEST_VALUE);
        let escapes = fits(&"\u{1b}".repeat(2000));
        assert!(escapes.starts_with(r"…\u{1b}"), "{escapes}");
        assert_eq!(fits(&"x".repeat(LONGEST_VALUE)), "x".repeat(LONGEST_VALUE));
    }

    #[test]
    fn any_name_of_a_text_is_made_to_fit() {
        let long = "n".repeat(200);
        for (name, is) in [
            ("a b/ä", "a_b__"),
            ("", "_"),
            (&long, &long[..LONGEST_NAME]),
        ] {
            let details = StatusDetails::default().with_text(name, "text");
            assert_eq!(details.iter().collect::<Vec<_>>(), [(is, "text")]);
        }
    }

    #[test]
    fn of_others_as_many_are_kept_as_fit() {
        let pairs = |count: usize| (0..count).map(|n| (n.to_string(), "old"));
        let others = StatusDetails::from_pairs(pairs(20)).unwrap();
        let new = StatusDetails::from_pairs([("0", "new"), ("reason", "so")]).unwrap();
        let all = new.over(&others);
        assert_eq!(all.iter().count(), MOST);
        assert_eq!((all.get("0"), all.get("reason")), (Some("new"), Some("so")));
    }

    #[test]
    fn what_was_set_is_there_by_name() {
        let details = StatusDetails::from_pairs([("step", "2"), ("percent", "40"), ("step", "3")]);
        let details = details.unwrap_or_default();
        let all: Vec<_> = details.iter().collect();
        assert_eq!(all, [("percent", "40"), ("step", "3")]);
        assert!(!details.is_empty() && StatusDetails::default().is_empty());
    }
}
