//! What to check when something fails: which flag, which file, which statement of the policy, which
//! page. It is apart from the errors, for it is this program that knows what its flags are called.

mod connection;
mod files;

pub use connection::connection;
pub use files::{file, warning};

/// An error's own words as the beginning of a sentence, and the advice behind them.
fn with_advice(words: &str, advice: &str) -> String {
    let first = words.split(' ').next().unwrap_or_default();
    let mut words = words.to_owned();
    // (Not the name of a host.)
    if first.chars().all(|letter| letter.is_ascii_alphabetic())
        && let Some(first) = words.get_mut(..1)
    {
        first.make_ascii_uppercase();
    }
    if advice.is_empty() {
        format!("{words}.")
    } else {
        format!("{words}. {advice}")
    }
}
