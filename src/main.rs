//! The program: it does the jobs of a thing, with the work in `work.rs`.

use std::process::ExitCode;

use jobs_mqtt5::program;

mod work;

fn main() -> ExitCode {
    program::run(work::work)
}
