//! Nothing is reported that the service does not want.

use std::collections::{BTreeMap, BTreeSet};

use local_iot_core::{Event, Operation};

use crate::run::Run;

/// An update is refused only if the device could not know better: the cloud has changed the
/// execution, or an update was sent before whose reply may have been lost.
pub fn nothing_unwanted(run: &Run) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut changed_by_the_cloud = BTreeSet::new();
    // The last update of each job: how much trouble there had been until then.
    let mut updated: BTreeMap<&str, usize> = BTreeMap::new();
    let mut trouble = 0;
    let mut excused = false;
    for entry in &run.journal {
        match &entry.event {
            Event::StateChange { job_id, from, .. } if entry.connection == 0 && from.is_some() => {
                changed_by_the_cloud.insert(job_id.as_str());
            }
            Event::Request {
                operation: Operation::Update,
                job_id: Some(job_id),
                ..
            } => {
                let before = updated.insert(job_id, trouble);
                excused = changed_by_the_cloud.contains(job_id.as_str())
                    || before.is_some_and(|before| before < trouble);
            }
            Event::Reply {
                topic,
                code: Some(code),
                accepted: false,
                ..
            } if topic.contains("/update/") && is_about_the_execution(code) && !excused => {
                wrong.push(format!("{topic}: {code}, and nothing had happened"));
            }
            Event::ConnectionClosed | Event::Fault(_) | Event::Dropped(_) | Event::Refused { .. } => {
                trouble += 1;
            }
            Event::Note(what) if what.starts_with("network") || what.starts_with("device") => {
                trouble += 1;
            }
            _ => {}
        }
    }
    wrong
}

fn is_about_the_execution(code: &str) -> bool {
    matches!(
        code,
        "VersionMismatch" | "InvalidStateTransition" | "ResourceNotFound" | "TerminalStateReached"
    )
}
