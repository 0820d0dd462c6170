//! Hundreds of jobs while faults strike at random: `cargo test -- --ignored soak`.
//!
//! The device is a process of its own (`device.rs`), so that its open files and its memory can be
//! looked at from outside. `storm.rs` has what strikes it. `SOAK_SEED` repeats a storm, as far as
//! the network and the scheduler let it; `SOAK_SECONDS` makes it last longer. With the path of
//! libfaketime (Debian, Ubuntu: apt install libfaketime) in `SOAK_LIBFAKETIME`, the clock jumps as well.

mod device;
mod storm;

use std::time::{Duration, Instant};

use local_iot_core::{Books, Event, Limits, Options};

use crate::support::{World, within};
use device::{Device, Held};
use storm::Storm;

/// Done in peace before the storm, so that each operation has worked once.
const FIRST: usize = 20;
/// For so long faults strike; and once more, to see what the second storm leaves behind.
const STORM: Duration = Duration::from_secs(20);
/// What is left must be done by then, in peace.
const CALM: Duration = Duration::from_secs(60);
/// By the first storm, the device has grown to what it needs. In the second one it may still grow by
/// this much, and no more however long that lasts: pages that the allocator can't give back because
/// something small lies in them.
const RESERVE_KIB: u64 = 512;

/// Settled as they should be: nothing pending.
fn all_ended(books: &Books) -> bool {
    books.first_in_line().is_none()
}

#[tokio::test]
#[ignore = "takes a minute and a half: cargo test -- --ignored soak"]
async fn soak_every_job_is_done_exactly_once_whatever_strikes_and_nothing_is_left_behind() {
    let from_env = |name| std::env::var(name).ok().map(|value| value.parse().unwrap());
    let seed: u64 = from_env("SOAK_SEED").unwrap_or_else(|| fastrand::u64(..));
    let lasts = from_env("SOAK_SECONDS").map_or(STORM, Duration::from_secs);
    println!("SOAK_SEED={seed}");
    let limits = Limits {
        server_keep_alive: Some(5), // the shortest that there is: `no-pingresp` needs a PINGREQ
        ..Limits::default()
    };
    let options = Options {
        limits,
        ..Options::default()
    };
    let world = World::with(options).await;
    let mut storm = Storm::new(&world, seed);
    storm.calm_down();
    let device = Device::start(&world, seed);

    storm.queue(FIRST);
    let mut held = Vec::new();
    for storms in 0..3 {
        let start = Instant::now();
        while storms > 0 && start.elapsed() < lasts {
            storm.strike().await;
            assert!(device.is_alive(), "SOAK_SEED={seed}\n{}", device.story());
        }
        storm.calm_down();
        let rest = world.core.jobs().wait_until(all_ended);
        let done = tokio::time::timeout(CALM, rest).await;
        assert!(done.is_ok(), "SOAK_SEED={seed}\n{}", device.story());
        held.extend(device.settled().await);
    }

    let is_fault = |event: &Event| matches!(event, Event::Fault(_));
    let struck = world.core.journal().count(is_fault);
    let (done, armed) = (world.core.jobs().list().len(), storm.armed);
    println!("{done} jobs, {struck} of {armed} faults struck, {held:?}");
    assert!(struck * 2 > armed, "no storm, but a light breeze");
    exactly_once(&world, &device, &storm, seed);
    if let [_, before, after] = held[..] {
        nothing_left_behind(before, after, seed);
    } // else this system does not tell
    let violations = world.core.journal().violations();
    assert_eq!(violations, [""; 0], "SOAK_SEED={seed}");
    assert_eq!(within(device.end()).await, Some(0), "SOAK_SEED={seed}");
}

/// No execution was worked on twice; and whoever was not disturbed from the cloud was started, worked
/// on and SUCCEEDED once.
fn exactly_once(world: &World, device: &Device, storm: &Storm, seed: u64) {
    let worked = device.worked();
    for ((job_id, number), count) in &worked {
        assert_eq!(
            *count,
            1,
            "{job_id}, {number} (SOAK_SEED={seed})\n{}",
            device.story_of(job_id)
        );
    }
    for execution in world.core.jobs().list() {
        let of = (execution.job_id.clone(), execution.execution_number);
        let counts = [
            execution.succeeded,
            execution.starts,
            worked.get(&of).copied().unwrap_or(0),
        ];
        let is_fine = match storm.disturbed.contains(&execution.job_id) {
            true => execution.status.is_terminal() && execution.starts <= 1,
            false => counts == [1; 3],
        };
        assert!(
            is_fine,
            "{counts:?} of {execution:?} (SOAK_SEED={seed})\n{}",
            device.story_of(&execution.job_id)
        );
    }
}

/// As many open files and threads as before, and no more memory than in reserve.
fn nothing_left_behind(before: Held, after: Held, seed: u64) {
    let counts = |held: Held| (held.files, held.threads);
    assert_eq!(counts(before), counts(after), "SOAK_SEED={seed}");
    assert!(
        after.memory_kib <= before.memory_kib + RESERVE_KIB,
        "SOAK_SEED={seed}: {before:?}, {after:?}"
    );
}
