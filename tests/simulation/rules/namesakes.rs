//! The one confusion that a device can't avoid.
//!
//! AWS knows a job execution by the job's name, its execution number and its version, and an update can
//! name no more. If a job is deleted, created anew under its name, and then changed from the cloud until
//! it has the version that the report on the first one expects, that report ends it. Who has been told
//! of the new one by an event stops reporting; who was cut off meanwhile can't know, and to ask before
//! each report would leave a gap all the same.

use std::collections::{BTreeMap, BTreeSet};

use local_iot_core::{Event, Status};
use tokio::time::Instant;

use super::executions::Executions;
use super::jobs::status;
use crate::run::Run;

/// What has happened to a job since it was created.
#[derive(Default)]
struct Since {
    /// The cloud has changed it while it was QUEUED.
    was_changed: bool,
    /// The device has had an event that names it.
    was_told: bool,
}

/// The executions that were ended by a report on one that was deleted, and nobody could know: serial
/// and execution number.
pub fn confused(run: &Run) -> BTreeSet<(u32, u64)> {
    let mut executions = Executions::new(run);
    let mut since: BTreeMap<String, Since> = BTreeMap::new();
    let mut events: BTreeMap<(u64, u16), String> = BTreeMap::new();
    let mut confused = BTreeSet::new();
    for entry in &run.journal {
        match &entry.event {
            Event::StateChange {
                job_id, from, to, ..
            } => {
                let (serial, number) = executions.follow(job_id, *from, *to);
                if from.is_none() {
                    since.remove(job_id);
                    events.retain(|_, other| other != job_id);
                }
                if *from != Some(Status::Queued) {
                    continue;
                }
                let since = since.entry(job_id.clone()).or_default();
                since.was_changed |= entry.connection == 0 && *to == Status::Queued;
                let at = Instant::from_std(entry.at);
                let before = run.work.iter().any(|work| {
                    work.job_id == *job_id
                        && work.execution_number == number
                        && work.serial != serial
                        && work
                            .done
                            .is_some_and(|(done, end)| done <= at && status(end) == *to)
                });
                if entry.connection > 0 && since.was_changed && !since.was_told && before {
                    confused.insert((serial, number));
                }
            }
            Event::Deliver {
                topic,
                packet_id: Some(id),
                payload,
                ..
            } if topic.ends_with("/notify-next") => {
                events.extend(named(payload).map(|job_id| ((entry.connection, *id), job_id)));
            }
            Event::DeliveryAcked { packet_id } => {
                if let Some(job_id) = events.remove(&(entry.connection, *packet_id)) {
                    since.entry(job_id).or_default().was_told = true;
                }
            }
            _ => {}
        }
    }
    confused
}

/// The job that an event names.
fn named(payload: &[u8]) -> Option<String> {
    let event: serde_json::Value = serde_json::from_slice(payload).ok()?;
    Some(event["execution"]["jobId"].as_str()?.to_owned())
}
