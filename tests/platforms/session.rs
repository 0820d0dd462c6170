//! A session as devices have it in the field, with a program built for any platform:
//! `cargo run --example session -- COMMAND…`. The command runs `jobs-mqtt5`, in an emulator if need
//! be: `qemu-aarch64 -L /usr/aarch64-linux-gnu target/…/jobs-mqtt5`. It runs on Unix, for it sends signals.
//!
//! Against `local_iot_core`: a job; a job whose report is taken, but whose connection is lost before
//! the answer; Ctrl-C in the middle of a third; and a second run, which takes that one up again.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use local_iot_core::{Event, Files, LocalIotCore, Options, Status, Times};
use serde_json::json;
use tokio::process::{Child, Command};
use tokio::time::timeout;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Far more than a session takes, in an emulator and on a busy machine too.
const LIMIT: Duration = Duration::from_secs(120);

/// How long the work on a job lasts, in seconds: long enough for Ctrl-C to come in the middle.
const JOB_TIME: &str = "3";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match timeout(LIMIT, session(std::env::args().skip(1).collect())).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!("it was not over within {LIMIT:?}").into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("The session failed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn session(command: Vec<String>) -> Outcome {
    let folder = tempfile::tempdir()?; // removed when it goes out of scope
    let core = LocalIotCore::start(Options::default()).await?;
    let device = Device {
        command,
        files: core.pki().write_to(folder.path())?,
        log: folder.path().join("log"),
        core: &core,
    };
    device.session().await.map_err(|error| {
        let words = fs::read_to_string(&device.log).unwrap_or_default();
        format!("{error}.\nThe program's own words:\n{words}").into()
    })
}

/// The device, and the service that it connects to.
struct Device<'a> {
    command: Vec<String>,
    files: Files,
    log: PathBuf,
    core: &'a LocalIotCore,
}

impl Device<'_> {
    async fn session(&self) -> Outcome {
        let (jobs, journal) = (self.core.jobs(), self.core.journal());
        let queue = |job_id: &str| jobs.create_job(job_id, json!({"operation": job_id}));

        let mut program = self.start()?;
        queue("plain")?;
        let done = jobs.wait_for_status("plain", Status::Succeeded);
        while_running(&mut program, done).await?;
        println!("  a job SUCCEEDED");

        let connects = |event: &Event| matches!(event, Event::Connack { code: 0, .. });
        let back = journal.count(connects) + 1;
        let fault = "drop-after update".parse()?;
        self.core.faults().add(fault, Times::Once);
        queue("cut-off")?;
        let reconnect = journal.wait_for_count(back, connects);
        while_running(&mut program, reconnect).await?;
        println!("  the connection was lost, and is back");

        queue("interrupted")?;
        let started = jobs.wait_for_status("interrupted", Status::InProgress);
        while_running(&mut program, started).await?;
        interrupt(program).await?;
        self.expect("cut-off", Status::Succeeded)?;
        self.expect("interrupted", Status::InProgress)?;
        println!("  Ctrl-C in the middle of a job: exit code 0, and the job is IN_PROGRESS");

        let mut program = self.start()?;
        let done = jobs.wait_for_status("interrupted", Status::Succeeded);
        while_running(&mut program, done).await?;
        interrupt(program).await?;
        println!("  a second run took it up: SUCCEEDED");

        match journal.violations() {
            none if none.is_empty() => Ok(()),
            some => Err(format!("the service would not have allowed: {some:?}").into()),
        }
    }

    /// Starts the program. What it says goes to the log.
    fn start(&self) -> Outcome<Child> {
        let [program, arguments @ ..] = self.command.as_slice() else {
            return Err("no command: cargo run --example session -- COMMAND…".into());
        };
        let log = File::options().create(true).append(true).open(&self.log)?;
        let flag = |name: &str, path: &Path| [name.into(), path.as_os_str().to_owned()];
        Command::new(program)
            .args(arguments)
            .args(["--endpoint", self.core.endpoint()])
            .args(["--port", &self.core.port().to_string()])
            .args(flag("--ca_file", &self.files.ca))
            .args(flag("--cert", &self.files.cert))
            .args(flag("--key", &self.files.key))
            .args(["--thing_name", self.core.thing_name()])
            .args(["--job_time", JOB_TIME])
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{program} can't be started: {error}").into())
    }

    fn expect(&self, job_id: &str, status: Status) -> Outcome {
        match self.core.jobs().execution(job_id).map(|job| job.status) {
            Some(found) if found == status => Ok(()),
            found => Err(format!("{job_id} is {found:?} instead of {status}").into()),
        }
    }
}

/// Waits for something that the running program brings about.
async fn while_running<T>(program: &mut Child, event: impl Future<Output = T>) -> Outcome<T> {
    tokio::select! {
        event = event => Ok(event),
        status = program.wait() => Err(format!("it ended by itself, with {}", status?).into()),
    }
}

/// Ctrl-C, and the end with exit code 0.
async fn interrupt(mut program: Child) -> Outcome {
    let id = program.id().ok_or("it ended by itself")?.to_string();
    let kill = ["-c", "kill -s INT \"$0\"", &id];
    if !Command::new("sh").args(kill).status().await?.success() {
        return Err("no signal can be sent to it".into());
    }
    match program.wait().await? {
        status if status.success() => Ok(()),
        status => Err(format!("Ctrl-C ended it with {status}").into()),
    }
}
