//! Refuse an unknown operation: FAILED would have it tried again, where the job is set up so; REJECTED
//! says that no retry would help.

use jobs_mqtt5::agent::{Job, Outcome, WorkResult};
use serde::Deserialize;

#[derive(Deserialize)]
struct Task {
    operation: String,
}

pub async fn work(job: &Job) -> WorkResult {
    let Task { operation } = job.document()?;
    match operation.as_str() {
        "blink" => {
            println!("The lamp blinks.");
            Ok(Outcome::succeeded())
        }
        other => Ok(Outcome::rejected(format!("unknown operation '{other}'"))),
    }
}
