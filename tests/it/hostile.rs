//! A hostile peer behind good TLS, by a seed: mutated packets, packets in the wrong state, noise,
//! trickles, floods, silence; then a good server, which gets its next job done. Nothing that it does
//! ends the device, and nothing in the device grows with it.
//!
//! `HOSTILE_SEED` repeats one seed, as far as the network and the scheduler let it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jobs_mqtt5::sample::lines;
use local_iot_core::{Event, Status};

use crate::support::{Hostile, LIMIT, Program, World, quick_work};

/// Eight floods at once, in one thread of a build that is not optimized, beside whatever else runs.
const A_LONG_TIME: Duration = Duration::from_secs(120);

/// The seeds to be tried: so many, or the one that is asked for.
fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("HOSTILE_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..count).collect(),
    }
}

/// Has the hostile peer at work for this long, and until it has played enough tricks; with jobs that keep
/// the device talking.
async fn harass(
    world: &World,
    seed: u64,
    lasts: Duration,
    is_enough: impl Fn(&Hostile) -> bool,
) -> Arc<Hostile> {
    let hostile = Arc::new(Hostile::new(seed));
    world.core.set_tamper(Some(hostile.clone()));
    let began = Instant::now();
    for nth in 0.. {
        world.queue(&[&format!("seed-{seed}-{nth}")]);
        tokio::time::sleep(Duration::from_millis(100)).await;
        if nth % 4 == 3 {
            world.core.drop_connections(); // what it says to a CONNECT matters as well
        }
        let enough = is_enough(&hostile) || began.elapsed() > LIMIT;
        if enough && began.elapsed() > lasts {
            break;
        }
    }
    world.core.set_tamper(None);
    let played: usize = hostile.played().values().sum();
    assert!(played > 0, "seed {seed} was kind");
    hostile
}

async fn done_within(limit: Duration, world: &World, job_id: &str) -> bool {
    let done = world.core.jobs().wait_for_status(job_id, Status::Succeeded);
    tokio::time::timeout(limit, done).await.is_ok()
}

#[tokio::test]
async fn whatever_it_sent_the_next_good_server_gets_its_job_done() {
    let seeds = seeds(8);
    let played = Mutex::new(BTreeSet::new());
    let is_enough = |hostile: &Hostile| {
        let mut played = played.lock().unwrap();
        played.extend(hostile.played().into_keys());
        played.len() == 8 || seeds.len() == 1
    };
    join_all(seeds.iter().map(|seed| gets_its_job_done(*seed, is_enough))).await;
    let played = played.lock().unwrap();
    assert!(played.len() == 8 || seeds.len() == 1, "only {played:?}");
}

async fn gets_its_job_done(seed: u64, is_enough: impl Fn(&Hostile) -> bool) {
    let world = World::with_jobs(&["before"]).await;
    let running = world.run(world.settings(), quick_work());
    world.succeeds("before").await; // it has worked: a refusal is no mistake of the user's
    let hostile = harass(&world, seed, Duration::from_secs(2), is_enough).await;
    world.queue(&["after"]);
    let is_done = done_within(A_LONG_TIME, &world, "after").await;
    let (played, told) = (hostile.played(), running.err.text());
    assert!(is_done, "HOSTILE_SEED={seed}: {played:?}\n{told}");
    // It is told, but not ever more often.
    let bytes = told.len();
    assert!(bytes < 20_000, "HOSTILE_SEED={seed}: {bytes} bytes");
    running.stop().await.unwrap();
}

/// The real process with the waits of a real device.
async fn survives(world: &World, seed: u64, lasts: Duration, bound: Duration) {
    let program = world.start(&[]);
    program.out.wait_for(lines::NOTHING_TO_START).await;
    let is_enough = |hostile: &Hostile| !hostile.played().is_empty();
    harass(world, seed, lasts, is_enough).await;
    let began = Instant::now();
    let job_id = format!("after-{seed}");
    world.queue(&[&job_id]);
    let is_done = done_within(bound, world, &job_id).await;
    assert!(is_done, "HOSTILE_SEED={seed}\n{}", program.err.text());
    println!("seed {seed}: done after {:?}", began.elapsed());
    let (out, err) = (program.out.text().len(), program.err.text().len());
    assert!(out < 200_000 && err < 20_000, "{out} and {err} bytes");
    assert_memory(&program, seed);
    program.kill().await;
}

#[cfg(target_os = "linux")]
fn assert_memory(program: &Program, seed: u64) {
    let peak = program.peak_memory_kib();
    println!("seed {seed}: {peak} KiB");
    assert!(peak < 10 * 1024, "HOSTILE_SEED={seed}: {peak} KiB");
}

#[cfg(not(target_os = "linux"))]
fn assert_memory(_: &Program, _: u64) {}

#[tokio::test]
async fn the_real_process_keeps_its_memory_and_its_words() {
    let world = World::new().await;
    let lasts = Duration::from_secs(3); // so long that the waits are still short
    survives(&world, seeds(1)[0], lasts, Duration::from_secs(60)).await;
    let faults = |event: &Event| matches!(event, Event::Violation(_));
    // Our device did nothing that it should not; only what it was told about packet ids may be wrong.
    assert!(world.core.journal().count(faults) < 100);
}

#[tokio::test]
#[ignore = "takes some minutes: cargo test -- --ignored hostile"]
async fn many_seeds_against_the_real_process_and_its_waits() {
    for seed in seeds(10) {
        let world = World::new().await;
        let (lasts, bound) = (Duration::from_secs(15), Duration::from_secs(150));
        survives(&world, seed, lasts, bound).await;
    }
}
