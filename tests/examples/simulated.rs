//! The program with the simulated work: what the tests start. (Your own work in `src/` changes the
//! program, and must not change what the tests see.)

use std::process::ExitCode;
use std::time::Duration;

use jobs_mqtt5::jobs::{Job, Outcome, WorkResult};
use jobs_mqtt5::program;

fn main() -> ExitCode {
    program::run(|flags| {
        let job_time = flags.job_time();
        async move |job: Job| work(&job, job_time).await
    })
}

async fn work(job: &Job, job_time: Duration) -> WorkResult {
    tokio::select! {
        () = tokio::time::sleep(job_time) => Ok(Outcome::succeeded()),
        why = job.until_unwanted() => Err(why.to_string().into()),
        () = job.until_stopping() => Ok(Outcome::LeftInProgress),
    }
}
