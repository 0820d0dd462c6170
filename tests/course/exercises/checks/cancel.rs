//! Notice a cancel.

use std::sync::Arc;

use jobs_mqtt5::agent::{Job, WorkResult};
use serde_json::json;
use tokio::sync::watch;

use crate::world::{PATIENCE, World, happens, within};
use crate::{NotYet, exercises, judge};

/// Lets water into the garden while it is open.
#[derive(Default)]
pub struct Valve(watch::Sender<bool>);

impl Valve {
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub fn close(&self) {
        self.0.send_replace(false);
    }

    async fn is(&self, open: bool) {
        let mut valve = self.0.subscribe();
        let _ = valve.wait_for(|is_open| *is_open == open).await; // the sender lives
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
    world.queue("next", json!({"seconds": 0}));
    world.succeeds("next").await?;
    Ok(())
}

#[test]
fn done() -> Result<(), NotYet> {
    judge(check(exercises::cancel::work))
}
