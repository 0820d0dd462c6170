//! The sample on your own machine: `cargo run --example try_locally`.
//!
//! Starts `local_iot_core` (AWS IoT Core in small), makes certificates for it, queues three jobs, runs
//! the sample against it, and ends when the service has all three down as SUCCEEDED.
//!
//! With `-- --serve` it stays up instead, prints the command for a second terminal, shows what the
//! service sees, and takes commands; `help` lists them.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use jobs_mqtt5::cli::Flags;
use jobs_mqtt5::sample::{self, Settings, work};
use jobs_mqtt5::stop;
use jobs_mqtt5::story::Story;
use local_iot_core::{Fault, LocalIotCore, Options, Status, Times};
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Far more than the three jobs take.
const LIMIT: Duration = Duration::from_secs(40);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("The example can't be started: {error}.");
            return ExitCode::FAILURE;
        }
    };
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => runtime.block_on(three_jobs()),
        ["--serve"] => runtime.block_on(serve()),
        _ => Err("usage: cargo run --example try_locally [-- --serve]".into()),
    };
    runtime.shutdown_background(); // a thread may still be reading stdin
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Queues three jobs, runs the sample, and looks at the service's books.
async fn three_jobs() -> Outcome {
    let core = LocalIotCore::start(Options::default()).await?;
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
    let mut command = command_line(&core, &files);
    command.extend(["--job_time".to_owned(), "1".to_owned()]);
    println!(
        "AWS IoT Core in small is up on {}:{}.",
        core.endpoint(),
        core.port()
    );
    println!("Three jobs are queued. This is the command that does them:\n");
    println!("    {}\n", shown(&command));

    let idle = Arc::new(Notify::new());
    let story = Story::to(
        WatchedStdout {
            idle: Arc::clone(&idle),
        },
        io::stderr(),
    );
    let flags = Flags::try_parse_from(command.iter().skip(2))?; // `--` stands for the program's name
    let settings = Settings::from_flags(&flags, &story)?;
    let interrupted = stop::signal()?;
    let done = async {
        tokio::select! {
            () = idle.notified() => "nothing is left to be done",
            why = interrupted => why,
        }
    };
    let job_time = flags.job_time();
    let work = Arc::new(move |execution: &_| work(execution, job_time));
    timeout(LIMIT, sample::run(settings, work, &story, done))
        .await
        .map_err(|_| format!("The jobs were not done within {} seconds.", LIMIT.as_secs()))??;

    let books = core.jobs().list();
    let succeeded = books
        .iter()
        .filter(|job| job.status == Status::Succeeded)
        .count();
    if succeeded != 3 || books.len() != 3 {
        return Err(format!("Only {succeeded} of {} jobs SUCCEEDED.", books.len()).into());
    }
    println!("\nAll three jobs are SUCCEEDED in the service's books.");
    Ok(())
}

/// Stays up for other terminals.
async fn serve() -> Outcome {
    let core = LocalIotCore::start(Options::default()).await?;
    let certificates = tempfile::tempdir()?;
    let files = core.pki().write_to(certificates.path())?;
    println!("AWS IoT Core in small is up. In a second terminal, in this folder, run:\n");
    println!("    {}\n", shown(&command_line(&core, &files)));
    println!("What the service sees is shown below. `help` lists what you can type here.\n");
    let (to_us, mut lines) = mpsc::unbounded_channel();
    let _stay_open = to_us.clone(); // at the end of input, go on serving
    std::thread::spawn(move || {
        let typed = io::stdin().lines().map_while(Result::ok);
        typed
            .map(|line| to_us.send(line))
            .take_while(Result::is_ok)
            .for_each(drop);
    });
    let interrupted = stop::signal()?;
    let commands = async {
        while let Some(line) = lines.recv().await {
            match obey(&core, line.trim()) {
                Ok(Some(answer)) => println!("{answer}"),
                Ok(None) => return,
                Err(error) => println!("{error}"),
            }
        }
    };
    tokio::select! {
        _ = interrupted => {}
        () = commands => {}
        () = show(&core) => {}
    }
    println!("Goodbye.");
    Ok(())
}

/// Shows what the service sees, as it happens.
async fn show(core: &LocalIotCore) {
    let journal = core.journal();
    let mut shown = 0;
    loop {
        for entry in journal.entries_from(shown) {
            match entry.connection {
                0 => println!("  [service] {}", entry.event),
                connection => println!("  [connection {connection}] {}", entry.event),
            }
            shown += 1;
        }
        journal.wait_for_more(shown).await;
    }
}

const HELP: &str = "\
create-job ID JSON   queue a job, for instance: create-job hello {\"operation\": \"greet\"}
cancel-job ID        cancel it
list                 the jobs, and where they stand
fault NAME [xN]      misbehave once, or N times; `faults` lists the names
faults               the names of the faults
help                 this
quit                 end";

/// Does what a line says. `None` to end.
fn obey(core: &LocalIotCore, line: &str) -> Result<Option<String>, Box<dyn std::error::Error>> {
    let (command, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let jobs = core.jobs();
    Ok(Some(match command {
        "" => String::new(),
        "help" => HELP.to_owned(),
        "quit" => return Ok(None),
        "list" => {
            let line = |job: &local_iot_core::JobExecution| {
                format!(
                    "{} {} (version {})",
                    job.job_id, job.status, job.version_number
                )
            };
            let lines: Vec<_> = jobs.list().iter().map(line).collect();
            if lines.is_empty() {
                "no jobs".to_owned()
            } else {
                lines.join("\n")
            }
        }
        "create-job" => {
            let (job_id, document) = rest
                .split_once(char::is_whitespace)
                .ok_or("create-job wants an id and a JSON document")?;
            let document: Value = serde_json::from_str(document)
                .map_err(|error| format!("the document is not JSON: {error}"))?;
            jobs.create_job(job_id, document)?;
            format!("{job_id} is queued")
        }
        "cancel-job" => {
            jobs.cancel_job(rest)?;
            format!("{rest} is canceled")
        }
        "faults" => {
            let line = |(name, what): &(&str, &str)| format!("{name:<28} {what}");
            local_iot_core::fault_names()
                .iter()
                .map(line)
                .collect::<Vec<_>>()
                .join("\n")
        }
        "fault" => {
            let (name, times) = match rest.rsplit_once(" x") {
                Some((name, count)) => (name, Times::Count(count.parse()?)),
                None => (rest, Times::Once),
            };
            let fault: Fault = name.parse()?;
            let answer = format!("armed: {fault}");
            core.faults().add(fault, times);
            answer
        }
        other => format!("'{other}' is not known; `help` lists what is"),
    }))
}

/// The command that connects the sample to this service.
fn command_line(core: &LocalIotCore, files: &local_iot_core::Files) -> Vec<String> {
    let path = |path: &std::path::Path| path.display().to_string();
    let mut command: Vec<String> = ["cargo", "run", "--"].map(str::to_owned).to_vec();
    for (flag, value) in [
        ("--endpoint", core.endpoint().to_owned()),
        ("--port", core.port().to_string()),
        ("--ca_file", path(&files.ca)),
        ("--cert", path(&files.cert)),
        ("--key", path(&files.key)),
        ("--thing_name", Options::default().thing_name),
    ] {
        command.extend([flag.to_owned(), value]);
    }
    command
}

/// A command as one types it: an argument with a space in it is quoted.
fn shown(command: &[String]) -> String {
    let quoted = |argument: &String| match argument.contains(char::is_whitespace) {
        true => format!("\"{argument}\""),
        false => argument.clone(),
    };
    command.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// Passes the story on to stdout, and notices when the sample has nothing left to do.
struct WatchedStdout {
    idle: Arc<Notify>,
}

impl Write for WatchedStdout {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        io::stdout().write_all(line)?;
        if String::from_utf8_lossy(line).contains("there are no jobs to be done") {
            self.idle.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}
