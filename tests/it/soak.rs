//! Hundreds of jobs while faults strike at random: `cargo test -- --ignored soak`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jobs_mqtt5::jobs::{Job, Outcome};
use local_iot_core::{Books, Fault, Status, Times};

use crate::support::World;

const JOBS: usize = 300;
/// For so long faults strike; after that, the rest is done in peace.
const STORM: Duration = Duration::from_secs(40);
/// All must be done by then.
const LIMIT: Duration = Duration::from_secs(80);

/// Whatever a device must live through. A `*` is one of the operations.
const FAULTS: [&str; 27] = [
    "drop-after-accept",
    "no-tls-answer",
    "drop-after-tls",
    "no-connack",
    "connack 0x88",
    "connack 0x89",
    "connack 0x97",
    "connack 0x9f",
    "drop-after-connack",
    "session-lost",
    "no-suback",
    "no-puback",
    "puback 0x97",
    "disconnect 0x8b",
    "drop-on-publish",
    "double-deliveries",
    "lose-reply *",
    "late-reply * 900",
    "double-reply *",
    "other-thing-reply *",
    "foreign-token-reply *",
    "not-json-reply *",
    "wrong-shape-reply *",
    "reject * RequestThrottled",
    "drop-before *",
    "drop-after *",
    "drop-after-lost *",
];

#[tokio::test]
#[ignore = "takes about a minute: cargo test -- --ignored soak"]
async fn soak_every_job_succeeds_exactly_once_whatever_strikes() {
    let seed = match std::env::var("SOAK_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => fastrand::u64(..),
    };
    println!("SOAK_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);

    let world = World::new().await;
    let jobs: Vec<String> = (0..JOBS).map(|n| format!("job-{n:03}")).collect();
    world.queue(&jobs.iter().map(String::as_str).collect::<Vec<_>>());
    let worked: Arc<Mutex<HashMap<String, u32>>> = Arc::default();
    let counted = Arc::clone(&worked);
    let work = async move |job: Job| {
        *counted
            .lock()
            .unwrap()
            .entry(job.id().to_owned())
            .or_default() += 1;
        Ok(Outcome::succeeded())
    };
    let running = world.run(world.settings(), work);

    let start = Instant::now();
    let all_done = |books: &Books| books.count(Status::Succeeded) == JOBS;
    let mut struck = 0;
    while start.elapsed() < STORM {
        let pause = Duration::from_millis(random.u64(20..300));
        let done = world.core.jobs().wait_until(all_done);
        if tokio::time::timeout(pause, done).await.is_ok() {
            break;
        }
        struck += 1;
        match random.usize(0..FAULTS.len() + 2) {
            nth if nth < FAULTS.len() => {
                let operation = ["get-pending", "start-next", "describe", "update"];
                let operation = operation[random.usize(0..operation.len())];
                let fault: Fault = FAULTS[nth].replace('*', operation).parse().unwrap();
                world.core.faults().add(fault, Times::Once);
            }
            nth if nth == FAULTS.len() => world.core.drop_connections(),
            _ => {
                world.core.drop_connections();
                world.core.forget_sessions();
            }
        }
    }
    world.core.faults().clear();
    let rest = LIMIT - start.elapsed();
    let done = tokio::time::timeout(rest, world.core.jobs().wait_until(all_done)).await;
    let journal = world.core.journal();
    assert!(
        done.is_ok(),
        "not done in time (SOAK_SEED={seed}):\n{}",
        running.out.text()
    );
    println!("{struck} faults in {:?}", start.elapsed());

    running.stop().await.unwrap();
    for execution in world.core.jobs().list() {
        let worked = worked.lock().unwrap()[&execution.job_id];
        assert_eq!(
            (execution.succeeded, execution.starts, worked),
            (1, 1, 1),
            "{} was not done exactly once (SOAK_SEED={seed})",
            execution.job_id
        );
    }
    assert_eq!(journal.violations(), [""; 0], "SOAK_SEED={seed}");
}
