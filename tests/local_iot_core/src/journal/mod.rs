//! A record of everything that the service saw and did, in order.

mod console;
mod event;
mod in_words;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::watch;

pub use console::Console;
pub use event::Event;

/// One line of the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// When it happened, by tokio's clock.
    pub at: Instant,
    /// On which connection, counted from 1. 0 stands for what happened in the cloud.
    pub connection: u64,
    /// What happened.
    pub event: Event,
}

/// An append-only record. Clones are handles to the same record.
#[derive(Debug, Clone)]
pub struct Journal {
    entries: Arc<Mutex<Entries>>,
    /// How many entries there are, for those who wait for one.
    written: Arc<watch::Sender<usize>>,
}

/// What is kept of the record: everything, unless a reader lets go of its beginning.
#[derive(Debug, Default)]
struct Entries {
    /// How many entries were let go.
    gone: usize,
    kept: Vec<Entry>,
}

impl Entries {
    /// How many there were, with those that were let go.
    fn len(&self) -> usize {
        self.gone + self.kept.len()
    }

    /// Those from the given index on that are kept.
    fn from(&self, index: usize) -> &[Entry] {
        let begin = index.saturating_sub(self.gone);
        self.kept.get(begin..).unwrap_or_default()
    }
}

impl Journal {
    pub(crate) fn new() -> Journal {
        Journal {
            entries: Arc::default(),
            written: Arc::new(watch::Sender::new(0)),
        }
    }

    pub(crate) fn record(&self, connection: u64, event: Event) {
        let mut entries = self.lock();
        let at = tokio::time::Instant::now().into_std();
        entries.kept.push(Entry {
            at,
            connection,
            event,
        });
        self.written.send_replace(entries.len());
    }

    /// Writes down something that the service does not see: what whoever drives it has to say.
    pub fn note(&self, what: impl Into<String>) {
        self.record(0, Event::Note(what.into()));
    }

    /// Makes room for so many more entries: until then, it does not move.
    pub fn reserve(&self, additional: usize) {
        self.lock().kept.reserve(additional);
    }

    /// Forgets what stands before the given index: a reader that has it wants to keep memory in bounds. The
    /// indices of what follows stay as they are.
    pub fn let_go(&self, index: usize) {
        let mut entries = self.lock();
        let count = index.saturating_sub(entries.gone).min(entries.kept.len());
        entries.kept.drain(..count);
        entries.gone += count;
    }

    /// Everything so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.entries_from(0)
    }

    /// Everything from the given index on. With the length of what was read before as the
    /// next index, a reader follows the journal without missing or repeating anything.
    pub fn entries_from(&self, index: usize) -> Vec<Entry> {
        self.lock().from(index).to_vec()
    }

    /// Every event so far, without its time and connection.
    pub fn events(&self) -> Vec<Event> {
        let entries = self.lock();
        let kept = entries.kept.iter();
        kept.map(|entry| entry.event.clone()).collect()
    }

    /// How many entries there are: the index that the next one will have.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Has nothing happened yet?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many events so far fit.
    pub fn count(&self, mut fits: impl FnMut(&Event) -> bool) -> usize {
        self.lock()
            .kept
            .iter()
            .filter(|entry| fits(&entry.event))
            .count()
    }

    /// What clients did that MQTT or AWS forbids. A well-behaved client leaves this empty.
    pub fn violations(&self) -> Vec<String> {
        let violation = |entry: &Entry| match &entry.event {
            Event::Violation(what) => Some(what.clone()),
            _ => None,
        };
        self.lock().kept.iter().filter_map(violation).collect()
    }

    /// Waits for an event that fits, and returns the first. One that has already happened
    /// counts.
    pub async fn wait_for(&self, fits: impl FnMut(&Event) -> bool) -> Event {
        self.wait_for_entry(0, 1, fits).await.event
    }

    /// As [`wait_for`](Self::wait_for), for the `n`th event that fits, counted from 1.
    pub async fn wait_for_count(&self, n: usize, fits: impl FnMut(&Event) -> bool) -> Event {
        self.wait_for_entry(0, n, fits).await.event
    }

    /// As [`wait_for_count`](Self::wait_for_count), not looking at what stands before `from`,
    /// and with time and connection of the event.
    pub async fn wait_for_entry(
        &self,
        from: usize,
        n: usize,
        mut fits: impl FnMut(&Event) -> bool,
    ) -> Entry {
        let mut written = self.written.subscribe();
        let (mut next, mut found) = (from, 0);
        loop {
            written.borrow_and_update();
            {
                let entries = self.lock();
                next = next.max(entries.gone);
                for entry in entries.from(next) {
                    next += 1;
                    found += usize::from(fits(&entry.event));
                    if found >= n.max(1) {
                        return entry.clone();
                    }
                }
            }
            if written.changed().await.is_err() {
                // The sender lives as long as this handle does.
                unreachable!("the journal is gone while somebody reads it");
            }
        }
    }

    /// Waits until the journal has an entry at `index`.
    pub async fn wait_for_more(&self, index: usize) {
        let mut written = self.written.subscribe();
        // It can't fail: the sender lives as long as this handle does.
        let _ = written.wait_for(|&length| length > index).await;
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_for_what_was_and_for_what_comes() {
        let journal = Journal::new();
        journal.record(1, Event::TcpAccepted);
        assert_eq!(journal.wait_for(|_| true).await, Event::TcpAccepted);

        let other = journal.clone();
        let waiting =
            tokio::spawn(async move { other.wait_for_count(2, |e| *e == Event::Pingreq).await });
        tokio::task::yield_now().await;
        journal.record(1, Event::Pingreq);
        journal.record(1, Event::Violation("it did".to_owned()));
        assert!(!waiting.is_finished());
        journal.record(1, Event::Pingreq);
        waiting.await.unwrap();
        assert_eq!(journal.violations(), ["it did"]);
        assert_eq!(journal.count(|e| *e == Event::Pingreq), 2);
        assert_eq!(journal.entries_from(3).len(), 1);
        assert!(journal.entries_from(9).is_empty());
    }

    #[tokio::test]
    async fn what_is_let_go_leaves_the_indices_as_they_are() {
        let journal = Journal::new();
        for _ in 0..3 {
            journal.record(1, Event::Pingreq);
        }
        journal.let_go(2);
        journal.let_go(1); // gone already
        assert_eq!((journal.len(), journal.entries().len()), (3, 1));
        journal.record(2, Event::TcpAccepted);
        assert_eq!(journal.entries_from(3)[0].connection, 2);
        assert_eq!(journal.entries_from(0).len(), 2);
        let found = journal.wait_for_entry(0, 1, |event| *event == Event::TcpAccepted);
        assert_eq!(found.await.connection, 2);
        journal.let_go(9);
        assert!(journal.entries().is_empty());
        assert_eq!(journal.len(), 4);
    }
}
