//! The program with the work of `write_config.rs` in place of `src/work.rs`.

use std::process::ExitCode;

use jobs_mqtt5::program;

#[path = "write_config.rs"]
mod work;

fn main() -> ExitCode {
    program::run(work::work)
}
