//! The program: the jobs of a thing, and the work on them.

use std::process::ExitCode;

use jobs_mqtt5::jobs::Job;
use jobs_mqtt5::program;
use jobs_mqtt5::sample::work;

fn main() -> ExitCode {
    program::run(|flags| {
        let job_time = flags.job_time();
        async move |job: Job| work(&job, job_time).await
    })
}
