//! Troubles that the field taught later on. They come on every eighth seed: the others stay as they were
//! when they found what they found.

use std::time::Duration;

use fastrand::Rng;

use crate::happening::{Cloud, Device, Happening, Service};
use crate::plan::{Plan, moment};

/// Which of them there are.
#[derive(Debug, Clone, Copy, Default)]
pub struct Later {
    /// The service keeps a session and forgets what was subscribed to in it.
    pub forgotten_subscriptions: bool,
    /// The device's process stands still, and the world goes on: what it waits for comes meanwhile.
    pub standstills: bool,
    /// Commands come faster than the device obeys them.
    pub slow_subscriber: bool,
}

/// Those that happen. Each is switched on here when the device can live through it.
pub const LATER: Later = Later {
    forgotten_subscriptions: true,
    standstills: true,
    slow_subscriber: true,
};

impl Later {
    /// Those that happen in the run with this seed.
    pub fn of_seed(seed: u64) -> Self {
        if seed % 8 == 7 {
            LATER
        } else {
            Self::default()
        }
    }

    /// When they happen.
    pub fn plan(self, seed: u64) -> Plan {
        let mut random = Rng::with_seed(seed);
        let mut plan = Plan::new();
        if self.forgotten_subscriptions {
            for _ in 0..random.u32(1..3) {
                let forgets = Happening::Service(Service::ForgetsSubscriptions);
                // (Early enough for a job to come that is found by asking: only then is it known.)
                plan.push((moment(&mut random) / 2, forgets));
            }
        }
        if self.standstills {
            for _ in 0..random.u32(2..6) {
                let time = Duration::from_millis(random.u64(12_000..35_000));
                let stands_still = Happening::Device(Device::StandStill(time));
                plan.push((moment(&mut random), stands_still));
            }
        }
        if self.slow_subscriber {
            for _ in 0..random.u32(1..4) {
                let commands = Happening::Cloud(Cloud::Commands(random.u32(1..200)));
                plan.push((moment(&mut random), commands));
            }
        }
        plan
    }
}
