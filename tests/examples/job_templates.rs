//! AWS's own job templates: what "Create job" in the console offers (AWS-Reboot, AWS-Download-File,
//! AWS-Start-Application…), done without AWS's Device Client. A job document of theirs has steps:
//!
//! ```text
//! {"version": "1.0", "steps": [{"action": {"name": "Install-Application", "type": "runHandler",
//!     "input": {"handler": "install-packages.sh", "args": ["curl nano"], "path": ""}, "runAsUser": ""}}]}
//! ```
//!
//! The document asks, the device decides: [`Device`] lists what each handler is here, and which words may
//! follow it. Nothing from a document becomes a path, an option or a piece of a command line, and there is
//! no shell. A document is read as a whole before its first step, and REJECTED if one of its steps can't be
//! done here; so is every `runCommand`. Its flags are those of the sample; it downloads through their proxy.

use std::error::Error;
use std::io::{self, PipeReader, Read};
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::{fs, thread, time::Duration};

use jobs_mqtt5::agent::{Job, Outcome, WorkResult};
use jobs_mqtt5::jobs::StatusDetails;
use jobs_mqtt5::{cli::Flags, program};
use serde::Deserialize;
use tokio::{process::Command, sync::watch, task::spawn_blocking, time::timeout};
use ureq::{Agent, Proxy};

#[path = "durable.rs"]
#[allow(dead_code, clippy::duplicate_mod)] // of it, `replace` is used; and the tests have it too
mod durable;
#[path = "presigned.rs"]
#[allow(dead_code, clippy::duplicate_mod)] // a part of it is for the firmware update
pub(crate) mod presigned;
#[path = "restart.rs"]
#[allow(clippy::duplicate_mod)] // the tests have it too
mod restart;

/// A handler, the program that it stands for with what always follows, and the words that may follow.
pub type Program = (&'static str, &'static str, &'static [&'static str]);

const PACKAGES: &[&str] = &["curl", "nano"];
const SERVICES: &[&str] = &["sensors", "display"];
/// On your machine, this example says what it would run. On a device, leave out each `echo`.
const PROGRAMS: &[Program] = &[
    ("install-packages.sh", "echo apt-get install -y", PACKAGES),
    ("remove-packages.sh", "echo apt-get remove -y", PACKAGES),
    ("start-services.sh", "echo systemctl start", SERVICES),
    ("stop-services.sh", "echo systemctl stop", SERVICES),
    ("restart-services.sh", "echo systemctl restart", SERVICES),
    ("reboot.sh", "echo reboot", &[]),
];
const LARGEST: u64 = 16 * 1024 * 1024; // is downloaded at most, in bytes
const KEPT: usize = 800; // of what a program prints, in bytes: its end
/// How long the last of that may take to come, once the program has ended.
const OUTPUT_LIMIT: Duration = Duration::from_secs(1);

/// What can go wrong in work, of whatever kind.
type AnyError = Box<dyn Error + Send + Sync>;

/// What documents may have this device do.
pub struct Device {
    /// What handlers stand for.
    pub programs: &'static [Program],
    /// The names that a `filePath` may have.
    pub files: &'static [&'static str],
    /// Where these files are.
    pub folder: PathBuf,
    /// How long the system may take from a `reboot.sh` until it ends this program.
    pub restarts_within: Duration,
}

fn main() -> ExitCode {
    let device = Device {
        programs: PROGRAMS,
        files: &["model.bin"],
        folder: "downloads".into(),
        restarts_within: Duration::from_secs(300),
    };
    program::run(async move |job: &Job, flags: &Flags| {
        work(job, &device, presigned::proxy(flags)?).await
    })
}

/// Every field that is not here is an error: a condition that is passed over could do harm.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: String,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    action: Action,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Action {
    name: String,
    r#type: String,
    input: serde_json::Value,
    #[serde(default)]
    run_as_user: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    handler: String,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    path: String,
}

/// What a step is on this device.
enum Task {
    Download(String, PathBuf),
    Restart(Vec<String>),
    Run(Vec<String>),
}

impl Device {
    /// Reads a whole document, or says why this device does not do it.
    fn read(&self, text: &str) -> Result<Vec<(String, Task)>, String> {
        if text.contains("${aws:iot:") {
            return Err("a placeholder in the document was not replaced".to_owned());
        }
        let document: Document = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if document.version != "1.0" || document.steps.is_empty() {
            return Err("a document has \"version\": \"1.0\", and at least one step".to_owned());
        }
        let steps = document.steps.into_iter().map(|Step { action }| {
            let task = self.task(&action);
            let task = task.map_err(|why| format!("{}: {why}", action.name))?;
            Ok((action.name, task))
        });
        steps.collect()
    }

    fn task(&self, action: &Action) -> Result<Task, String> {
        if action.r#type != "runHandler" {
            let rule = "only a runHandler is done: a document brings no command of its own";
            return Err(format!("a {} is not done here; {rule}", action.r#type));
        }
        let input = Input::deserialize(&action.input).map_err(|error| error.to_string())?;
        if !input.path.is_empty() || !action.run_as_user.is_empty() {
            return Err("the device decides on pathToHandler and runAsUser: leave them out".into());
        }
        let handler = input.handler.as_str();
        if let ("download-file.sh", [url, name]) = (handler, &input.args[..]) {
            presigned::check_url(url)?;
            let file = self.files.iter().find(|file| *file == name);
            let file = file.ok_or(format!("'{name}' is no file that may be downloaded here"))?;
            return Ok(Task::Download(url.clone(), self.folder.join(file)));
        }
        let program = self.programs.iter().find(|program| program.0 == handler);
        let Some((_, program, allowed)) = program else {
            return Err(format!("no handler '{handler}' with such args here"));
        };
        let args = input.args.join(" ");
        let words: Vec<&str> = args.split_whitespace().collect();
        let is_allowed = words.iter().all(|word| allowed.contains(word));
        if !is_allowed || words.is_empty() != allowed.is_empty() {
            return Err(format!("{handler} can't be asked for '{args}' here"));
        }
        let command = program.split(' ').chain(words).map(str::to_owned).collect();
        Ok(match handler {
            "reboot.sh" => Task::Restart(command),
            _ => Task::Run(command),
        })
    }
}

/// Does the job, from the first step that is not done. (A step that was cut off is done again.)
pub async fn work(job: &Job, device: &Device, proxy: Option<Proxy>) -> WorkResult {
    let steps = match device.read(job.execution().job_document.text()) {
        Ok(steps) => steps,
        Err(reason) => return Ok(Outcome::rejected(reason)),
    };
    let (count, earlier) = (steps.len(), job.status_details()); // of an earlier run
    let done = earlier.get("done").and_then(|done| done.parse().ok());
    let mut output = "(none yet)".to_owned();
    for (index, (name, task)) in steps.into_iter().enumerate().skip(done.unwrap_or(0)) {
        job.check()?;
        let step = format!("{} of {count}: {name}", index + 1);
        let details = |done: usize, output: &str| {
            let details = StatusDetails::default().with_text("done", &done.to_string());
            details.with_text("step", &step).with_text("output", output)
        };
        job.progress(details(index, &output));
        output = match task {
            Task::Download(url, file) => {
                let content = download(job, url, proxy.clone()).await?;
                fs::create_dir_all(&device.folder)?;
                durable::replace(&durable::RealDisk, &file, &content, 0o644)?;
                format!("{} bytes", content.len())
            }
            Task::Restart(command) => {
                let is_asked_for = earlier.get("restarting") == Some(&step);
                if !is_asked_for {
                    let restarting = details(index, &output).with_text("restarting", &step);
                    let restarting = restarting.with_text("boot_id", &restart::boot_id());
                    job.checkpoint(restarting).await?; // from here on, the service knows
                    run(job, &command).await?;
                }
                if !is_asked_for || !restart::has_come(earlier) {
                    return restart::wait(job, device.restarts_within).await;
                }
                "restarted".to_owned()
            }
            Task::Run(command) => run(job, &command).await?,
        };
        job.checkpoint(details(index + 1, &output)).await?;
    }
    Ok(Outcome::succeeded())
}

/// Downloads a file, or ends when the job is to end. (What is under way is left to its time limit.)
async fn download(job: &Job, url: String, proxy: Option<Proxy>) -> Result<Vec<u8>, AnyError> {
    let is_by_tls = presigned::is_by_tls(&url);
    let config = Agent::config_builder()
        .https_only(is_by_tls) // after a redirect as well
        .proxy(proxy.filter(|_| is_by_tls))
        .timeout_global(Some(Duration::from_secs(600)));
    let agent = Agent::from(config.build());
    let downloading = spawn_blocking(move || {
        let mut response = agent.get(url).call()?;
        let body = response.body_mut().with_config();
        body.limit(LARGEST).read_to_vec()
    });
    tokio::select! {
        content = downloading => Ok(content??),
        why = job.interrupted() => Err(why.into()),
    }
}

/// Runs a program, and returns the end of what it prints; ends it when the job is to end.
async fn run(job: &Job, command: &[String]) -> Result<String, AnyError> {
    let name = &command[0];
    let (reader, writer) = io::pipe()?;
    let mut program = Command::new(name);
    program.args(&command[1..]).stdin(Stdio::null());
    program.stdout(writer.try_clone()?).stderr(writer);
    program.kill_on_drop(true);
    #[cfg(unix)]
    program.process_group(0); // it can be ended with what it starts
    println!("Running: {}", command.join(" "));
    let started = program.spawn();
    let mut child = started.map_err(|error| format!("{name} can't be run: {error}"))?;
    drop(program); // and with it our end of the pipe
    let mut printed = end_of(reader);
    let ended = tokio::select! {
        ended = child.wait() => ended?,
        why = job.interrupted() => {
            let group = format!("-{}", child.id().unwrap_or_default());
            let _ = Command::new("kill").args(["-s", "TERM", "--", &group]).status().await;
            let _ = timeout(Duration::from_secs(5), child.wait()).await;
            return Err(why.into());
        }
    };
    // What it has started and left running may keep the pipe open: that is not waited for.
    let all = async { while printed.changed().await.is_ok() {} };
    let _ = timeout(OUTPUT_LIMIT, all).await;
    let output = String::from_utf8_lossy(&printed.borrow()).into_owned();
    if !ended.success() {
        return Err(format!("{name} ended with {ended}: {output}").into());
    }
    Ok(output)
}

/// Keeps the end of what comes through a pipe, and reads as long as anybody writes: a service that was
/// started is not to be stopped by what it prints.
fn end_of(mut pipe: PipeReader) -> watch::Receiver<Vec<u8>> {
    let (sender, receiver) = watch::channel(Vec::new());
    thread::spawn(move || {
        let mut buffer = [0; KEPT];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            sender.send_modify(|kept| {
                kept.extend(&buffer[..count]);
                let too_much = kept.len().saturating_sub(KEPT);
                kept.drain(..too_much);
            });
        }
    });
    receiver
}
