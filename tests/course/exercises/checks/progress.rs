//! Report progress.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jobs_mqtt5::agent::{Job, WorkResult};
use local_iot_core::{Event, Jobs};
use serde_json::{Value, json};

use crate::world::{PATIENCE, World, happens};
use crate::{NotYet, exercises, judge};

const JOB: &str = "update";
const PARTS: u64 = 5;

/// Installs the parts of an update.
pub struct Installer {
    jobs: Jobs,
    /// The version that the execution had when the last part was in place; 0 if there was none.
    version: AtomicU64,
    is_unheard: AtomicBool,
}

impl Installer {
    /// Installs a part. It takes a while: here, until the service has heard of the part before.
    pub async fn install(&self, _part: u32) {
        let before = self.version.load(Ordering::SeqCst);
        if before > 0 && !self.is_unheard.load(Ordering::SeqCst) {
            let heard = self.jobs.wait_until(|books| {
                let execution = books.execution(JOB);
                execution.is_some_and(|one| one.version_number > before)
            });
            let is_unheard = !happens(heard).await;
            self.is_unheard.store(is_unheard, Ordering::SeqCst);
        }
        let version = self.jobs.execution(JOB).map_or(0, |one| one.version_number);
        self.version.store(version, Ordering::SeqCst);
    }
}

pub async fn check(
    work: impl AsyncFn(&Job, &Installer) -> WorkResult + Send + Sync + 'static,
) -> Result<(), String> {
    let world = World::new().await;
    world.queue(JOB, json!({"parts": PARTS}));
    let installer = Arc::new(Installer {
        jobs: world.core.jobs().clone(),
        version: AtomicU64::new(0),
        is_unheard: AtomicBool::new(false),
    });
    let at_work = Arc::clone(&installer);
    let often = Duration::from_millis(10); // instead of once in ten seconds
    let _program = world.run_with(
        |settings| settings.agent.progress_interval = often,
        async move |job: &Job| work(job, &at_work).await,
    );
    world.succeeds(JOB).await?;
    if installer.is_unheard.load(Ordering::SeqCst) {
        return Err(format!(
            "A part was installed, and in {PATIENCE} seconds the service heard nothing of it. \
             Expected: after each part, the status detail 'percent'."
        ));
    }
    let told = told(&world);
    let percent: Option<Vec<u8>> = told.iter().map(|told| told.parse().ok()).collect();
    let is_rising = percent.is_some_and(|percent| {
        percent.len() >= 3 && percent.is_sorted_by(|a, b| a < b) && percent.last() <= Some(&100)
    });
    if is_rising {
        return Ok(());
    }
    Err(format!(
        "The service was told, as 'percent': {told:?}. Expected: whole numbers up to 100, each greater than \
         the one before."
    ))
}

/// The status detail `percent` of every update while the work went on, or what stands in its place.
fn told(world: &World) -> Vec<String> {
    let events = world.core.journal().events().into_iter();
    let updates = events.filter_map(|event| match event {
        Event::Publish { topic, payload, .. } if topic.ends_with("/update") => {
            serde_json::from_slice::<Value>(&payload).ok()
        }
        _ => None,
    });
    let progress = updates.filter(|update| update["status"] == "IN_PROGRESS");
    let percent = progress.map(|update| match &update["statusDetails"]["percent"] {
        Value::String(percent) => percent.clone(),
        _ => format!("no 'percent' in {}", update["statusDetails"]),
    });
    percent.collect()
}

#[test]
fn done() -> Result<(), NotYet> {
    judge(check(exercises::progress::work))
}
