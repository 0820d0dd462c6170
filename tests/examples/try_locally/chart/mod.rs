//! What happened, in the order in which it did: what the page draws, the terminal prints and a
//! recording keeps.

mod before;
mod gist;
mod moment;
mod payload;
mod presigned;
pub mod recording;
mod refusals;
mod teller;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use local_iot_core::{Journal, LocalIotCore, fill_policy};
use tokio::sync::watch;
use uuid::Uuid;

pub use before::Before;
#[cfg(test)]
pub use moment::Lane;
pub use moment::{Kind, Moment};
pub use presigned::without_signatures;
use teller::Teller;

/// The most bytes that are kept in memory, about. Then the oldest are let go, and that is said.
const MOST: usize = 48 * 1024 * 1024;

/// The most bytes that are shown at one go, about: meanwhile, nobody else's turn comes.
const AT_ONE_GO: usize = 256 * 1024;

/// How long it is drawn at one go, for the same reason.
const A_MOMENT: Duration = Duration::from_millis(5);

/// The chart so far. Whoever shows it reads from where they are.
pub struct Chart {
    journal: Journal,
    drawn: Mutex<Drawn>,
    /// How many moments there were, with those that were let go.
    length: watch::Sender<usize>,
    thing_name: String,
    /// Tells this run from others: a page may have been open since an earlier one.
    pub run: String,
}

struct Drawn {
    teller: Teller,
    /// The place in the journal that comes next.
    next: usize,
    /// What the moments that were let go came to.
    before: Before,
    moments: VecDeque<Arc<Moment>>,
    /// What they weigh, in bytes, about.
    weight: usize,
    most: usize,
}

impl Drawn {
    fn length(&self) -> usize {
        self.before.gone + self.moments.len()
    }

    fn push(&mut self, moment: Moment) {
        self.weight += moment.weight();
        self.moments.push_back(Arc::new(moment));
        while self.weight > self.most
            && let Some(oldest) = self.moments.pop_front()
        {
            self.weight -= oldest.weight();
            self.before.take(&oldest);
        }
    }
}

impl Chart {
    /// `policy` is the one that the service was started with.
    pub fn new(core: &LocalIotCore, policy: &str) -> Chart {
        Chart::with_most(core, policy, MOST)
    }

    /// The same, with another bound on what is kept: in bytes, about.
    pub fn with_most(core: &LocalIotCore, policy: &str, most: usize) -> Chart {
        let policy = fill_policy(policy, core.thing_name());
        Chart {
            journal: core.journal().clone(),
            drawn: Mutex::new(Drawn {
                teller: Teller::new(core.jobs(), &policy),
                next: 0,
                before: Before::new(&policy),
                moments: VecDeque::new(),
                weight: 0,
                most,
            }),
            length: watch::Sender::new(0),
            thing_name: core.thing_name().to_owned(),
            run: Uuid::new_v4().simple().to_string(),
        }
    }

    pub fn thing_name(&self) -> &str {
        &self.thing_name
    }

    /// All there is now: what the moments that were let go came to, and the others.
    pub fn snapshot(&self) -> (Before, VecDeque<Arc<Moment>>) {
        let drawn = self.lock();
        (drawn.before.clone(), drawn.moments.clone())
    }

    /// What the moments that were let go came to.
    pub fn before(&self) -> Before {
        self.lock().before.clone()
    }

    /// How many moments were let go.
    pub fn gone(&self) -> usize {
        self.lock().before.gone
    }

    /// Draws what happens, as it happens, forever. What is drawn need not stand in the journal as well.
    pub async fn draw(&self) {
        loop {
            let next = self.draw_for(A_MOMENT);
            self.journal.let_go(next);
            tokio::task::yield_now().await;
            self.journal.wait_for_more(next).await;
        }
    }

    /// Draws what has happened until now.
    pub fn catch_up(&self) {
        self.draw_for(Duration::MAX);
    }

    /// Draws for so long at most. Returns the place in the journal that comes next.
    fn draw_for(&self, time: Duration) -> usize {
        let begun = Instant::now();
        let mut drawn = self.lock();
        for entry in self.journal.entries_from(drawn.next) {
            let n = drawn.next;
            drawn.next += 1;
            if let Some(moment) = drawn.teller.tell(n, &entry) {
                drawn.push(moment);
            }
            if begun.elapsed() > time {
                break;
            }
        }
        self.length.send_replace(drawn.length());
        drawn.next
    }

    /// What happened from the given place on, as much of it as can be shown at one go, and the place behind
    /// it. Waits if that is nothing yet; passes over what was let go.
    pub async fn from(&self, place: usize) -> (Vec<Arc<Moment>>, usize) {
        let mut length = self.length.subscribe();
        // It can't fail: the sender lives as long as this does.
        let _ = length.wait_for(|&length| length > place).await;
        let drawn = self.lock();
        let gone = drawn.before.gone;
        let begin = place.saturating_sub(gone).min(drawn.moments.len());
        let mut kept = drawn.moments.range(begin..).cloned();
        let moments = at_one_go(&mut kept);
        let end = begin + moments.len();
        (moments, gone + end)
    }

    fn lock(&self) -> MutexGuard<'_, Drawn> {
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As many of these as can be shown at one go; one at least, if there is one.
fn at_one_go(moments: &mut impl Iterator<Item = Arc<Moment>>) -> Vec<Arc<Moment>> {
    let mut weight = 0;
    let mut shown = Vec::new();
    while weight < AT_ONE_GO
        && let Some(moment) = moments.next()
    {
        weight += moment.weight();
        shown.push(moment);
    }
    shown
}
