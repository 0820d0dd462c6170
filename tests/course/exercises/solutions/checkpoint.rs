//! Survive Ctrl-C with a checkpoint: what is done stands in the status details, for the next run to read.
//! `progress` would not do, for it may still be waiting for its turn when the program ends.

use jobs_mqtt5::agent::{Job, Outcome, WorkResult};
use jobs_mqtt5::jobs::StatusDetails;
use serde::Deserialize;

use crate::checkpoint::CoffeeMachine;

#[derive(Deserialize)]
struct Order {
    cups: u32,
}

pub async fn work(job: &Job, machine: &CoffeeMachine) -> WorkResult {
    let Order { cups } = job.document()?;
    let done = job.status_details().get("cups");
    let done: u32 = done.map_or(Ok(0), str::parse)?;
    for cup in done + 1..=cups {
        machine.brew(cup).await;
        let checkpoint = StatusDetails::from_pairs([("cups", cup.to_string())])?;
        job.checkpoint(checkpoint).await?; // returns when the service has it
        job.check()?; // ends the work here if the program was told to stop
    }
    Ok(Outcome::succeeded())
}
