//! What was sent to the device reaches it.

use std::collections::BTreeSet;
use std::time::Duration;

use local_iot_core::{Entry, Event};
use tokio::time::Instant;

use crate::run::Run;

/// Whoever calls something late when it goes on does so within this time.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A device that has stood still reads what has come before it calls anything late.
pub fn what_has_come_is_read(run: &Run) -> Vec<String> {
    let calls_it_late = |entry: &&Entry| {
        let at = Instant::from_std(entry.at);
        let has_just_woken = |woken: &Instant| (*woken..*woken + AT_ONCE).contains(&at);
        note(entry).is_some_and(|what| what.contains("did not answer"))
            && run.seen.woken.iter().any(has_just_woken)
    };
    let wrong = run.journal.iter().filter(calls_it_late);
    wrong
        .map(|entry| {
            let at = Instant::from_std(entry.at) - run.seen.begun;
            format!("{at:?}: {}", note(entry).unwrap_or_default())
        })
        .collect()
}

/// Of more commands than it can obey at once, a device obeys each, or is told that it was lost; and a
/// job beside them is done at once.
pub fn no_command_is_lost_in_silence(run: &Run) -> Vec<String> {
    let Some(commands) = &run.seen.commands else {
        return Vec::new();
    };
    let notes = || run.journal[commands.from..].iter().filter_map(note);
    let obeyed: BTreeSet<&str> = notes()
        .filter_map(|what| what.strip_prefix("device: obeys "))
        .collect();
    let lost = notes().filter_map(|what| what.strip_prefix("device: lost "));
    let lost: usize = lost.filter_map(|count| count.parse::<usize>().ok()).sum();
    let mut wrong = Vec::new();
    if obeyed.len() + lost != commands.published {
        let (published, obeyed) = (commands.published, obeyed.len());
        wrong.push(format!(
            "of {published} commands {obeyed} were obeyed, and {lost} told to be lost"
        ));
    }
    if commands.job.is_none() {
        wrong.push("a job beside many commands is not done at once".to_owned());
    }
    wrong
}

fn note(entry: &Entry) -> Option<&str> {
    match &entry.event {
        Event::Note(what) => Some(what),
        _ => None,
    }
}
