//! The program with simulated work: what the tests start. (Your own work in `src/work.rs` changes the
//! program, and must not change what the tests see.)

use std::process::ExitCode;

use jobs_mqtt5::agent::{Job, Outcome, WorkResult};
use jobs_mqtt5::cli::Flags;
use jobs_mqtt5::program;
use tokio::time::timeout;

fn main() -> ExitCode {
    program::run(work)
}

async fn work(job: &Job, flags: &Flags) -> WorkResult {
    match timeout(flags.job_time(), job.interrupted()).await {
        Ok(interrupted) => Err(interrupted.into()),
        Err(_) => Ok(Outcome::succeeded()),
    }
}
