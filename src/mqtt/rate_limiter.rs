//! Keeps the publishes of a connection within what AWS IoT Core takes.
//!
//! The quota is 100 a second, and what is over it is thrown away or ends the connection. See
//! <https://docs.aws.amazon.com/general/latest/gr/iot-core.html#message-broker-limits>.

use std::time::Duration;

use tokio::time::Instant;

/// So many publishes may leave at once after a quiet time…
const BURST: u32 = 10;
/// …and then one in this time: 85 a second, which with the burst makes 95 in the busiest second.
/// The rest of the 100 is for packets that the network holds up and then delivers together.
const INTERVAL: Duration = Duration::from_nanos(1_000_000_000 / 85);

/// Knows when the next publish may leave.
#[derive(Debug)]
pub(super) struct RateLimiter {
    /// When the next publish would be due if they were evenly spread.
    due: Instant,
}

impl RateLimiter {
    /// Nothing published yet: a whole burst may leave.
    pub fn new() -> Self {
        Self { due: a_burst_ago() }
    }

    /// When the next publish may leave: a moment that has come, or is to come.
    pub fn next(&self) -> Instant {
        self.due.max(a_burst_ago())
    }

    /// Counts publishes that leave now.
    pub fn record(&mut self, publishes: u32) {
        self.due = self.next() + INTERVAL * publishes;
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
        let mut limiter = RateLimiter::new();
        tokio::time::advance(Duration::from_secs(60)).await;
        let mut left = Vec::new();
        for _ in 0..500 {
            tokio::time::sleep_until(limiter.next()).await;
            limiter.record(1);
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
        let mut limiter = RateLimiter::new();
        tokio::time::advance(Duration::from_secs(1)).await;
        for _ in 0..BURST {
            assert!(limiter.next() <= Instant::now());
            limiter.record(1);
        }
        assert!(limiter.next() > Instant::now());
    }
}
