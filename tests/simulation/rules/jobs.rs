//! Every job ends as its work did, and is worked on once.

use std::collections::BTreeSet;

use local_iot_core::{Event, Status};
use tokio::time::Instant;

use super::executions::Executions;
use super::namesakes;
use crate::run::Run;
use crate::work::{Document, Ending, Work};

/// How an execution ends whose work ended so.
pub(super) fn status(ending: Ending) -> Status {
    match ending {
        Ending::Succeeds => Status::Succeeded,
        Ending::Fails => Status::Failed,
        Ending::Rejects => Status::Rejected,
    }
}

/// At the end, whatever the cloud did not end itself is as its document says.
pub fn all_ended(run: &Run) -> Vec<String> {
    let mut wrong = Vec::new();
    let confused = namesakes::confused(run);
    for execution in &run.executions {
        let document: Option<Document> = serde_json::from_str(&execution.document).ok();
        let number = execution.execution_number;
        let wanted = document.as_ref().map(|one| status(one.ending(number)));
        let is_confused = document.is_some_and(|one| confused.contains(&(one.serial, number)));
        let by_the_cloud = matches!(
            execution.status,
            Status::Canceled | Status::TimedOut | Status::Removed
        );
        if !by_the_cloud && !is_confused && Some(execution.status) != wanted {
            wrong.push(format!(
                "{} (number {number}) is {}",
                execution.job_id, execution.status
            ));
        }
    }
    wrong
}

/// An execution that the device has ended was worked on to its end before, with that outcome.
pub fn what_is_reported_was_done(run: &Run) -> Vec<String> {
    let mut executions = Executions::new(run);
    let confused = namesakes::confused(run);
    let mut wrong = Vec::new();
    for entry in &run.journal {
        let Event::StateChange {
            job_id, from, to, ..
        } = &entry.event
        else {
            continue;
        };
        let (serial, number) = executions.follow(job_id, *from, *to);
        if confused.contains(&(serial, number)) {
            continue;
        }
        let by_the_device = entry.connection > 0 && to.is_terminal();
        let at = Instant::from_std(entry.at);
        let fits = |work: &&Work| {
            (work.serial, work.execution_number) == (serial, number)
                && work
                    .done
                    .is_some_and(|(done, ending)| done <= at && status(ending) == *to)
        };
        if by_the_device && !run.work.iter().any(|work| fits(&work)) {
            wrong.push(format!(
                "{job_id} (serial {serial}, number {number}) is {to}, and no work ended so before"
            ));
        }
    }
    wrong
}

/// Within one process, no execution is worked on twice. (If the service gives it out anew, it is
/// another execution: it has another number, or is of another job.)
pub fn nothing_is_worked_on_twice(run: &Run) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    let known: BTreeSet<u32> = run.created.iter().map(|(_, one)| one.serial).collect();
    for work in &run.work {
        let (id, number) = (&work.job_id, work.execution_number);
        if !known.contains(&work.serial) {
            wrong.push(format!(
                "process {} works on {id}, which nobody created",
                work.process
            ));
        }
        if !seen.insert((work.process, work.serial, number)) {
            wrong.push(format!(
                "process {} works on {id} (serial {}, number {number}) again",
                work.process, work.serial
            ));
        }
    }
    wrong
}
