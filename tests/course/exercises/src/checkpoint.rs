//! Survive Ctrl-C with a checkpoint: the program is stopped in the middle of an order, its next run gets
//! the same job again, and brews all cups once more. Let it go on with the cup that is next.

use jobs_mqtt5::agent::{Job, Outcome, WorkResult};
use serde::Deserialize;

use crate::checkpoint::CoffeeMachine;

#[derive(Deserialize)]
struct Order {
    cups: u32,
}

pub async fn work(job: &Job, machine: &CoffeeMachine) -> WorkResult {
    let Order { cups } = job.document()?;
    for cup in 1..=cups {
        machine.brew(cup).await;
        job.check()?; // ends the work here if the program was told to stop
    }
    Ok(Outcome::succeeded())
}
