//! The program: parse, set up logging, run, turn the outcome into an exit code.

use std::process::ExitCode;
use std::sync::Arc;

use jobs_mqtt5::cli::Flags;
use jobs_mqtt5::sample::{self, Settings, work};
use jobs_mqtt5::story::Story;
use jobs_mqtt5::{log, stop};

fn main() -> ExitCode {
    let flags = Flags::of_this_process();
    let story = Story::on_stdout_and_stderr();
    log::start(flags.verbosity, &story);
    let code = run(flags, &story);
    story.flush();
    code
}

fn run(flags: Flags, story: &Story) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            story.warn(format_args!("The program can't be started: {error}."));
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async {
        let job_time = flags.job_time();
        let settings = Settings::from_flags(&flags, story)?;
        let work = Arc::new(move |execution: &_| work(execution, job_time));
        sample::run(settings, work, story, stop::signal()?).await
    });
    // Work and name look-ups have threads of their own, which can't be cancelled: don't wait.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            story.warn(format_args!("{error}"));
            ExitCode::FAILURE
        }
    }
}
