//! Logs on request: a job has the device upload one of its log files, to a URL that the service presigns
//! for this device:
//!
//! ```text
//! {"operation": "upload-log", "log": "device",
//!  "url": "${aws:iot:s3-presigned-url-upload:https://s3.us-east-1.amazonaws.com/my-bucket/${thingName}/${jobId}.log}"}
//! ```
//!
//! The document names a log, never a file: which logs there are, and where, is known here. Of a log that
//! is too large, the end is sent. With the flags of the program, through its proxy if it has one; logs
//! are in `logs` (or in the folder that the environment variable `LOG_FOLDER` names).

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::{env, process::ExitCode, time::Duration};

use jobs_mqtt5::agent::{Job, Outcome, WorkResult};
use jobs_mqtt5::cli::Flags;
use jobs_mqtt5::jobs::StatusDetails;
use jobs_mqtt5::{mqtt::Backoff, program};
use serde::Deserialize;
use ureq::{Agent, Proxy, http::Uri};

/// The logs that may be asked for, and the files that they are.
const LOGS: [(&str, &str); 2] = [("device", "device.log"), ("system", "system.log")];
/// So much of a log is sent at most, in bytes.
const LARGEST: u64 = 1024 * 1024;
/// How often it is tried. With the waits between, a few minutes.
const MOST_TRIES: u32 = 8;

#[derive(Deserialize)]
#[serde(tag = "operation", rename_all = "kebab-case")]
enum Task {
    UploadLog { log: String, url: String },
}

fn main() -> ExitCode {
    let folder = PathBuf::from(env::var_os("LOG_FOLDER").unwrap_or("logs".into()));
    let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    program::run(async move |job: &Job, flags: &Flags| {
        upload(job, &folder, proxy(flags)?, backoff.clone()).await
    })
}

/// The program's own proxy, for the upload as well.
pub fn proxy(flags: &Flags) -> Result<Option<Proxy>, Box<dyn std::error::Error + Send + Sync>> {
    let Some(host) = &flags.proxy_host else {
        return Ok(None);
    };
    let mut proxy = Proxy::builder(ureq::ProxyProtocol::Http)
        .host(host)
        .port(flags.proxy_port);
    if let Some(path) = &flags.proxy_auth {
        let text = std::fs::read_to_string(path)?;
        let (user, password) = text
            .trim_end()
            .split_once(':')
            .ok_or("--proxy_auth has no ':'")?;
        proxy = proxy.username(user).password(password);
    }
    Ok(Some(proxy.build()?))
}

/// Does the job. An error becomes FAILED, with its words as the reason.
pub async fn upload(
    job: &Job,
    folder: &Path,
    proxy: Option<Proxy>,
    mut backoff: Backoff,
) -> WorkResult {
    let (name, mut url) = match job.document() {
        Ok(Task::UploadLog { log, url }) => (log, url),
        Err(error) => return Ok(Outcome::rejected(error.to_string())),
    };
    let Some((_, file)) = LOGS.iter().find(|(log, _)| *log == name) else {
        return Ok(Outcome::rejected(format!("there is no log '{name}'")));
    };
    if let Err(reason) = check(&url) {
        return Ok(Outcome::rejected(reason));
    }
    let (content, size) = end_of(&folder.join(file)).map_err(|error| format!("{file}: {error}"))?;
    let agent: Agent = Agent::config_builder()
        .proxy(proxy)
        .max_redirects(0) // a presigned URL is good for its own host only
        .http_status_as_error(false)
        .timeout_per_call(Some(Duration::from_secs(120)))
        .build()
        .into();
    loop {
        job.check()?;
        let problem = match agent.put(&url).send(&content[..]) {
            Ok(response) if response.status().is_success() => break,
            Ok(response) => format!("the server answered {}", response.status()),
            Err(error) => error.to_string(), // (which does not have the URL in it)
        };
        if backoff.failures() + 1 == MOST_TRIES {
            return Err(problem.into());
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next_wait()) => {}
            why = job.interrupted() => return Err(why.into()),
        }
        // The URL may have expired. Each time the service is asked, it makes another one.
        if let Ok(Some(now)) = job.describe().await {
            let Task::UploadLog { url: fresh, .. } = now.job_document.read()?;
            check(&fresh)?;
            url = fresh;
        }
    }
    let sent = content.len().to_string();
    let details = [("log", name), ("bytes", sent), ("of", size.to_string())];
    Ok(Outcome::Succeeded(StatusDetails::from_pairs(details)?))
}

/// Whether that is where a log may go: by TLS, or to this machine.
fn check(url: &str) -> Result<(), String> {
    if url.starts_with("${aws:iot:") {
        let rule = "the URL's placeholder was not replaced: has the job a --presigned-url-config?";
        return Err(rule.to_owned());
    }
    let url: Uri = url.parse().unwrap_or_default();
    match url.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if matches!(url.host(), Some("localhost" | "127.0.0.1" | "[::1]")) => Ok(()),
        _ => Err("url must be https, or http to this machine".to_owned()),
    }
}

/// The end of a file, as far as it is to be sent, and how long the whole is.
fn end_of(path: &Path) -> io::Result<(Vec<u8>, u64)> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(LARGEST)))?;
    let mut content = Vec::new();
    file.take(LARGEST).read_to_end(&mut content)?; // it may have grown meanwhile
    Ok((content, size))
}
