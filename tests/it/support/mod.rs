//! A world for a test: the service, the certificates, and the sample running against it.

mod captured;
mod certified;
#[cfg(all(target_os = "linux", target_env = "gnu"))] // LD_PRELOAD, and glibc's names
mod failing_calls;
#[cfg(unix)] // modes and numbers of files
mod faulty_disk;
#[cfg(unix)] // its file is a shell script
mod files;
mod hostile;
mod open_world;
mod program;
mod proxy;
mod running_job;
mod tls_server;
mod tunnel;
mod waiting;
mod works;

use std::path::PathBuf;
use std::time::Duration;

use jobs_mqtt5::agent::{Agent, Job, WorkResult};
use jobs_mqtt5::cli::Flags;
use jobs_mqtt5::jobs;
use jobs_mqtt5::mqtt::{self, Backoff};
use jobs_mqtt5::output::Output;
use jobs_mqtt5::sample::{self, SampleError, Settings, lines};
use local_iot_core::{Event, Files, JobExecution, LocalIotCore, Options, Status, Times};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinHandle};

pub use captured::Captured;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub use failing_calls::{compile, failing_calls};
#[cfg(unix)]
pub(crate) use faulty_disk::faulty_disk_for;
#[cfg(unix)]
pub use faulty_disk::{Fault, FaultyDisk, Moment};
#[cfg(unix)]
pub use files::{Faults, FileServer};
pub use hostile::Hostile;
pub use open_world::{OTHER, interruption, next_message, refusal};
pub use program::{Ended, Program, example_path, program_path};
pub use proxy::{ForwardProxy, Manners};
pub use running_job::{Device, detail};
pub use tls_server::TlsServer;
pub use waiting::{LIMIT, eventually, within};
pub use works::{counted_work, done_once, held_work, idle, quick_work};

/// The thing whose jobs the tests do.
pub const THING: &str = "my-thing";

/// The service, and the files that a device needs to connect to it.
pub struct World {
    pub core: LocalIotCore,
    pub files: Files,
    pub folder: TempDir,
}

impl World {
    pub async fn new() -> Self {
        Self::with(Options::default()).await
    }

    /// A world with some option other than usual.
    pub async fn set(change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::default();
        change(&mut options);
        Self::with(options).await
    }

    pub async fn with(options: Options) -> Self {
        let core = LocalIotCore::start(options).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let files = core.pki().write_to(folder.path()).unwrap();
        Self {
            core,
            files,
            folder,
        }
    }

    /// A world with these jobs queued; the document of each tells its name.
    pub async fn with_jobs(job_ids: &[&str]) -> Self {
        let world = Self::new().await;
        world.queue(job_ids);
        world
    }

    pub fn queue(&self, job_ids: &[&str]) {
        for job_id in job_ids {
            self.core
                .jobs()
                .create_job(job_id, json!({ "do": job_id }))
                .unwrap();
        }
    }

    /// The flags that connect to this world. What comes in `more` goes before it.
    pub fn flags(&self, more: &[&str]) -> Vec<String> {
        let path = |path: &PathBuf| path.to_str().unwrap().to_owned();
        let mut flags: Vec<String> = more.iter().map(|flag| (*flag).to_owned()).collect();
        for (flag, value) in [
            ("--endpoint", self.core.endpoint().to_owned()),
            ("--port", self.core.port().to_string()),
            ("--ca_file", path(&self.files.ca)),
            ("--cert", path(&self.files.cert)),
            ("--key", path(&self.files.key)),
            ("--thing_name", THING.to_owned()),
            ("--job_time", "0".to_owned()),
        ] {
            if !flags.iter().any(|given| given == flag) {
                flags.extend([flag.to_owned(), value]);
            }
        }
        flags
    }

    /// Waits until the service has the job down as SUCCEEDED.
    pub async fn succeeds(&self, job_id: &str) {
        within(self.core.jobs().wait_for_status(job_id, Status::Succeeded)).await;
    }

    /// Waits until the job has ended, however it did.
    pub async fn ended(&self, job_id: &str) -> JobExecution {
        let jobs = self.core.jobs();
        within(jobs.wait_until(|books| {
            let job = books.execution(job_id);
            job.is_some_and(|job| job.status.is_terminal())
        }))
        .await;
        jobs.execution(job_id).unwrap()
    }

    /// Waits until the service has this status detail.
    pub async fn has_detail(&self, job_id: &str, name: &str, value: &str) {
        let jobs = self.core.jobs();
        within(jobs.wait_until(|books| {
            let job = books.execution(job_id);
            job.is_some_and(|job| job.status_details.get(name).is_some_and(|is| is == value))
        }))
        .await;
    }

    /// Cuts the sample off: its connection drops, and it has noticed. Until the service listens
    /// again, no other is taken.
    pub async fn cut_off(&self, running: &Running) {
        self.core.stop_listening().await;
        self.core.drop_connections();
        running.err.wait_for(lines::TRYING_AGAIN).await;
    }

    /// Starts the real program against this world.
    pub fn start(&self, more: &[&str]) -> Program {
        Program::start(&self.flags(more))
    }

    /// The settings of the library for this world, with short waits.
    pub fn settings(&self) -> Settings {
        settings(&self.flags(&[]))
    }

    /// A client of the Jobs service, on a connection of its own to this world.
    pub fn jobs_client(&self) -> (jobs::Client, mqtt::Client) {
        let settings = self.settings();
        let (mqtt, _) = mqtt::connect(settings.mqtt);
        (
            jobs::Client::with_options(&mqtt, THING, settings.jobs),
            mqtt,
        )
    }

    /// A device that does jobs, with a connection of its own and no sample around it.
    pub fn device(&self, set: impl FnOnce(&mut Settings)) -> Device {
        let mut settings = self.settings();
        set(&mut settings);
        let (mqtt, _) = mqtt::connect(settings.mqtt);
        let jobs = jobs::Client::with_options(&mqtt, THING, settings.jobs);
        let agent = Agent::with_options(&jobs, settings.agent);
        Device { agent, jobs, mqtt }
    }

    /// Runs the library in this process.
    pub fn run(
        &self,
        settings: Settings,
        work: impl AsyncFn(&Job) -> WorkResult + Send + Sync + 'static,
    ) -> Running {
        let (output, said) = captured_output();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let stop = async {
                let _ = stopped.await;
                "the test is over"
            };
            sample::run(settings, work, &output, stop).await
        });
        Running {
            out: said.0,
            err: said.1,
            task,
            stop,
        }
    }
}

impl Drop for World {
    /// A test that something is survived proves nothing if it did not happen: each fault that was
    /// armed has struck.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let faults = self.core.faults();
        for (fault, times) in faults.armed() {
            let name = Event::Fault(fault.to_string());
            let struck = self.core.journal().count(|event| *event == name);
            let enough = times == Times::Always && struck > 0;
            assert!(enough, "{fault} ({times}) struck {struck} times only");
        }
    }
}

/// The settings of the library with these flags.
pub fn default_settings(flags: &[String]) -> Settings {
    use clap::Parser;
    let flags = Flags::parse_from(["test".to_owned()].iter().chain(flags));
    let (output, _) = captured_output();
    Settings::from_flags(&flags, &output).unwrap()
}

/// The same, with short waits.
pub fn settings(flags: &[String]) -> Settings {
    let mut settings = default_settings(flags);
    let short = Backoff::new(Duration::from_millis(20), Duration::from_millis(200));
    settings.mqtt.backoff = short.clone();
    settings.mqtt.tcp_timeout = Duration::from_secs(2);
    settings.mqtt.handshake_timeout = Duration::from_secs(2);
    settings.mqtt.ack_timeout = Duration::from_millis(700);
    settings.jobs.reply_timeout = Duration::from_millis(700);
    settings.jobs.backoff = short.clone();
    settings.agent.backoff = short;
    settings
}

/// A backoff that does not draw short waits: each of its first four is longer than a quarter of this.
pub fn long_waits(most: Duration) -> Backoff {
    let is_long = |backoff: &Backoff| {
        let mut backoff = backoff.clone();
        (0..4).all(|_| backoff.next_wait() > most / 4)
    };
    let mut backoffs = (0..).map(|seed| Backoff::new(most, most).seeded(seed));
    backoffs.find(is_long).unwrap()
}

/// The library running in this process.
pub struct Running {
    pub out: Captured,
    pub err: Captured,
    task: JoinHandle<Result<(), SampleError>>,
    stop: oneshot::Sender<()>,
}

impl Running {
    /// Stops it, and returns how it ended.
    pub async fn stop(self) -> Result<(), SampleError> {
        let _ = self.stop.send(());
        within(self.task).await.unwrap()
    }

    /// What ends it at once, without a word to anybody.
    pub fn abort_handle(&self) -> AbortHandle {
        self.task.abort_handle()
    }

    /// Whether it has ended, in whatever way.
    pub async fn gone(&mut self) {
        let _ = (&mut self.task).await;
    }

    /// Waits until it ends by itself.
    pub async fn end(self) -> Result<(), SampleError> {
        within(self.task).await.unwrap()
    }
}

fn captured_output() -> (Output, (Captured, Captured)) {
    let (out, err) = (Captured::new("stdout"), Captured::new("stderr"));
    (Output::to(out.clone(), err.clone()).unwrap(), (out, err))
}
