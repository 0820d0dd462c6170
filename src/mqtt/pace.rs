//! Keeps a client within the publishes that AWS IoT Core takes from one connection.
//!
//! The quota is 100 a second, and what is over it is thrown away or ends the connection. See
//! <https://docs.aws.amazon.com/general/latest/gr/iot-core.html#message-broker-limits>.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// So many publishes may leave at once after a quiet time…
const BURST: u32 = 10;
/// …and then one in this time: 85 a second, which with the burst makes 95 in the busiest second.
/// The rest of the 100 is for packets that the network holds up and then delivers together.
const INTERVAL: Duration = Duration::from_nanos(1_000_000_000 / 85);

/// The time at which the next publish would be due if they were evenly spread.
#[derive(Debug)]
pub struct Pace(Mutex<Instant>);

impl Pace {
    /// Nothing published yet: a whole burst may leave.
    pub fn new() -> Self {
        Self(Mutex::new(a_burst_ago()))
    }

    /// Waits until one more publish may leave.
    pub async fn turn(&self) {
        let turn = self.take(1);
        if turn > Instant::now() {
            sleep_until(turn).await;
        }
    }

    /// Counts publishes that leave without having waited for a turn: those sent once more on a new
    /// connection.
    pub fn spend(&self, publishes: u32) {
        self.take(publishes);
    }

    /// Books the next turns, and tells when the first of them is.
    fn take(&self, publishes: u32) -> Instant {
        let mut due = match self.0.lock() {
            Ok(due) => due,
            Err(poisoned) => poisoned.into_inner(), // an Instant is never half written
        };
        let turn = (*due).max(a_burst_ago());
        *due = turn + INTERVAL * publishes;
        turn
    }
}

/// The moment from which a whole burst has been saved up by now.
fn a_burst_ago() -> Instant {
    let now = Instant::now();
    now.checked_sub(INTERVAL * (BURST - 1)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn never_more_than_a_hundred_in_any_second_and_hardly_fewer() {
        let pace = Pace::new();
        tokio::time::advance(Duration::from_secs(60)).await;
        let mut left = Vec::new();
        for _ in 0..500 {
            pace.turn().await;
            left.push(Instant::now());
        }
        for (nth, start) in left.iter().enumerate() {
            let in_a_second = left[nth..]
                .iter()
                .filter(|at| **at - *start < Duration::from_secs(1));
            assert!(in_a_second.count() <= 100);
        }
        let took = left[499] - left[0];
        assert!(took < Duration::from_millis(5_900), "{took:?} for 500");
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_few_leave_at_once() {
        let pace = Pace::new();
        tokio::time::advance(Duration::from_secs(1)).await;
        let before = Instant::now();
        for _ in 0..BURST {
            pace.turn().await;
        }
        assert_eq!(Instant::now(), before);
    }
}
