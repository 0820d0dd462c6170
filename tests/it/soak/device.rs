//! The device in the storm: a process whose stdout is read now and then.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;

use jobs_mqtt5::agent::{Job, Outcome, WorkResult};
use jobs_mqtt5::jobs::StatusDetails;
use jobs_mqtt5::output::Output;
use jobs_mqtt5::sample;
use jobs_mqtt5::stop;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;

use crate::support::{Captured, World, settings, within};

/// The flags of the device, as JSON.
const FLAGS: &str = "SOAK_DEVICE_FLAGS";
/// Where the device writes down what it works on.
const WORKED: &str = "SOAK_DEVICE_WORKED";

/// The file that the device takes its time of day from, as an offset: see `SOAK_LIBFAKETIME`.
pub fn clock(world: &World) -> PathBuf {
    world.folder.path().join("clock")
}

/// Not a test, but the device: the soak starts it in a process of its own.
#[test]
#[ignore = "started by the soak"]
fn a_device() {
    let (Ok(flags), Some(worked)) = (std::env::var(FLAGS), std::env::var_os(WORKED)) else {
        return;
    };
    let flags: Vec<String> = serde_json::from_str(&flags).unwrap();
    let mut settings = settings(&flags);
    settings.mqtt.stable_after = Duration::from_secs(2);
    settings.agent.progress_interval = Duration::from_millis(50);
    settings.agent.idle_timeout = Duration::from_secs(2); // its events get lost
    let worked = PathBuf::from(worked);
    let work = async move |job: &Job| work(job, &worked).await;
    let output = Output::on_stdout_and_stderr().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let outcome = runtime.block_on(async {
        let stop = stop::signal().unwrap();
        sample::run(settings, work, &output, stop).await
    });
    if let Err(error) = &outcome {
        output.warn(format_args!("{}", error.explained()));
    }
    output.flush();
    std::process::exit(outcome.is_err().into());
}

/// Some of it reports progress, some takes a while, some is done at once.
async fn work(job: &Job, worked: &std::path::Path) -> WorkResult {
    use std::io::Write;
    let line = format!("{} {}\n", job.id(), job.execution().execution_number);
    let mut file = std::fs::File::options().append(true).open(worked)?;
    file.write_all(line.as_bytes())?;
    match fastrand::u32(..8) {
        0 => {
            for percent in ["20", "40", "60", "80"] {
                job.progress(StatusDetails::from_pairs([("percent", percent)])?);
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
            job.checkpoint(StatusDetails::from_pairs([("step", "restart")])?)
                .await?;
        }
        1 => tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(fastrand::u64(..400))) => {}
            why = job.interrupted() => return Err(why.into()),
        },
        _ => {}
    }
    Ok(Outcome::succeeded())
}

/// What a process holds.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    pub files: usize,
    pub threads: usize,
    pub memory_kib: u64,
}

/// The device, running.
pub struct Device {
    child: Mutex<Child>,
    id: u32,
    out: Captured,
    reader: JoinHandle<()>,
    worked: PathBuf,
}

impl Device {
    pub fn start(world: &World, seed: u64) -> Self {
        let worked = world.folder.path().join("worked");
        std::fs::write(&worked, "").unwrap();
        let flags = serde_json::to_string(&world.flags(&[])).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        if let Some(library) = std::env::var_os("SOAK_LIBFAKETIME") {
            command
                .env("LD_PRELOAD", library)
                .env("FAKETIME_TIMESTAMP_FILE", clock(world))
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1") // nor does a real clock jump
                .env("FAKETIME_NO_CACHE", "1");
        }
        let mut child = command
            .args([
                "--ignored",
                "--exact",
                "--nocapture",
                "soak::device::a_device",
            ])
            .env(FLAGS, flags)
            .env(WORKED, &worked)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let out = Captured::new("stdout");
        let stdout = child.stdout.take().unwrap();
        Self {
            id: child.id().unwrap(),
            child: Mutex::new(child),
            reader: tokio::spawn(read_now_and_then(stdout, out.clone(), seed)),
            out,
            worked,
        }
    }

    pub fn is_alive(&self) -> bool {
        self.child.lock().unwrap().try_wait().unwrap().is_none()
    }

    /// The end of what it has told so far.
    pub fn story(&self) -> String {
        let lines = self.out.lines();
        lines[lines.len().saturating_sub(200)..].join("\n")
    }

    /// What it has told of a job, and around that.
    pub fn story_of(&self, job_id: &str) -> String {
        let lines = self.out.lines();
        let is_near = |nth: usize| {
            let near = &lines[nth.saturating_sub(5)..(nth + 15).min(lines.len())];
            near.iter().any(|line| line.contains(job_id))
        };
        let near = lines.iter().enumerate().filter(|(nth, _)| is_near(*nth));
        let near = near.map(|(_, line)| line.chars().take(300).collect::<String>());
        near.collect::<Vec<_>>().join("\n")
    }

    /// How often it has worked on each execution: job id and execution number.
    pub fn worked(&self) -> HashMap<(String, u64), u32> {
        let mut worked = HashMap::new();
        for line in std::fs::read_to_string(&self.worked).unwrap().lines() {
            let (job_id, number) = line.split_once(' ').unwrap();
            let of = (job_id.to_owned(), number.parse().unwrap());
            *worked.entry(of).or_default() += 1;
        }
        worked
    }

    /// What it holds, once the threads of its work have gone. `None` if the system does not tell.
    pub async fn settled(&self) -> Option<Held> {
        // A thread for work that has nothing to do for ten seconds ends.
        tokio::time::sleep(Duration::from_secs(11)).await;
        let process = PathBuf::from(format!("/proc/{}", self.id));
        let entries = |folder| Some(std::fs::read_dir(process.join(folder)).ok()?.count());
        let status = std::fs::read_to_string(process.join("status")).ok()?;
        let memory = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"))?;
        Some(Held {
            files: entries("fd")?,
            threads: entries("task")?,
            memory_kib: memory.trim().trim_end_matches(" kB").parse().ok()?,
        })
    }

    /// Told to stop, it ends; its exit code.
    pub async fn end(self) -> Option<i32> {
        let id = self.id.to_string();
        let told = Command::new("kill").args(["-s", "TERM", &id]).status();
        assert!(told.await.unwrap().success());
        let mut child = self.child.into_inner().unwrap();
        let status = within(child.wait()).await.unwrap();
        self.reader.abort();
        status.code()
    }
}

/// Reads the story, and at times reads nothing for up to two seconds.
async fn read_now_and_then(mut from: ChildStdout, to: Captured, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        to.push(&String::from_utf8_lossy(&buffer[..count]));
        if random.u32(..20) == 0 {
            tokio::time::sleep(Duration::from_millis(random.u64(..2_000))).await;
        }
    }
}
