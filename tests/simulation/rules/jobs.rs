//! Every job ends as its work did, and is worked on once.

use std::collections::{BTreeMap, BTreeSet};

use local_iot_core::{Event, Status};
use tokio::time::Instant;

use crate::run::Run;
use crate::work::{Document, Ending, Work};

/// How an execution ends whose work ended so.
fn status(ending: Ending) -> Status {
    match ending {
        Ending::Succeeds => Status::Succeeded,
        Ending::Fails => Status::Failed,
        Ending::Rejects => Status::Rejected,
    }
}

/// At the end, whatever the cloud did not end itself is as its document says.
pub fn all_ended(run: &Run) -> Vec<String> {
    let mut wrong = Vec::new();
    for execution in &run.executions {
        let document: Option<Document> = serde_json::from_str(&execution.document).ok();
        let wanted = document.map(|document| status(document.ending(execution.execution_number)));
        let by_the_cloud = matches!(
            execution.status,
            Status::Canceled | Status::TimedOut | Status::Removed
        );
        if !by_the_cloud && Some(execution.status) != wanted {
            wrong.push(format!(
                "{} (number {}) is {}",
                execution.job_id, execution.execution_number, execution.status
            ));
        }
    }
    wrong
}

/// An execution that the device has ended was worked on to its end before, with that outcome.
pub fn what_is_reported_was_done(run: &Run) -> Vec<String> {
    let mut executions = Executions::new(run);
    let mut wrong = Vec::new();
    for entry in &run.journal {
        let Event::StateChange {
            job_id, from, to, ..
        } = &entry.event
        else {
            continue;
        };
        let (serial, number) = executions.follow(job_id, *from, *to);
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

/// Which execution of which job a change in the journal is about: two jobs can have had one name.
struct Executions<'a> {
    /// Serial numbers by job id, in the order of creation.
    serials: BTreeMap<&'a str, Vec<u32>>,
    /// Where each job id stands: how many jobs there were, the execution number, the last status.
    current: BTreeMap<String, (usize, u64, Status)>,
}

impl<'a> Executions<'a> {
    fn new(run: &'a Run) -> Self {
        let mut serials: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for (job_id, document) in &run.created {
            serials.entry(job_id).or_default().push(document.serial);
        }
        Self {
            serials,
            current: BTreeMap::new(),
        }
    }

    /// The next change: serial and execution number of what it changes.
    fn follow(&mut self, job_id: &str, from: Option<Status>, to: Status) -> (u32, u64) {
        let before = self.current.get(job_id).copied();
        let (jobs, number) = match (from, before) {
            (Some(_), Some((jobs, number, _))) => (jobs, number),
            (None, Some((jobs, number, last))) if last != Status::Removed => (jobs, number + 1),
            (_, before) => (before.map_or(0, |(jobs, ..)| jobs) + 1, 1),
        };
        self.current.insert(job_id.to_owned(), (jobs, number, to));
        let serials = self.serials.get(job_id);
        let serial = serials.and_then(|all| all.get(jobs - 1)).copied();
        (serial.unwrap_or_default(), number)
    }
}
