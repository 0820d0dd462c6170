//! Tells the executions in the journal apart.

use std::collections::BTreeMap;

use local_iot_core::Status;

use crate::run::Run;

/// Which execution of which job a change in the journal is about: two jobs can have had one name.
pub struct Executions<'a> {
    /// Serial numbers by job id, in the order of creation.
    serials: BTreeMap<&'a str, Vec<u32>>,
    /// Where each job id stands: how many jobs there were, the execution number, the last status.
    current: BTreeMap<String, (usize, u64, Status)>,
}

impl<'a> Executions<'a> {
    pub fn new(run: &'a Run) -> Self {
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
    pub fn follow(&mut self, job_id: &str, from: Option<Status>, to: Status) -> (u32, u64) {
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
