//! Everything that happened, in the order in which it did: what the page draws, the terminal tells and a
//! recording keeps.

mod gist;
mod moment;
pub mod recording;
mod teller;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use local_iot_core::{Journal, LocalIotCore, fill_policy};
use tokio::sync::watch;
use uuid::Uuid;

#[cfg(test)]
pub use moment::Lane;
pub use moment::{Kind, Moment};
use teller::Teller;

/// The chart so far. Whoever shows it reads from where they are.
pub struct Chart {
    journal: Journal,
    drawn: Mutex<Drawn>,
    length: watch::Sender<usize>,
    /// The policy that was in force at the beginning, its placeholders filled in.
    first_policy: String,
    thing_name: String,
    /// Tells this run from others: a page may have been open since an earlier one.
    pub run: String,
}

struct Drawn {
    teller: Teller,
    /// The place in the journal that comes next.
    next: usize,
    moments: Vec<Arc<Moment>>,
}

impl Chart {
    /// `policy` is the one that the service was started with.
    pub fn new(core: &LocalIotCore, policy: &str) -> Chart {
        let first_policy = fill_policy(policy, core.thing_name());
        Chart {
            journal: core.journal().clone(),
            drawn: Mutex::new(Drawn {
                teller: Teller::new(core.jobs(), &first_policy),
                next: 0,
                moments: Vec::new(),
            }),
            length: watch::Sender::new(0),
            first_policy,
            thing_name: core.thing_name().to_owned(),
            run: Uuid::new_v4().simple().to_string(),
        }
    }

    pub fn thing_name(&self) -> &str {
        &self.thing_name
    }

    pub fn first_policy(&self) -> &str {
        &self.first_policy
    }

    /// Draws what happens, as it happens, for ever.
    pub async fn draw(&self) {
        loop {
            let next = self.catch_up();
            self.journal.wait_for_more(next).await;
        }
    }

    /// Draws what has happened until now. Returns the place in the journal that comes next.
    pub fn catch_up(&self) -> usize {
        let mut drawn = self.lock();
        for entry in self.journal.entries_from(drawn.next) {
            let n = drawn.next;
            drawn.next += 1;
            if let Some(moment) = drawn.teller.tell(n, &entry) {
                drawn.moments.push(Arc::new(moment));
            }
        }
        self.length.send_replace(drawn.moments.len());
        drawn.next
    }

    /// What happened from the given place on, at most so much of it. Waits if that is nothing yet.
    pub async fn from(&self, place: usize, most: usize) -> Vec<Arc<Moment>> {
        let mut length = self.length.subscribe();
        // It can't fail: the sender lives as long as this does.
        let _ = length.wait_for(|&length| length > place).await;
        let drawn = self.lock();
        let end = drawn.moments.len().min(place.saturating_add(most));
        drawn.moments[place.min(end)..end].to_vec()
    }

    /// Everything so far.
    pub fn all(&self) -> Vec<Arc<Moment>> {
        self.lock().moments.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Drawn> {
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
