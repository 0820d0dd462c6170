//! The work on a job, and the diary of what was worked on.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::network::lock;

/// What a job asks for. No two jobs have the same serial number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    pub serial: u32,
    /// How long the work lasts.
    pub seconds: u64,
    /// How often it reports progress.
    pub reports: u32,
    /// Whether it sets a checkpoint at its end.
    pub checkpoint: bool,
    /// Whether it restarts the device halfway.
    pub reboots: bool,
    /// How each try ends; the last one stands for all that follow.
    pub ends: Vec<Ending>,
    /// Makes the document large.
    pub padding: String,
}

impl Document {
    /// The job that comes when all is well.
    pub fn last() -> Self {
        Self {
            serial: 1_000_000,
            seconds: 1,
            reports: 0,
            checkpoint: false,
            reboots: false,
            ends: vec![Ending::Succeeds],
            padding: String::new(),
        }
    }

    /// How the execution with this number is to end.
    pub fn ending(&self, execution_number: u64) -> Ending {
        let nth = usize::try_from(execution_number.saturating_sub(1)).unwrap_or(usize::MAX);
        let ending = self.ends.get(nth).or(self.ends.last());
        ending.copied().unwrap_or(Ending::Succeeds)
    }
}

/// How the work on an execution ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    Succeeds,
    Fails,
    Rejects,
}

/// Work on one execution, in one process.
#[derive(Debug, Clone)]
pub struct Work {
    pub process: u32,
    pub job_id: String,
    pub serial: u32,
    pub execution_number: u64,
    pub begun: Instant,
    /// When it was done, and how.
    pub done: Option<(Instant, Ending)>,
}

/// What was worked on, over all processes. Clones are handles to the same diary.
#[derive(Debug, Clone, Default)]
pub struct Diary(Arc<Mutex<Vec<Work>>>);

impl Diary {
    /// Work begins. The number is for [`Self::done`].
    pub fn begin(&self, process: u32, job_id: &str, serial: u32, execution_number: u64) -> usize {
        let mut all = lock(&self.0);
        all.push(Work {
            process,
            job_id: job_id.to_owned(),
            serial,
            execution_number,
            begun: Instant::now(),
            done: None,
        });
        all.len() - 1
    }

    pub fn done(&self, nth: usize, ending: Ending) {
        if let Some(work) = lock(&self.0).get_mut(nth) {
            work.done = Some((Instant::now(), ending));
        }
    }

    pub fn list(&self) -> Vec<Work> {
        lock(&self.0).clone()
    }
}

/// How long all of the work is that these jobs ask for.
pub fn total(documents: impl IntoIterator<Item = Document>) -> Duration {
    let seconds = documents.into_iter().map(|document| document.seconds);
    Duration::from_secs(seconds.sum())
}
