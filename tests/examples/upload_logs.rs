//! Logs on request: a job has the device upload one of its log files, to a URL that the service presigns
//! for this device:
//!
//! ```text
//! {"operation": "upload-log", "log": "device",
//!  "url": "${aws:iot:s3-presigned-url-upload:https://s3.us-east-1.amazonaws.com/my-bucket/${thingName}/${jobId}.log}"}
//! ```
//!
//! The document names a log, never a file: which logs there are, and where, is known here. Of a log that
//! is too large, the end is sent. And it is sent by TLS, to the buckets that are listed here and nowhere
//! else, with the flags of the program, through its proxy if it has one. Two environment variables:
//!
//! - `LOG_URLS`: what the URL of an upload may begin with, separated by commas. Of S3, name the bucket, as in
//!   `https://s3.us-east-1.amazonaws.com/my-bucket/` or `https://my-bucket.s3.us-east-1.amazonaws.com/`:
//!   anybody can have another bucket at the same host, and presign a URL to it. To try it out,
//!   `http://127.0.0.1:4566/my-bucket/` does as well: this machine, without TLS and without the proxy.
//! - `LOG_FOLDER`: where the logs are, if not in `logs`

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::{env, process::ExitCode, time::Duration};

use jobs_mqtt5::agent::{Job, Outcome, WorkResult};
use jobs_mqtt5::cli::Flags;
use jobs_mqtt5::jobs::StatusDetails;
use jobs_mqtt5::{mqtt::Backoff, program};
use serde::Deserialize;
use ureq::{Agent, Proxy, http::Uri, tls::TlsConfig};

#[path = "presigned.rs"]
#[allow(dead_code)] // a part of it is for the firmware update
pub(crate) mod presigned;

/// The logs that may be asked for, and the files that they are.
const LOGS: [(&str, &str); 2] = [("device", "device.log"), ("system", "system.log")];
/// So much of a log is sent at most, in bytes.
const LARGEST: u64 = 1024 * 1024;
const NO_URLS: &str = "the device does not know where a log may go: set LOG_URLS on it, as in \
                       https://s3.us-east-1.amazonaws.com/my-bucket/";
/// How often it is tried. The waits between are two minutes in all; a try over a slow link may take ten.
const MOST_TRIES: u32 = 8;

#[derive(Deserialize)]
#[serde(tag = "operation", rename_all = "kebab-case")]
enum Task {
    UploadLog { log: String, url: String },
}

/// Where logs come from, and where they may go.
#[derive(Clone)]
pub(crate) struct Uploads {
    pub folder: PathBuf,
    /// What a URL may begin with.
    pub urls: Vec<String>,
    pub proxy: Option<Proxy>,
    pub tls: TlsConfig,
    pub backoff: Backoff,
}

fn main() -> ExitCode {
    program::run(async move |job: &Job, flags: &Flags| {
        let uploads = Uploads {
            folder: PathBuf::from(env::var_os("LOG_FOLDER").unwrap_or("logs".into())),
            urls: env::var("LOG_URLS")
                .map_err(|_| NO_URLS)?
                .split(',')
                .map(|url| url.trim().to_owned())
                .collect(),
            proxy: presigned::proxy(flags)?,
            tls: TlsConfig::default(),
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(60)),
        };
        upload(job, uploads).await
    })
}

/// Does the job. An error becomes FAILED, with its words as the reason.
pub(crate) async fn upload(job: &Job, mut uploads: Uploads) -> WorkResult {
    let (name, mut url) = match job.document() {
        Ok(Task::UploadLog { log, url }) => (log, url),
        Err(error) => return Ok(Outcome::rejected(error.to_string())),
    };
    let Some((_, file)) = LOGS.iter().find(|(log, _)| *log == name) else {
        return Ok(Outcome::rejected(format!("there is no log '{name}'")));
    };
    if let Err(reason) = check(&url, &uploads.urls) {
        return Ok(Outcome::rejected(reason));
    }
    let path = uploads.folder.join(file);
    let (content, size) = end_of(&path).map_err(|error| format!("{file}: {error}"))?;
    let agent: Agent = Agent::config_builder()
        .proxy(uploads.proxy.filter(|_| presigned::is_by_tls(&url)))
        .tls_config(uploads.tls)
        .max_redirects(0) // a presigned URL is good for its own host only
        .http_status_as_error(false)
        .timeout_per_write(Some(Duration::from_secs(30))) // without progress
        .timeout_per_call(Some(Duration::from_secs(600))) // 1 MiB at 2 kB a second
        .build()
        .into();
    loop {
        let (sender, to, body) = (agent.clone(), url.clone(), content.clone());
        let sending = tokio::task::spawn_blocking(move || sender.put(to).send(&body[..]));
        let answer = tokio::select! {
            answer = sending => answer?,
            why = job.interrupted() => return Err(why.into()), // it is left to its timeouts
        };
        let problem = match answer {
            Ok(response) if response.status().is_success() => break,
            Ok(response) => {
                let problem = format!("the server answered {}", response.status());
                if !presigned::is_transient(response) {
                    return Err(problem.into());
                }
                problem
            }
            Err(error) => error.to_string(), // (which does not have the URL in it)
        };
        if uploads.backoff.failures() + 1 == MOST_TRIES {
            return Err(problem.into());
        }
        // The URL may have expired. Each time the service is asked, it makes another one.
        let asking = async {
            tokio::time::sleep(uploads.backoff.next_wait()).await;
            job.describe().await
        };
        let now = tokio::select! {
            now = asking => now,
            why = job.interrupted() => return Err(why.into()),
        };
        if let Ok(Some(now)) = now {
            let Task::UploadLog { url: fresh, .. } = now.job_document.read()?;
            check(&fresh, &uploads.urls)?;
            url = fresh;
        }
    }
    let sent = content.len().to_string();
    let details = [("log", name), ("bytes", sent), ("of", size.to_string())];
    Ok(Outcome::Succeeded(StatusDetails::from_pairs(details)?))
}

/// Whether that is where a log may go: by TLS or on this machine, and below one of these URLs.
pub fn check(url: &str, allowed: &[String]) -> Result<(), String> {
    presigned::check_url(url)?;
    let url: Uri = url.parse().unwrap_or_default();
    // `..` leads out of the bucket, for whoever takes it as a step up.
    let leads_out = url.path().contains("..") || url.path().to_ascii_lowercase().contains("%2e");
    let is_below = |allowed: &String| {
        let allowed: Uri = allowed.parse().unwrap_or_default();
        let folder = format!("{}/", allowed.path().trim_end_matches('/'));
        server(&url) == server(&allowed) && url.path().starts_with(&folder)
    };
    if !leads_out && allowed.iter().any(is_below) {
        return Ok(());
    }
    let allowed = allowed.join(", ");
    Err(format!(
        "a log is sent to what is below these URLs only: {allowed} (see LOG_URLS)"
    ))
}

/// Scheme, host and port.
fn server(url: &Uri) -> (Option<&str>, Option<String>, Option<u16>) {
    let host = url.host().map(str::to_ascii_lowercase);
    let port = url.port_u16().filter(|port| *port != 443); // which is that of https
    (url.scheme_str(), host, port)
}

/// The end of a file, as far as it is to be sent, and how long the whole is.
fn end_of(path: &Path) -> io::Result<(Vec<u8>, u64)> {
    let mut options = File::options();
    // A link could lead to a key, and a pipe would keep us waiting for whoever writes to it.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        libc::O_NOFOLLOW | libc::O_NONBLOCK,
    );
    let mut file = options.read(true).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("is not a regular file"));
    }
    let size = metadata.len();
    file.seek(SeekFrom::Start(size.saturating_sub(LARGEST)))?;
    let mut content = Vec::new();
    file.take(LARGEST).read_to_end(&mut content)?; // it may have grown meanwhile
    Ok((content, size))
}
