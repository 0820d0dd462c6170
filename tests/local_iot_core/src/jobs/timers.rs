//! Timeouts: an execution that is IN_PROGRESS for too long becomes TIMED_OUT.

use std::sync::PoisonError;

use tokio::time::{Instant, sleep_until};

use super::{Books, Jobs};

impl Jobs {
    /// Sees to it that the next deadline is kept. One that is farther away is looked at when
    /// the timer for the nearer one is over.
    pub(super) fn set_timer(&self, books: &Books) {
        let Some(deadline) = books.next_deadline() else {
            return;
        };
        let mut timer = self.timer.lock().unwrap_or_else(PoisonError::into_inner);
        if timer.is_some_and(|set| set <= deadline) {
            return;
        }
        *timer = Some(deadline);
        let jobs = self.clone();
        self.runtime.spawn(async move {
            sleep_until(deadline).await;
            jobs.time_is_over(deadline);
        });
    }

    fn time_is_over(&self, deadline: Instant) {
        {
            let mut timer = self.timer.lock().unwrap_or_else(PoisonError::into_inner);
            if *timer == Some(deadline) {
                *timer = None;
            }
        }
        self.edit(|books| books.expire(Instant::now()));
    }
}
