//! How long to wait before the next try: exponential backoff with full jitter.
//!
//! When a network comes back, all its devices come back at once. Waits that double keep them from
//! hammering a service that is down; *full* jitter (a wait drawn evenly from zero to the doubled
//! bound) spreads them out, so that the service meets a slope and not a wall. See
//! <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>.

use std::time::Duration;

/// No wait is longer, whatever the options say, so that `Duration::MAX` can say "never": ten years.
pub(super) const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The schedule of waits, and how far down it we are. Clones draw waits of their own.
#[derive(Debug, Clone)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    failures: u32,
    seeded: Option<fastrand::Rng>,
}

impl Default for Backoff {
    /// Waits of up to 1 second at first, and never of more than 120.
    fn default() -> Self {
        Self::new(Duration::from_secs(1), Duration::from_secs(120))
    }
}

impl Backoff {
    /// Waits of up to `base` at first, then of up to twice that, and so on, never over `cap`.
    pub fn new(base: Duration, cap: Duration) -> Self {
        Self {
            base,
            cap: cap.min(LONGEST),
            failures: 0,
            seeded: None,
        }
    }

    /// The same waits again for the same seed, in clones as well: for tests and simulations.
    pub fn seeded(self, seed: u64) -> Self {
        Self {
            seeded: Some(fastrand::Rng::with_seed(seed)),
            ..self
        }
    }

    /// How long to wait after one more failure.
    pub fn next_wait(&mut self) -> Duration {
        self.draw(self.bound())
    }

    /// How long to wait after a failure that somebody has to fix: as if there had been many before.
    pub fn long_wait(&mut self) -> Duration {
        self.draw(self.cap)
    }

    /// How long to wait after one more failure, which somebody may have to fix.
    pub fn wait(&mut self, has_to_be_fixed: bool) -> Duration {
        if has_to_be_fixed {
            self.long_wait()
        } else {
            self.next_wait()
        }
    }

    /// The longest that the next wait can be: `base × 2^failures`, at most `cap`.
    pub fn bound(&self) -> Duration {
        let times = 2u32.saturating_pow(self.failures);
        self.base.saturating_mul(times).min(self.cap)
    }

    /// How many failures there were since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Back to the base: things are well again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    fn draw(&mut self, bound: Duration) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let share = match &mut self.seeded {
            Some(random) => random.f64(),
            None => fastrand::f64(),
        };
        bound.mul_f64(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_secs(1);
    const CAP: Duration = Duration::from_secs(120);

    #[test]
    fn the_bound_doubles_up_to_the_cap_and_stays_there() {
        let mut backoff = Backoff::new(BASE, CAP);
        let mut bounds = Vec::new();
        for _ in 0..100 {
            bounds.push(backoff.bound().as_secs());
            backoff.next_wait();
        }
        assert_eq!(bounds[..9], [1, 2, 4, 8, 16, 32, 64, 120, 120]);
        assert_eq!(bounds[99], 120);
    }

    #[test]
    fn each_wait_is_drawn_evenly_from_zero_to_the_bound() {
        let mut shares = Vec::new();
        for seed in 0..1_000 {
            let mut backoff = Backoff::new(BASE, CAP).seeded(seed);
            for _ in 0..5 {
                backoff.next_wait();
            }
            let bound = backoff.bound();
            shares.push(backoff.next_wait().as_secs_f64() / bound.as_secs_f64());
        }
        assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)));
        for tenth in 0..10 {
            let low = f64::from(tenth) / 10.0;
            let drawn = shares
                .iter()
                .filter(|share| (low..low + 0.1).contains(*share))
                .count();
            assert!(
                (60..=140).contains(&drawn),
                "{drawn} of 1,000 in {low}..{}",
                low + 0.1
            );
        }
    }

    #[test]
    fn waits_are_neither_constant_nor_linear() {
        let mean = |failures: u32| -> f64 {
            let waits = (0..500).map(|seed| {
                let mut backoff = Backoff::new(BASE, CAP).seeded(seed);
                (0..failures).for_each(|_| {
                    backoff.next_wait();
                });
                backoff.next_wait().as_secs_f64()
            });
            waits.sum::<f64>() / 500.0
        };
        for failures in 0..6 {
            let growth = mean(failures + 1) / mean(failures);
            assert!(
                (1.7..2.3).contains(&growth),
                "{growth} after {failures} failures"
            );
        }
    }

    #[test]
    fn clones_draw_waits_of_their_own_and_those_of_a_seed_the_same() {
        let waits = |mut backoff: Backoff| [0; 5].map(|_| backoff.next_wait());
        let backoff = Backoff::new(BASE, CAP);
        assert_ne!(waits(backoff.clone()), waits(backoff.clone()));
        let seeded = backoff.clone().seeded(7);
        assert_eq!(waits(seeded.clone()), waits(seeded.clone()));
        assert_eq!(waits(seeded), waits(backoff.seeded(7)));
    }

    #[test]
    fn a_long_wait_is_drawn_from_zero_to_the_cap_from_the_first_on() {
        let waits = (0..100).map(|seed| Backoff::new(BASE, CAP).seeded(seed).long_wait());
        assert!(waits.clone().all(|wait| wait <= CAP));
        assert!(waits.into_iter().any(|wait| wait > CAP / 2));
    }

    #[test]
    fn a_reset_goes_back_to_the_base() {
        let mut backoff = Backoff::new(BASE, CAP);
        (0..9).for_each(|_| {
            backoff.next_wait();
        });
        backoff.reset();
        assert_eq!(backoff.bound(), BASE);
    }
}
