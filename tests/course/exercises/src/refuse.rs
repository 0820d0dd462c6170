//! Refuse an unknown operation: this device can blink and nothing else, yet whatever it is asked for is
//! SUCCEEDED. Make that REJECTED, with a reason that names the operation.

use jobs_mqtt5::agent::{Job, Outcome, WorkResult};
use serde::Deserialize;

#[derive(Deserialize)]
struct Task {
    operation: String,
}

pub async fn work(job: &Job) -> WorkResult {
    let Task { operation } = job.document()?;
    if operation == "blink" {
        println!("The lamp blinks.");
    }
    Ok(Outcome::succeeded())
}
