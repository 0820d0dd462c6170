//! A thread of its own for the work on a job.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::time::sleep;
use tracing::warn;

use super::outcome::Outcome;

/// Where there is no thread, memory or file to be had, the next try is after this time.
const SHORTAGE: Duration = Duration::from_secs(1);

/// Does some work on a thread of its own, with a runtime of its own. Nobody joins it: work that hangs
/// keeps no process from ending.
pub(super) async fn on_a_thread(
    work: impl FnOnce(&Runtime) -> Outcome + Send + 'static,
) -> Outcome {
    let (done, outcome) = oneshot::channel();
    let task = Arc::new(Mutex::new(Some((work, done))));
    loop {
        let task = Arc::clone(&task);
        let spawned = thread::Builder::new()
            .name("work".to_owned())
            .spawn(move || {
                let runtime = loop {
                    match Builder::new_current_thread().enable_all().build() {
                        Ok(runtime) => break runtime,
                        Err(error) => warn!("the work waits for a runtime: {error}"),
                    }
                    thread::sleep(SHORTAGE);
                };
                let task = task.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some((work, done)) = task {
                    let ended = catch_unwind(AssertUnwindSafe(|| work(&runtime)));
                    let _ = done.send(ended.unwrap_or_else(|panic| Outcome::panicked(&*panic)));
                }
            });
        match spawned {
            Ok(_) => break,
            Err(error) => warn!("the work waits for a thread: {error}"),
        }
        sleep(SHORTAGE).await;
    }
    let outcome = outcome.await;
    outcome.unwrap_or_else(|_| Outcome::failed("the work has ended without a result"))
}
