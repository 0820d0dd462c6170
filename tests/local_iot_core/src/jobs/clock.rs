//! The time of day, as the service tells it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::time::Instant;

use super::execution::Moment;

/// A clock that was set once and runs with tokio's time. Clones are handles to the same clock.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    began: Instant,
    /// What it showed then, in milliseconds since the epoch.
    shown: Arc<AtomicI64>,
}

impl Clock {
    /// A clock that shows this time now.
    pub(crate) fn set_to(time: SystemTime) -> Clock {
        let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let shown = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
        Clock {
            began: Instant::now(),
            shown: Arc::new(AtomicI64::new(shown)),
        }
    }

    pub(crate) fn now(&self) -> Moment {
        let passed = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        let shown = self.shown.load(Ordering::Relaxed).saturating_add(passed);
        Moment(u64::try_from(shown).unwrap_or_default())
    }

    /// Turns the clock forward, or back if the number is negative.
    pub(crate) fn turn(&self, seconds: i64) {
        self.shown
            .fetch_add(seconds.saturating_mul(1000), Ordering::Relaxed);
    }
}
