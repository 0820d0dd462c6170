//! A device that takes its configuration from jobs.
mod write_config;

use std::path::Path;
use std::process::ExitCode;

use jobs_mqtt5::jobs::Job;
use jobs_mqtt5::program;

fn main() -> ExitCode {
    program::run(|_flags| async |job: Job| write_config::work(&job, Path::new("config.json")))
}
