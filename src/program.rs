//! From the flags of a process to its exit code: what every program that does jobs has in common.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use crate::agent::{Job, WorkResult};
use crate::cli::Flags;
use crate::output::Output;
use crate::sample::{self, SampleError, Settings};
use crate::{log, stop};

/// Does jobs as the flags say, with this work. Returns the exit code: 0 if it ended as asked, 1 if it
/// failed. (Wrong usage has ended the process before, with 2.)
pub fn run<W>(work: W) -> ExitCode
where
    W: AsyncFn(&Job, &Flags) -> WorkResult + Send + Sync + 'static,
{
    let flags = Arc::new(Flags::of_this_process());
    let output = match Output::on_stdout_and_stderr() {
        Ok(output) => output.with_timestamps(flags.timestamps),
        Err(error) => {
            let _ = writeln!(io::stderr(), "The program can't be started: {error}.");
            return ExitCode::FAILURE;
        }
    };
    log::start(flags.verbosity, &output);
    let runtime = stop::check_files().and_then(|()| {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build()
    });
    let ended = match runtime {
        Ok(runtime) => runtime
            .block_on(async {
                let settings = Settings::from_flags(&flags, &output)?;
                let work = async move |job: &Job| work(job, &flags).await;
                sample::run(settings, work, &output, stop::signal()?).await
            })
            .map_err(|error: SampleError| error.explained()),
        Err(error) => Err(format!("The program can't be started: {error}.")),
    };
    if let Err(words) = &ended {
        output.warn(format_args!("{words}"));
    }
    output.flush();
    ExitCode::from(u8::from(ended.is_err()))
}
