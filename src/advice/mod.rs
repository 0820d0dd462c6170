//! What to do about an error: which flag, file, policy statement or page to look at. The libraries say
//! what happened; this is what the program adds.

use std::fmt::Display;

mod connection;
mod files;
mod partition;
mod requests;

pub use connection::{Target, on_connection};
pub use files::{file_error, warning};
pub use partition::Partition;
pub use requests::{on_publish, on_request, on_subscribe, on_try};

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
