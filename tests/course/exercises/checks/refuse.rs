//! Refuse an unknown operation.

use jobs_mqtt5::agent::{Job, WorkResult};
use local_iot_core::Status;
use serde_json::json;

use crate::world::{World, shown};
use crate::{NotYet, exercises, judge};

pub async fn check(
    work: impl AsyncFn(&Job) -> WorkResult + Send + Sync + 'static,
) -> Result<(), String> {
    let world = World::new().await;
    world.queue("known", json!({"operation": "blink"}));
    world.queue("unknown", json!({"operation": "make-coffee"}));
    let _program = world.run(work);
    world.succeeds("known").await?;
    let unknown = world.end_of("unknown").await?;
    let reason = unknown.status_details.get("reason");
    let names_it = reason.is_some_and(|reason| reason.contains("make-coffee"));
    if unknown.status == Status::Rejected && names_it {
        return Ok(());
    }
    Err(format!(
        "The job with the operation 'make-coffee' ended {}. Expected: REJECTED, with a reason that names \
         the operation.",
        shown(&unknown)
    ))
}

#[test]
fn done() -> Result<(), NotYet> {
    judge(check(exercises::refuse::work))
}
