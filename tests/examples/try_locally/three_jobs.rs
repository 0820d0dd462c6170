//! Three jobs from QUEUED to SUCCEEDED.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use jobs_mqtt5::agent::{Job, Outcome as End};
use jobs_mqtt5::cli::Flags;
use jobs_mqtt5::output::Output;
use jobs_mqtt5::sample::{self, Settings, lines};
use jobs_mqtt5::stop;
use local_iot_core::{LocalIotCore, Options, Status};
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::chart::{Chart, recording};
use super::serve::unwritable;
use super::terminal::say;
use super::{Arguments, Outcome, device};

/// Far more than the three jobs take.
const LIMIT: Duration = Duration::from_secs(40);

/// Queues three jobs, runs the sample, and looks at the service's books.
pub async fn three_jobs(arguments: &Arguments) -> Outcome {
    let options = Options::default();
    let policy = options.policy.clone();
    let core = LocalIotCore::start(options).await?;
    let chart = Chart::new(&core, &policy);
    let certificates = tempfile::tempdir()?; // removed when it goes out of scope
    let files = core.pki().write_to(certificates.path())?;
    for (job_id, document) in [
        (
            "install-firmware-1-4-2",
            json!({"operation": "install-firmware", "version": "1.4.2",
                   "url": "https://example.com/firmware-1.4.2.bin"}),
        ),
        (
            "report-every-minute",
            json!({"operation": "configure", "reportIntervalSeconds": 60}),
        ),
        (
            "restart-sensors",
            json!({"operation": "restart", "services": ["sensors"]}),
        ),
    ] {
        core.jobs().create_job(job_id, document)?;
    }
    let mut flags = device::flags(&core, &files);
    flags.extend(["--job_time".to_owned(), "1".to_owned()]);
    // The jobs are done whether somebody reads of them or not.
    let _ = say(&format!(
        "A stand-in for AWS IoT Core is up on {}:{}.
Three jobs are queued. This does them, here and now:

    jobs-mqtt5 {}
",
        core.endpoint(),
        core.port(),
        device::shown(&flags)
    ));

    let idle = Arc::new(Notify::new());
    let output = Output::to(
        WatchedStdout {
            idle: Arc::clone(&idle),
        },
        io::stderr(),
    )?;
    let name = "jobs-mqtt5".to_owned();
    let flags = Flags::try_parse_from([name].iter().chain(&flags))?;
    let settings = Settings::from_flags(&flags, &output)?;
    let interrupted = stop::signal()?;
    let done = async {
        tokio::select! {
            () = idle.notified() => "nothing is left to be done",
            why = interrupted => why,
        }
    };
    let job_time = flags.job_time();
    let work = async move |_: &Job| {
        tokio::time::sleep(job_time).await; // pretended
        Ok(End::succeeded())
    };
    let run = sample::run(settings, work, &output, done);
    let outcome = tokio::select! {
        biased;
        outcome = timeout(LIMIT, run) => outcome,
        () = chart.draw() => unreachable!("it draws for ever"),
    };
    if let Some(file) = &arguments.record {
        recording::write(&chart, file, !arguments.no_payloads)
            .map_err(|error| unwritable(file, &error))?;
    }
    outcome
        .map_err(|_| format!("The jobs were not done within {} seconds.", LIMIT.as_secs()))??;

    let books = core.jobs().list();
    let succeeded = books
        .iter()
        .filter(|job| job.status == Status::Succeeded)
        .count();
    if succeeded != 3 || books.len() != 3 {
        return Err(format!("Only {succeeded} of {} jobs SUCCEEDED.", books.len()).into());
    }
    let _ = say("\nAll three jobs are SUCCEEDED in the service's books.");
    Ok(())
}

/// Passes the output on to stdout, and notices when the sample has nothing left to do.
struct WatchedStdout {
    idle: Arc<Notify>,
}

impl Write for WatchedStdout {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = io::stdout().write_all(line); // `head` goes before the jobs are done
        if String::from_utf8_lossy(line).contains(lines::NOTHING_TO_START) {
            self.idle.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = io::stdout().flush();
        Ok(())
    }
}
