//! Troubles that the field taught later on: the service keeps a session and forgets what was subscribed to
//! in it; the device's process stands still; commands come faster than the device obeys them. They come
//! on every eighth seed: the others stay as they were when they found what they found.

use std::time::Duration;

use fastrand::Rng;

use crate::happening::{Cloud, Device, Happening, Service};
use crate::plan::{Plan, moment};

/// Whether they happen in the run with this seed.
pub fn come_in(seed: u64) -> bool {
    seed % 8 == 7
}

/// When they happen.
pub fn plan(seed: u64) -> Plan {
    let mut random = Rng::with_seed(seed);
    let mut plan = Plan::new();
    for _ in 0..random.u32(1..3) {
        let forgets = Happening::Service(Service::ForgetsSubscriptions);
        // (Early enough for a job to come that is found by asking: only then is it known.)
        plan.push((moment(&mut random) / 2, forgets));
    }
    for _ in 0..random.u32(2..6) {
        let time = Duration::from_millis(random.u64(12_000..35_000));
        let stands_still = Happening::Device(Device::StandStill(time));
        plan.push((moment(&mut random), stands_still));
    }
    for _ in 0..random.u32(1..4) {
        let commands = Happening::Cloud(Cloud::Commands(random.u32(1..200)));
        plan.push((moment(&mut random), commands));
    }
    plan
}
