//! Notice a cancel: work that waits waits for `interrupted` as well. The valve is closed either way; a `?`
//! in the wrong place would leave it open.

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
    let ended = tokio::select! {
        () = sleep(Duration::from_secs(seconds)) => Ok(Outcome::succeeded()),
        why = job.interrupted() => Err(why.into()),
    };
    valve.close();
    ended
}
