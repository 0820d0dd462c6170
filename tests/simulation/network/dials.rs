//! Every try to connect, for whoever judges the waits between them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::lock::lock;

/// The device's longest wait between two tries.
pub const LONGEST_WAIT: Duration = Duration::from_secs(120);
/// Its first wait is at most this long; the next one twice that, and so on.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// A connection that lasted this long was a good one: the waits begin anew.
const STABLE: Duration = Duration::from_secs(60);

/// A try to connect.
#[derive(Debug, Clone)]
pub struct Dial {
    pub process: u32,
    pub at: Instant,
    /// Whether there was a connection.
    pub connected: bool,
    /// When the device gave up the try, or the connection that it made.
    pub ended: Option<Instant>,
}

/// All of them, in their order. Clones are handles to the same list.
#[derive(Debug, Clone, Default)]
pub struct Dials(Arc<Mutex<Vec<Dial>>>);

impl Dials {
    /// A try begins.
    pub fn begin(&self, process: u32) -> Underway {
        let mut dials = lock(&self.0);
        dials.push(Dial {
            process,
            at: Instant::now(),
            connected: false,
            ended: None,
        });
        Underway {
            dials: self.clone(),
            nth: dials.len() - 1,
        }
    }

    pub fn list(&self) -> Vec<Dial> {
        lock(&self.0).clone()
    }

    /// When the next try of a process is due if it waits for as long as it may.
    pub fn latest_next(&self, process: u32) -> Instant {
        let dials = self.list();
        let its: Vec<&Dial> = dials.iter().filter(|one| one.process == process).collect();
        let ended = its.last().and_then(|last| last.ended);
        ended.map_or_else(Instant::now, |ended| ended + longest_wait(&its))
    }

    fn edit(&self, nth: usize, edit: impl FnOnce(&mut Dial)) {
        if let Some(dial) = lock(&self.0).get_mut(nth) {
            edit(dial);
        }
    }
}

/// A try, and the connection that it made. Ends when it is dropped.
#[derive(Debug)]
pub struct Underway {
    dials: Dials,
    nth: usize,
}

impl Underway {
    pub fn connected(&self) {
        self.dials.edit(self.nth, |dial| dial.connected = true);
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        let now = Instant::now();
        self.dials.edit(self.nth, |dial| dial.ended = Some(now));
    }
}

/// The longest that a process may wait after these tries of it.
pub fn longest_wait(dials: &[&Dial]) -> Duration {
    let is_failure = |dial: &&&Dial| {
        let lasted = dial.ended.map(|ended| ended - dial.at);
        !dial.connected || lasted.is_none_or(|lasted| lasted < STABLE)
    };
    // After a good connection, the first wait is that of a first failure.
    let failures = dials.iter().rev().take_while(is_failure).count();
    let doubled = failures.saturating_sub(1).min(10) as u32;
    (FIRST_WAIT * 2u32.pow(doubled)).min(LONGEST_WAIT)
}
