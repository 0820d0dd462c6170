//! Many runs, on all processors: each thread takes the next seed.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::breaks::Break;
use crate::rules::{self, Failure};
use crate::world;

/// Runs these seeds, and hands those that fail to `failed`, in no order. Returns how many ran: all
/// of them, unless `failed` says that it is enough.
pub fn run_all(
    seeds: Range<u64>,
    broken: Option<&'static Break>,
    failed: impl Fn(u64, Vec<Failure>) -> bool + Sync,
) -> u64 {
    let next = AtomicU64::new(seeds.start);
    let ran = AtomicU64::new(0);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if !seeds.contains(&seed) {
                        return;
                    }
                    let failures = judge(seed, broken);
                    ran.fetch_add(1, Ordering::Relaxed);
                    if !failures.is_empty() && failed(seed, failures) {
                        next.store(seeds.end, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    ran.into_inner()
}

/// Runs one seed. A panic in it is a failure as well.
pub fn judge(seed: u64, broken: Option<&'static Break>) -> Vec<Failure> {
    let run =
        std::panic::catch_unwind(|| world::run(seed, broken).map(|run| rules::failures(&run)));
    match run {
        Ok(Ok(failures)) => failures,
        Ok(Err(error)) => vec![Failure {
            rule: "the world begins",
            what: error.to_string(),
        }],
        Err(_) => vec![Failure {
            rule: rules::PANIC,
            what: "something did".to_owned(),
        }],
    }
}
