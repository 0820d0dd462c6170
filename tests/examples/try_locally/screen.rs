//! What the service sees, line by line.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use jobs_mqtt5::text::printable;
use local_iot_core::{Entry, Event, LocalIotCore};

/// How lines are shown.
pub struct Screen {
    colored: bool,
    quiet: AtomicBool,
}

impl Screen {
    /// In color if stdout is a terminal, and nobody has set `NO_COLOR`.
    pub fn new() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            colored: io::stdout().is_terminal() && !unwanted,
            quiet: AtomicBool::new(false),
        }
    }

    /// Shows what happens from now on, or no longer. Returns whether it is quiet now.
    pub fn toggle_quiet(&self) -> bool {
        !self.quiet.fetch_xor(true, Ordering::Relaxed)
    }

    /// Shows what the service sees, as it happens.
    pub async fn show(&self, core: &LocalIotCore) {
        let journal = core.journal();
        let mut shown = 0;
        loop {
            for entry in journal.entries_from(shown) {
                if !self.quiet.load(Ordering::Relaxed) {
                    println!("{}", line(&entry, self.colored));
                }
                shown += 1;
            }
            journal.wait_for_more(shown).await;
        }
    }
}

/// An entry with its time (UTC) and the number of its connection.
fn line(entry: &Entry, colored: bool) -> String {
    let at = SystemTime::now() - entry.at.elapsed();
    let at = humantime::format_rfc3339_millis(at).to_string();
    let time = &at["1970-01-01T".len()..at.len() - "Z".len()];
    let source = match entry.connection {
        0 => "service".to_owned(),
        connection => format!("connection {connection}"),
    };
    let event = entry.event.to_string();
    let event = printable(&event);
    match color(&entry.event) {
        Some(color) if colored => {
            format!("\u{1b}[2m{time} [{source}]\u{1b}[0m {color}{event}\u{1b}[0m")
        }
        None if colored => format!("\u{1b}[2m{time} [{source}]\u{1b}[0m {event}"),
        _ => format!("{time} [{source}] {event}"),
    }
}

/// Red for what goes wrong, green for what a job has come to, cyan for what is said about jobs.
fn color(event: &Event) -> Option<&'static str> {
    Some(match event {
        Event::Fault(_) | Event::Violation(_) | Event::Refused { .. } | Event::TlsFailed(_) => {
            "\u{1b}[31m"
        }
        Event::Dropped(_) => "\u{1b}[31m",
        Event::StateChange { .. } => "\u{1b}[1;32m",
        Event::Request { .. } | Event::Reply { .. } => "\u{1b}[36m",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn entry(connection: u64, event: Event) -> Entry {
        Entry {
            at: Instant::now(),
            connection,
            event,
        }
    }

    #[test]
    fn a_line_has_time_and_connection() {
        let shown = line(&entry(7, Event::Pingreq), false);
        let (time, rest) = shown.split_once(' ').unwrap();
        assert_eq!(time.len(), "12:34:56.789".len(), "{time}");
        assert_eq!(rest, "[connection 7] PINGREQ");
        let shown = line(&entry(0, Event::Pingreq), false);
        assert!(shown.ends_with(" [service] PINGREQ"), "{shown}");
    }

    #[test]
    fn only_our_own_escape_sequences_are_shown() {
        let evil = Event::Dropped("\u{1b}[2J\nforged".to_owned());
        let shown = line(&entry(1, evil.clone()), false);
        assert!(!shown.contains(['\u{1b}', '\n']), "{shown}");
        assert!(shown.contains(r"\u{1b}[2J\nforged"), "{shown}");
        let shown = line(&entry(1, evil), true);
        assert_eq!(shown.matches('\u{1b}').count(), 4);
    }
}
