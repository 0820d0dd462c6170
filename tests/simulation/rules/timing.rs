//! Once the trouble is over, all is done in time.

use crate::run::Run;

pub fn all_is_done(run: &Run) -> Vec<String> {
    let mut wrong = Vec::new();
    if run.seen.done.is_none() {
        let left = run
            .executions
            .iter()
            .filter(|one| !one.status.is_terminal());
        let left: Vec<String> = left
            .map(|one| format!("{} is {}", one.job_id, one.status))
            .collect();
        wrong.push(format!("long after the last trouble, {}", left.join(", ")));
    } else if run.seen.last_job.is_none() {
        wrong.push("a job that comes when all is well is not done at once".to_owned());
    }
    wrong
}
