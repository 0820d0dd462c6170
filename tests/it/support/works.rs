//! Work for the sample to do, and what is expected of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jobs_mqtt5::agent::{Job, Outcome, WorkResult};
use jobs_mqtt5::sample::lines;
use tokio::sync::Semaphore;

use super::{Running, World};

/// Work that succeeds at once.
pub fn quick_work() -> impl AsyncFn(&Job) -> WorkResult + Clone + Send + Sync + 'static {
    async |_: &Job| Ok(Outcome::succeeded())
}

/// Work that counts how often it is done.
pub fn counted_work() -> (
    impl AsyncFn(&Job) -> WorkResult + Clone + Send + Sync + 'static,
    Arc<AtomicUsize>,
) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let work = async move |_: &Job| {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(Outcome::succeeded())
    };
    (work, count)
}

/// Lets held work go.
pub struct Gate(Arc<Semaphore>);

impl Gate {
    /// Lets the work on this many jobs go.
    pub fn add_permits(&self, jobs: usize) {
        self.0.add_permits(jobs);
    }
}

impl Drop for Gate {
    /// A test that has failed must not wait for work that waits for it.
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Work that waits until it is let go, whatever happens meanwhile.
pub fn held_work() -> (
    impl AsyncFn(&Job) -> WorkResult + Clone + Send + Sync + 'static,
    Gate,
) {
    let gate = Gate(Arc::new(Semaphore::new(0)));
    let held = Arc::clone(&gate.0);
    let work = async move |_: &Job| {
        held.acquire().await?.forget();
        Ok(Outcome::succeeded())
    };
    (work, gate)
}

/// Waits until nothing is left to be done.
pub async fn idle(running: &Running) {
    running.out.wait_for(lines::NOTHING_TO_START).await;
}

/// The job is done, once, and no rule was broken on the way.
pub async fn done_once(world: &World, job_id: &str, running: Running) {
    world.succeeds(job_id).await;
    idle(&running).await;
    let execution = world.core.jobs().execution(job_id).unwrap();
    assert_eq!((execution.starts, execution.succeeded), (1, 1), "{job_id}");
    assert_eq!(
        running.out.count(lines::WORK_STARTED),
        1,
        "{}",
        running.out.text()
    );
    running.stop().await.unwrap();
    assert_eq!(world.core.journal().violations(), [""; 0]);
}
