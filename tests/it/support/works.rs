//! Work for the sample to do, and what is expected of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jobs_mqtt5::jobs::JobExecution;
use jobs_mqtt5::sample::Work;
use tokio::sync::Semaphore;

use super::{Running, World};

/// Work that succeeds at once.
pub fn quick_work() -> Work {
    Arc::new(|_| Ok(()))
}

/// Work that counts how often it is done.
pub fn counted_work() -> (Work, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let work = move |_: &JobExecution| {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(())
    };
    (Arc::new(work), count)
}

/// Work that waits until it is let go, and says how often it has begun.
pub fn held_work() -> (Work, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let work = move |_: &JobExecution| {
        let permit = tokio::runtime::Handle::current().block_on(held.acquire());
        permit.map_err(|error| error.to_string())?.forget();
        Ok(())
    };
    (Arc::new(work), gate)
}

/// Waits until nothing is left to be done.
pub async fn idle(running: &Running) {
    running.out.wait_for("there are no jobs to be done").await;
}

/// The job is done, once, and no rule was broken on the way.
pub async fn done_once(world: &World, job_id: &str, running: Running) {
    world.succeeds(job_id).await;
    idle(&running).await;
    let execution = world.core.jobs().execution(job_id).unwrap();
    assert_eq!((execution.starts, execution.succeeded), (1, 1), "{job_id}");
    assert_eq!(
        running.out.count("Starting local work on job..."),
        1,
        "{}",
        running.out.text()
    );
    running.stop().await.unwrap();
    assert_eq!(world.core.journal().violations(), [""; 0]);
}
