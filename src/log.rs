//! The log, on stderr. (What a user must know is said whatever the verbosity: [`Output::warn`].)

use std::any::Any;
use std::panic::{self, Location};

use tracing::level_filters::LevelFilter;

use crate::cli::Verbosity;
use crate::output::{LogLines, Output};
use crate::text::{Text, cut, panic_message};

/// Starts logging, by the same way to stderr as the output's. From here on, every panic is said there
/// in one sentence, whatever the verbosity: one in your own work fails a job, any other is a bug.
///
/// # Panics
/// If the process has a log already.
pub fn start(verbosity: Verbosity, output: &Output) {
    let level = match verbosity {
        Verbosity::NoLogs => LevelFilter::OFF,
        Verbosity::Fatal | Verbosity::Error => LevelFilter::ERROR,
        Verbosity::Warn => LevelFilter::WARN,
        Verbosity::Info => LevelFilter::INFO,
        Verbosity::Debug => LevelFilter::DEBUG,
        Verbosity::Trace => LevelFilter::TRACE,
    };
    let lines = output.clone();
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(move || LogLines(lines.clone()))
        .with_ansi(false)
        .log_internal_errors(false) // a closed stderr is no reason to end
        .init();
    let output = output.clone();
    panic::set_hook(Box::new(move |panic| {
        let words = panicked(panic.location(), panic.payload());
        output.warn(format_args!("{words}"));
        output.flush(); // nobody knows what comes after a panic
    }));
}

/// A panic in one sentence: where, and what it said.
fn panicked(place: Option<&Location<'_>>, panic: &(dyn Any + Send)) -> String {
    let place = place.map(|place| format!("{}:{}", place.file(), place.line()));
    let place = place.unwrap_or_else(|| "an unknown place".to_owned());
    let said = panic_message(panic);
    let said = Text::from(cut(said.raw().trim_end(), 1_000));
    format!("The program panicked at {}: {said}", Text::from(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_one_line_with_its_place_and_what_it_said() {
        let here = Location::caller();
        assert_eq!(
            panicked(Some(here), &"two\nlines \u{1b}[2J\n".to_owned()),
            format!(
                "The program panicked at {}:{}: two\\nlines \\u{{1b}}[2J",
                here.file(),
                here.line()
            )
        );
        let long = panicked(None, &"x".repeat(5_000));
        assert!(
            long.starts_with("The program panicked at an unknown place: xxx"),
            "{long}"
        );
        assert_eq!(
            long.len(),
            "The program panicked at an unknown place: …".len() + 999
        );
    }
}
