//! From the flags of a process to its exit code: what every program that does jobs has in common.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::cli::Flags;
use crate::jobs::{Job, WorkResult};
use crate::sample::{self, Settings};
use crate::story::Story;
use crate::{log, stop};

/// Does jobs as the flags say, with the work that `work_of` makes of them. Returns the exit code: 0 if
/// it ended as asked, 1 if it failed. (Wrong usage has ended the process before, with 2.)
pub fn run<W>(work_of: impl FnOnce(&Flags) -> W) -> ExitCode
where
    W: AsyncFn(Job) -> WorkResult + Clone + Send + Sync + 'static,
{
    let flags = Flags::of_this_process();
    let story = match Story::on_stdout_and_stderr() {
        Ok(story) => story,
        Err(error) => {
            let _ = writeln!(io::stderr(), "The program can't be started: {error}.");
            return ExitCode::FAILURE;
        }
    };
    log::start(flags.verbosity, &story);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(async {
                let settings = Settings::from_flags(&flags, &story)?;
                sample::run(settings, work_of(&flags), &story, stop::signal()?).await
            });
            // Work has a thread of its own, which ends with the process. To shut the runtime down
            // would have it panic on the way.
            std::mem::forget(runtime);
            outcome.map_err(|error| error.to_string())
        }
        Err(error) => Err(format!("The program can't be started: {error}.")),
    };
    if let Err(words) = &outcome {
        story.warn(format_args!("{words}"));
    }
    story.flush();
    ExitCode::from(u8::from(outcome.is_err()))
}
