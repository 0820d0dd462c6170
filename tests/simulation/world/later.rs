//! What the field taught later on: see `later`.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{AT_ONCE, World};
use crate::commands;
use crate::happening::Cloud;
use crate::run::Commands;
use crate::work::Document;

/// A device sends something within this time.
const KEEP_ALIVE: Duration = Duration::from_secs(300);
/// As often as this, everybody who can go on does: then, the service has answered.
const STEPS: u32 = 100;
/// What is there so much later was not there before.
const A_MOMENT: Duration = Duration::from_millis(20);

impl World {
    /// The device's process stands still while the service answers what it has just sent: when it goes
    /// on, the answer is there, and every timer has run out.
    pub async fn stand_still(&mut self, time: Duration) {
        let Ok(process) = self.process.as_ref().map(|process| process.number) else {
            return;
        };
        let sent = timeout(KEEP_ALIVE, self.network.something_is_sent()).await;
        if sent.is_err() {
            return self.note("device: it sends nothing");
        }
        let held = match self.device.habits.judges_before_it_reads {
            true => time + A_MOMENT,
            false => time,
        };
        self.network.hold(process, held);
        for _ in 0..STEPS {
            tokio::task::yield_now().await; // the service, without time
        }
        let has_something = self.network.has_for(process, held);
        self.freeze(time).await;
        if has_something {
            self.note("device: its process goes on, and something has come");
            self.seen.woken.push(Instant::now());
        }
    }

    /// The device's machine stands still.
    pub async fn freeze(&mut self, time: Duration) {
        tokio::time::advance(time).await;
        self.network.stood_still(time);
        self.seen.freezes.push((Instant::now(), time));
    }

    /// Where the service has forgotten that the device wants to be told, this job is found by asking.
    pub async fn one_job_that_nobody_may_tell_of(&mut self, bound: Duration) {
        self.operator.create(&another_last(1), None);
        self.until_all_is_done(bound).await;
    }

    /// More commands than the device obeys at once, and a job beside them.
    pub async fn many_commands(&mut self) -> Commands {
        let from = self.service.journal().len();
        self.operator.act(&Cloud::Commands(commands::MANY));
        self.operator.create(&another_last(2), None);
        let begun = Instant::now();
        let done = self.until_all_is_done(AT_ONCE).await;
        self.keep_running_until(begun + commands::OBEYS_IN * (commands::MANY + 1))
            .await;
        Commands {
            published: commands::MANY as usize,
            from,
            job: done.map(|done| done - begun),
        }
    }
}

/// A job that is quickly done, and not the same as [`Document::last`].
fn another_last(nth: u32) -> Document {
    let last = Document::last();
    Document {
        serial: last.serial + nth,
        ..last
    }
}
