//! A download that goes on where it was cut off: by the network, by a URL that has expired, by the end
//! of the program. What it needs from a job is a fresh URL, and whether it is still wanted.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use jobs_mqtt5::agent::Job;
use jobs_mqtt5::jobs::JobExecution;
use jobs_mqtt5::mqtt::Backoff;
use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body, Proxy};

use super::durable::Disk;
use super::presigned::{is_by_tls, is_transient};

/// How much is requested at a time, in bytes.
const PIECE: u64 = 256 * 1024;
/// How long one request may take. What has come by then is kept, except from a server without ranges.
const TIMEOUTS: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(30 * 60)];
/// How long the server may be silent: so much later, a job that is to end does.
const SILENCE: Duration = Duration::from_secs(30);
/// So many bytes are progress. (One a second keeps nothing alive.)
const PROGRESS: u64 = 64 * 1024;
/// What can go wrong in work, of whatever kind.
pub type AnyError = Box<dyn Error + Send + Sync>;

/// What is to be downloaded, and where to.
pub struct Download<'a> {
    /// Whose URL it is, and who is told of the progress.
    pub job: &'a Job,
    pub url: String,
    /// How many bytes it has.
    pub size: u64,
    pub disk: &'a dyn Disk,
    /// What is in this file is taken for the beginning.
    pub path: &'a Path,
    pub proxy: Option<Proxy>,
    /// The waits between requests without result.
    pub backoff: Backoff,
    /// How long it may take without progress.
    pub patience: Duration,
}

/// Why a request brought nothing.
enum Failure {
    /// Another one may.
    Transient(String),
    /// No other will: the disk is full, or the server does not have what was promised.
    Permanent(String),
}

impl Download<'_> {
    /// Downloads what is missing in the file. `url_of` finds the URL in a job execution, `progress` hears
    /// how many bytes are there.
    ///
    /// # Errors
    /// If the job is no longer wanted or the program told to stop, and if there is no going on. What
    /// has come stays in the file.
    pub async fn run(
        mut self,
        url_of: impl Fn(&JobExecution) -> Result<String, String>,
        progress: impl Fn(u64) -> Result<(), AnyError>,
    ) -> Result<(), AnyError> {
        let mut has_ranges = true;
        let (mut progressed, mut most) = (Instant::now(), 0);
        loop {
            self.job.check()?;
            let before = self.length();
            progress(before)?;
            if before == self.size {
                return Ok(());
            }
            if before >= most + PROGRESS {
                (progressed, most) = (Instant::now(), before);
            }
            // What is longer than the file can't be its beginning.
            let from = if before < self.size { before } else { 0 };
            let failure = match self.fetch(from, &mut has_ranges, &progress) {
                Ok(()) => {
                    self.backoff.reset();
                    continue;
                }
                Err(Failure::Permanent(reason)) => return Err(reason.into()),
                Err(Failure::Transient(reason)) => reason,
            };
            if progressed.elapsed() > self.patience {
                let (patience, size) = (self.patience, self.size);
                let words = format!("{before} of {size} bytes, no progress within {patience:?}");
                return Err(format!("{words}: {failure}").into());
            }
            if has_ranges && self.length() > from {
                self.backoff.reset(); // cut off, but something has come
                continue;
            }
            // The URL may have expired. Each time the service is asked, it makes another one.
            let wait = tokio::time::sleep(self.backoff.next_wait());
            tokio::select! {
                now = async { wait.await; self.job.describe().await } => {
                    if let Ok(Some(execution)) = now {
                        self.url = url_of(&execution)?;
                    }
                }
                _ = self.job.interrupted() => {}
            }
        }
    }

    /// How many bytes are there.
    fn length(&self) -> u64 {
        fs::symlink_metadata(self.path).map_or(0, |it| if it.is_file() { it.len() } else { 0 })
    }

    /// Requests the piece that starts here, and appends what comes of it to the file.
    fn fetch(
        &self,
        from: u64,
        has_ranges: &mut bool,
        progress: impl Fn(u64) -> Result<(), AnyError>,
    ) -> Result<(), Failure> {
        let to = self.size.min(from + PIECE) - 1;
        let response = self.request(from, to, TIMEOUTS[usize::from(!*has_ranges)])?;
        let (status, size) = (response.status(), self.size);
        let header = |name| response.headers().get(name).and_then(|it| it.to_str().ok());
        let sent = match status {
            StatusCode::PARTIAL_CONTENT => header(header::CONTENT_RANGE).unwrap_or_default(),
            // The whole file, from its start: a server without ranges.
            StatusCode::OK => header(header::CONTENT_LENGTH).unwrap_or_default(),
            _ => {
                let words = format!("the server sent {status}");
                return Err(match is_transient(response) {
                    true => Failure::Transient(words),
                    false => Failure::Permanent(words),
                });
            }
        };
        *has_ranges = status == StatusCode::PARTIAL_CONTENT;
        let (from, to, expected) = match *has_ranges {
            true => (from, to, format!("bytes {from}-{to}/{size}")),
            false => (0, size - 1, size.to_string()),
        };
        if sent != expected {
            let reason = format!("the server sent {status} with '{sent}', not '{expected}'");
            return Err(Failure::Permanent(reason));
        }
        if from == 0 && fs::symlink_metadata(self.path).is_ok() {
            // Of no use as a beginning.
            self.disk.remove(self.path).map_err(Failure::of_disk)?;
        }
        let file = self.disk.open_to_append(self.path);
        let file = file.map_err(Failure::of_disk)?;
        self.copy(response, file, from, to, progress)
    }

    fn request(&self, from: u64, to: u64, limit: Duration) -> Result<Response<Body>, Failure> {
        let agent: Agent = Agent::config_builder()
            .max_redirects(0) // a presigned URL is good for its own host only
            .http_status_as_error(false)
            .proxy(self.proxy.clone().filter(|_| is_by_tls(&self.url)))
            .timeout_global(Some(limit))
            .timeout_per_read(Some(self.patience.min(SILENCE)))
            .build()
            .into();
        let request = agent.get(&self.url);
        let request = request.header("range", format!("bytes={from}-{to}"));
        // (These errors do not have the URL in them.)
        request
            .call()
            .map_err(|error| Failure::Transient(error.to_string()))
    }

    /// Copies what comes, up to what was asked for.
    fn copy(
        &self,
        response: Response<Body>,
        mut file: File,
        from: u64,
        to: u64,
        progress: impl Fn(u64) -> Result<(), AnyError>,
    ) -> Result<(), Failure> {
        let mut body = response.into_body().into_reader().take(to + 1 - from);
        let mut buffer = vec![0; 64 * 1024];
        let mut length = from;
        loop {
            let count = match body.read(&mut buffer) {
                Ok(0) if length == to + 1 => return Ok(()),
                Ok(0) => return Err(Failure::Transient("the server sent too little".to_owned())),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failure::Transient(error.to_string())),
            };
            let written = self.disk.write(&mut file, &buffer[..count]);
            written.map_err(Failure::of_disk)?;
            length += count as u64;
            let is_wanted = self.job.check().map_err(AnyError::from);
            let told = is_wanted.and_then(|()| progress(length));
            told.map_err(|error| Failure::Transient(error.to_string()))?;
        }
    }
}

impl Failure {
    /// The disk says no. (A full disk is not mended by asking the server once more.)
    fn of_disk(error: io::Error) -> Self {
        Self::Permanent(format!("the download can't be written: {error}"))
    }
}
