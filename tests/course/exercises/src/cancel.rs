//! Notice a cancel: `cancel-job --force` ends the job in the cloud, and the garden is under water for the
//! rest of the hour. Close the valve at once, and leave the device to the job that is next.

use std::time::Duration;

use jobs_mqtt5::agent::{Job, Outcome, WorkResult};
use serde::Deserialize;
use tokio::time::sleep;

use crate::cancel::Valve;

#[derive(Deserialize)]
struct Watering {
    seconds: u64,
}

pub async fn work(job: &Job, valve: &Valve) -> WorkResult {
    let Watering { seconds } = job.document()?;
    valve.open();
    sleep(Duration::from_secs(seconds)).await;
    valve.close();
    Ok(Outcome::succeeded())
}
