//! A firmware update, the job that everybody needs: all that work can do with a job, on one page.
//! With the flags of the program, it installs to `installed/firmware.bin` (or to the folder that the
//! environment variable `FIRMWARE_FOLDER` names):
//!
//! ```text
//! cargo run --example install_firmware -- --endpoint … --cert … --key … --thing_name …
//! ```
//!
//! It downloads piece by piece, and goes on where it was cut off: by the network, by a URL that has
//! expired, by the end of the program. Only what has the right size and SHA-256 is installed:
//!
//! ```text
//! {"operation": "install-firmware", "version": "1.4.2", "size": 1000000, "sha256": "9f86d081…",
//!  "url": "${aws:iot:s3-presigned-url:https://s3.us-east-1.amazonaws.com/my-bucket/firmware.bin}"}
//! ```

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::{env, error::Error, process::ExitCode, time::Duration};

use jobs_mqtt5::agent::{Interrupted, Job, Outcome, WorkResult};
use jobs_mqtt5::jobs::{DetailError, JobExecution, StatusDetails};
use jobs_mqtt5::{cli::Flags, mqtt::Backoff, program};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use ureq::{Agent, http::Uri};

/// How much is requested at a time, in bytes.
const PIECE: u64 = 256 * 1024;
/// The largest firmware that there is room for, in bytes.
const LARGEST: u64 = 64 * 1024 * 1024;
/// How many requests in a row may be in vain. With the waits between them, a few minutes.
const MOST_FAILURES: u32 = 10;

fn main() -> ExitCode {
    let folder = PathBuf::from(env::var_os("FIRMWARE_FOLDER").unwrap_or("installed".into()));
    let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    program::run(async move |job: &Job, _: &Flags| install(job, &folder, backoff.clone()).await)
}

#[derive(Deserialize)]
#[serde(tag = "operation", rename_all = "kebab-case")]
enum Task {
    InstallFirmware(Firmware),
}

#[derive(Deserialize)]
struct Firmware {
    version: String,
    url: String,
    size: u64,
    sha256: String,
}

/// Does the job. An error becomes FAILED, with its words as the reason.
pub async fn install(job: &Job, folder: &Path, backoff: Backoff) -> WorkResult {
    let mut firmware = match Firmware::of(job.execution()) {
        Ok(firmware) => firmware,
        Err(reason) => return Ok(Outcome::rejected(reason)),
    };
    fs::create_dir_all(folder)?;
    let installed = fs::read_to_string(folder.join("version")).unwrap_or_default();
    // An earlier run may have installed this very file, and ended before that was reported.
    let is_there = hash_of(&folder.join("firmware.bin")).is_ok_and(|hash| hash == firmware.sha256);
    if (numbers(&firmware.version), is_there) < (numbers(&installed), true) {
        let reason = format!("{} is not newer than {installed}", firmware.version);
        return Ok(Outcome::rejected(reason));
    }
    if !is_there {
        let part = folder.join("firmware.part");
        match download(job, &mut firmware, &part, backoff).await {
            Ok(()) => put_in_place(folder, "firmware.part", "firmware.bin")?,
            // What has come by now is for the next run.
            Err(error) if is_stop(&*error) => return Err(error),
            Err(error) => {
                let _ = fs::remove_file(part);
                return Err(error);
            }
        }
    }
    fs::write(folder.join("version.new"), &firmware.version)?;
    put_in_place(folder, "version.new", "version")?;
    Ok(Outcome::Succeeded(firmware.details(firmware.size)?))
}

fn is_stop(error: &(dyn Error + Send + Sync + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(Interrupted::Stopping))
}

/// Downloads what is missing in the file.
async fn download(
    job: &Job,
    firmware: &mut Firmware,
    path: &Path,
    mut backoff: Backoff,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let agent = Agent::config_builder()
        .max_redirects(0) // a presigned URL is good for its own host only
        .timeout_per_call(Some(Duration::from_secs(30))) // what has come by then is kept
        .build()
        .into();
    let mut file = File::options().append(true).create(true).open(path)?;
    let mut is_resumed = file.metadata()?.len() > 0;
    loop {
        job.check()?;
        let length = file.metadata()?.len();
        job.progress(firmware.details(length)?);
        if length >= firmware.size {
            match hash_of(path)? {
                hash if hash == firmware.sha256 => return Ok(()),
                hash if !is_resumed => return Err(format!("the file's SHA-256 is {hash}").into()),
                // What an earlier run has left may be what is wrong: once more, from the start.
                _ => (file, is_resumed) = (File::create(path)?, false),
            }
            continue;
        }
        let fetched = fetch(&agent, firmware, length, &file);
        if file.metadata()?.len() > length {
            backoff.reset();
            continue;
        }
        if backoff.failures() == MOST_FAILURES {
            fetched?;
            return Err("the server sends nothing".into());
        }
        tokio::select! {
            // The URL may have expired. Each time the service is asked, it makes another one.
            answer = async { tokio::time::sleep(backoff.next_wait()).await; job.describe().await } => {
                if let Ok(Some(execution)) = answer {
                    *firmware = Firmware::of(&execution)?;
                }
            }
            _ = job.interrupted() => {}
        }
    }
}

/// Requests the piece that starts here, and appends to the file what comes of it.
fn fetch(agent: &Agent, firmware: &Firmware, from: u64, mut file: &File) -> io::Result<()> {
    let (to, size) = (firmware.size.min(from + PIECE) - 1, firmware.size);
    let request = agent.get(&firmware.url);
    let request = request.header("range", format!("bytes={from}-{to}"));
    let response = request.call().map_err(ureq::Error::into_io)?;
    let expected = format!("bytes {from}-{to}/{size}");
    let sent = response.headers().get("content-range");
    if sent.is_none_or(|sent| *sent != expected) {
        let problem = format!("the server sent {}, not {expected}", response.status());
        return Err(io::Error::other(problem));
    }
    let body = response.into_body().into_reader();
    io::copy(&mut body.take(to + 1 - from), &mut file).map(drop)
}

impl Firmware {
    /// What the job document asks for, if that is something that this device does.
    fn of(execution: &JobExecution) -> Result<Self, String> {
        let task = execution.job_document.read();
        let Task::InstallFirmware(mut new) = task.map_err(|error| error.to_string())?;
        new.sha256.make_ascii_lowercase();
        let url: Uri = new.url.parse().unwrap_or_default();
        let is_safe = match url.scheme_str() {
            Some("http") => matches!(url.host(), Some("localhost" | "127.0.0.1" | "[::1]")),
            scheme => scheme == Some("https"),
        };
        let check = |holds: bool, rule: &str| holds.then_some(()).ok_or(rule.to_owned());
        check(is_safe, "url must be https, or http to this machine")?;
        check(numbers(&new.version).is_some(), "version is not like 1.4.2")?;
        check((1..=LARGEST).contains(&new.size), "size is 0, or too large")?;
        check(new.sha256.len() == 64, "sha256 must have 64 digits")?;
        Ok(new)
    }

    /// What the job execution shows when this many bytes have come.
    fn details(&self, length: u64) -> Result<StatusDetails, DetailError> {
        let percent = (length.saturating_mul(100) / self.size).to_string();
        StatusDetails::from_pairs([("version", &self.version), ("percent", &percent)])
    }
}

/// The three numbers of a version such as 1.4.2.
fn numbers(version: &str) -> Option<[u32; 3]> {
    let numbers: Option<Vec<u32>> = version.split('.').map(|part| part.parse().ok()).collect();
    numbers?.try_into().ok()
}

/// The SHA-256 of a file, in hex.
fn hash_of(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hash)?;
    Ok(format!("{:x}", hash.finalize()))
}

/// Gives a file its final name. A power failure leaves there what was, or all of what is new.
fn put_in_place(folder: &Path, new: &str, name: &str) -> io::Result<()> {
    let new = folder.join(new);
    File::options().append(true).open(&new)?.sync_all()?;
    fs::rename(new, folder.join(name))?;
    #[cfg(unix)] // elsewhere, a folder can't be synced
    File::open(folder)?.sync_all()?;
    Ok(())
}
