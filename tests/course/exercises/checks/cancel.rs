//! Notice a cancel.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jobs_mqtt5::agent::{Job, WorkResult};
use serde_json::json;
use tokio::sync::watch;

use crate::world::{PATIENCE, World, happens, within};
use crate::{NotYet, exercises, judge};

/// How long the job waters that is not canceled, in seconds.
const WATERED: u64 = 2;

/// Lets water into the garden while it is open.
#[derive(Default)]
pub struct Valve(watch::Sender<Water>);

#[derive(Default)]
struct Water {
    since: Option<Instant>,
    /// How long it ran before the valve was last closed.
    ran: Duration,
}

impl Valve {
    pub fn open(&self) {
        let now = Instant::now();
        self.0.send_modify(|water| water.since = Some(now));
    }

    pub fn close(&self) {
        self.0.send_modify(|water| {
            if let Some(since) = water.since.take() {
                water.ran = since.elapsed();
            }
        });
    }

    fn is_open(&self) -> bool {
        self.0.borrow().since.is_some()
    }

    fn ran(&self) -> Duration {
        self.0.borrow().ran
    }

    async fn is(&self, open: bool) {
        let mut valve = self.0.subscribe();
        let _ = valve.wait_for(|now| now.since.is_some() == open).await; // the sender lives
    }
}

pub async fn check(
    work: impl AsyncFn(&Job, &Valve) -> WorkResult + Send + Sync + 'static,
) -> Result<(), String> {
    let world = World::new().await;
    let jobs = world.core.jobs();
    world.queue("an-hour", json!({"seconds": 3600}));
    let valve = Arc::new(Valve::default());
    let at_work = Arc::clone(&valve);
    let _program = world.run(async move |job: &Job| work(job, &at_work).await);
    within(valve.is(true), "the valve was not open").await?;
    let canceled = jobs.cancel_job_by_force("an-hour");
    canceled.map_err(|error| format!("It did not water for an hour: {error}."))?;
    if !happens(valve.is(false)).await {
        return Err(format!(
            "{PATIENCE} seconds after the job was canceled the valve is still open. Expected: it is closed \
             at once, and the next job done."
        ));
    }
    world.queue("next", json!({"seconds": WATERED}));
    world.succeeds("next").await?;
    if valve.is_open() {
        return Err("The next job is SUCCEEDED, and the valve is still open.".into());
    }
    let ran = valve.ran();
    if ran < Duration::from_secs(WATERED) {
        return Err(format!(
            "The next job was to water for {WATERED} seconds, and the valve was closed after {ran:.1?}."
        ));
    }
    Ok(())
}

#[test]
fn done() -> Result<(), NotYet> {
    judge(check(exercises::cancel::work))
}
