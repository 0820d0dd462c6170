//! The job under way, for what is said about it if the program is told to stop.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::jobs::Job;
use crate::text::printable;

/// Where the job under way stands.
enum Stage {
    Working,
    Reporting,
}

/// The job under way, if there is one.
#[derive(Default)]
pub(super) struct InHand(Mutex<Option<(String, Stage)>>);

impl InHand {
    pub fn works_on(&self, job: &Job) {
        *self.lock() = Some((printable(job.id()).into_owned(), Stage::Working));
    }

    pub fn reports_on(&self, job: &Job) {
        *self.lock() = Some((printable(job.id()).into_owned(), Stage::Reporting));
    }

    pub fn is_done(&self) {
        *self.lock() = None;
    }

    pub fn is_something(&self) -> bool {
        self.lock().is_some()
    }

    /// Why the program ends, and what becomes of the job under way.
    pub fn ended_by(&self, why: &str) -> String {
        let what = match &*self.lock() {
            None => return why.to_owned(),
            Some((job_id, Stage::Working)) => format!("job_id:{job_id} stays IN_PROGRESS, and"),
            Some((job_id, Stage::Reporting)) => {
                format!("the report on job_id:{job_id} may not have arrived, and if so,")
            }
        };
        format!("{why}; {what} the next run takes it up again")
    }

    fn lock(&self) -> MutexGuard<'_, Option<(String, Stage)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
