//! A run as a story: what happened, line by line, in the order in which it did.

use std::fmt::Write;

use tokio::time::Instant;

use crate::run::Run;

/// The journal of a run as text: time since the beginning, connection, what happened. The same seed
/// gives the same text, byte for byte.
pub fn story(run: &Run) -> String {
    let mut text = format!("seed {}: {:?}\n", run.seed, run.setting);
    for entry in &run.journal {
        let at = Instant::from_std(entry.at) - run.seen.begun;
        let (hours, minutes) = (at.as_secs() / 3600, at.as_secs() / 60 % 60);
        let seconds = at.as_secs_f64() % 60.0;
        let connection = match entry.connection {
            0 => String::new(),
            number => number.to_string(),
        };
        // Writing into memory can't fail.
        let _ = writeln!(
            text,
            "{hours}:{minutes:02}:{seconds:06.3} {connection:>3} {}",
            entry.event
        );
    }
    text
}
