//! AWS IoT Core on this machine, and the program that does jobs against it.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Parser;
use jobs_mqtt5::agent::{Agent, Job, Outcome, WorkResult};
use jobs_mqtt5::cli::Flags;
use jobs_mqtt5::output::Output;
use jobs_mqtt5::sample::{self, SampleError, Settings};
use jobs_mqtt5::{jobs, mqtt};
use local_iot_core::{Files, JobExecution, LocalIotCore, Options, Status};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// What is to happen happens long before this.
pub const LIMIT: Duration = Duration::from_secs(10);
/// How long a check waits for what an exercise leaves out, in seconds.
pub const PATIENCE: u64 = 3;

/// The thing whose jobs are done.
pub const THING: &str = "my-thing";

/// AWS IoT Core, and what a device needs to connect to it.
pub struct World {
    pub core: LocalIotCore,
    files: Files,
    pub folder: TempDir,
}

impl World {
    /// With the sample's policy.
    pub async fn new() -> Self {
        Self::with(Options::default()).await.unwrap()
    }

    /// # Errors
    /// If the policy can't be read.
    pub async fn with(mut options: Options) -> io::Result<Self> {
        options.thing_name = THING.to_owned();
        let core = LocalIotCore::start(options).await?;
        let folder = tempfile::tempdir()?;
        let files = core.pki().write_to(folder.path())?;
        Ok(Self {
            core,
            files,
            folder,
        })
    }

    /// Creates a job.
    pub fn queue(&self, job_id: &str, document: Value) {
        self.core.jobs().create_job(job_id, document).unwrap();
    }

    /// The program's settings for this world.
    fn settings(&self, output: &Output) -> Settings {
        let path = |path: &Path| path.display().to_string();
        let flags = [
            ("--endpoint", self.core.endpoint().to_owned()),
            ("--port", self.core.port().to_string()),
            ("--ca_file", path(&self.files.ca)),
            ("--cert", path(&self.files.cert)),
            ("--key", path(&self.files.key)),
            ("--thing_name", THING.to_owned()),
        ];
        let words = flags
            .into_iter()
            .flat_map(|(flag, value)| [flag.to_owned(), value]);
        let flags = Flags::parse_from(["jobs-mqtt5".to_owned()].into_iter().chain(words));
        Settings::from_flags(&flags, output).unwrap()
    }

    /// Runs the program with this work.
    pub fn run(&self, work: impl AsyncFn(&Job) -> WorkResult + Send + Sync + 'static) -> Program {
        self.run_with(|_| (), work)
    }

    /// The same, with other settings.
    pub fn run_with(
        &self,
        change: impl FnOnce(&mut Settings),
        work: impl AsyncFn(&Job) -> WorkResult + Send + Sync + 'static,
    ) -> Program {
        let said = Said::default();
        let output = Output::to(said.clone(), said.clone()).unwrap();
        let mut settings = self.settings(&output);
        change(&mut settings);
        let (ctrl_c, pressed) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let stop = async {
                match pressed.await {
                    Ok(()) => "interrupted by Ctrl-C",
                    Err(_) => std::future::pending().await,
                }
            };
            sample::run(settings, work, &output, stop).await
        });
        Program {
            task,
            ctrl_c: Some(ctrl_c),
            said,
        }
    }

    /// Has the next job done, up to where its end would be reported: there, the power fails.
    pub async fn run_until_the_report(
        &self,
        work: impl AsyncFnOnce(&Job) -> WorkResult + Send + 'static,
    ) -> Result<Outcome, String> {
        let output = Output::to(io::sink(), io::sink()).unwrap();
        let settings = self.settings(&output);
        let (mqtt, _events) = mqtt::connect(settings.mqtt);
        let jobs = jobs::Client::new(&mqtt, THING);
        let mut agent = Agent::new(&jobs);
        let job = within(agent.next(), "no job was started").await?;
        let job = job.map_err(|error| error.to_string())?;
        let job = job.ok_or("no job was started")?;
        within(job.run(work), "the work did not end").await
    }

    /// Waits until a job has ended, and returns how.
    pub async fn end_of(&self, job_id: &str) -> Result<JobExecution, String> {
        let jobs = self.core.jobs();
        let execution = || jobs.execution(job_id).unwrap();
        let ended = jobs.wait_until(|books| {
            let execution = books.execution(job_id);
            execution.is_some_and(|one| one.status.is_terminal())
        });
        if timeout(LIMIT, ended).await.is_err() {
            let status = execution().status;
            return Err(format!(
                "After {} seconds the job '{job_id}' was still {status}.",
                LIMIT.as_secs()
            ));
        }
        Ok(execution())
    }

    /// Waits until a job has SUCCEEDED.
    pub async fn succeeds(&self, job_id: &str) -> Result<JobExecution, String> {
        let execution = self.end_of(job_id).await?;
        if execution.status == Status::Succeeded {
            return Ok(execution);
        }
        Err(format!(
            "The job '{job_id}' ended {}; expected: SUCCEEDED.",
            shown(&execution)
        ))
    }
}

/// A job's status, and its reason if there is one: `FAILED ("no room")`.
pub fn shown(execution: &JobExecution) -> String {
    let status = execution.status;
    match execution.status_details.get("reason") {
        Some(reason) => format!("{status} ({reason:?})"),
        None => status.to_string(),
    }
}

/// Whether something happens that an exercise leaves out.
pub async fn happens(future: impl Future) -> bool {
    let patience = Duration::from_secs(PATIENCE);
    timeout(patience, future).await.is_ok()
}

/// Waits for something that is to happen.
pub async fn within<T>(future: impl Future<Output = T>, otherwise: &str) -> Result<T, String> {
    let waited = timeout(LIMIT, future).await;
    waited.map_err(|_| format!("After {} seconds {otherwise}.", LIMIT.as_secs()))
}

/// The program, running in this process until this is dropped.
pub struct Program {
    task: JoinHandle<Result<(), SampleError>>,
    ctrl_c: Option<oneshot::Sender<()>>,
    said: Said,
}

impl Program {
    /// Presses Ctrl-C, and waits until it has ended.
    pub async fn interrupt(&mut self) -> Result<(), String> {
        let pressed = self.ctrl_c.take().map(|ctrl_c| ctrl_c.send(()));
        if pressed != Some(Ok(())) {
            return Err("The program had ended before Ctrl-C was pressed.".to_owned());
        }
        let ended = within(&mut self.task, "the program had not ended").await?;
        ended.unwrap().map_err(|error| error.explained())
    }

    /// Waits until it ends by itself, and returns what it says.
    pub async fn end(&mut self) -> String {
        match (&mut self.task).await.unwrap() {
            Ok(()) => "nothing".to_owned(),
            Err(error) => error.explained(),
        }
    }

    /// The last line that it has said.
    pub fn last_words(&self) -> String {
        let said = self.said.0.lock().unwrap();
        let said = String::from_utf8_lossy(&said);
        said.lines().last().unwrap_or_default().to_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What was written so far.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
