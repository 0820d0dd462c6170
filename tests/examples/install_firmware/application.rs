//! The firmware itself: a program that runs as long as its standard input is open, says what it is
//! (`--version`, for instance `thermostat 1.4.2`) and tests itself (`--self-test`).

use std::fs::{self, File};
use std::io::{self, ErrorKind, PipeReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use super::document::parts;
use super::durable::set_mode;

/// How long it may take to say what it is, and to end when it is to.
const LIMIT: Duration = Duration::from_secs(10);
/// How long the rest of its output may take to come, once it has ended.
const OUTPUT_LIMIT: Duration = Duration::from_secs(5);
/// How long it rests after it has ended by itself.
const PAUSE: Duration = Duration::from_secs(1);
/// How often it is looked whether it has ended: the application, and what is to end soon.
const LOOK: Duration = Duration::from_millis(100);
const TICK: Duration = Duration::from_millis(10);
/// So much of what it writes is kept: the end.
const KEPT: usize = 4096;

/// The application, which is started again when it ends. Dropped, it is ended, and that is waited for.
pub struct Application {
    /// Keeps it running, until there is no more sender.
    keeper: Option<(Sender<()>, JoinHandle<()>)>,
    /// How it ended first, if it has ever ended by itself.
    pub first_end: Arc<OnceLock<String>>,
}

impl Application {
    /// Starts it. It ends when this process does, in whatever way: its standard input is closed then.
    pub fn start(path: &Path) -> io::Result<Self> {
        // (A name without a folder would be looked for in `PATH`.)
        let mut command = Command::new(fs::canonicalize(path)?);
        command.stdin(Stdio::piped());
        let child = spawn(&mut command)?;
        let (stop, is_to_stop) = mpsc::channel();
        let first_end = Arc::new(OnceLock::new());
        let noted = Arc::clone(&first_end);
        let keeper = thread::spawn(move || keep(command, child, &is_to_stop, &noted));
        Ok(Self {
            keeper: Some((stop, keeper)),
            first_end,
        })
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        if let Some((stop, keeper)) = self.keeper.take() {
            drop(stop);
            let _ = keeper.join();
        }
    }
}

/// Keeps the application running until it is to stop.
fn keep(mut command: Command, mut child: Child, stop: &Receiver<()>, noted: &OnceLock<String>) {
    while stop.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
        let Ok(Some(status)) = child.try_wait() else {
            continue;
        };
        eprintln!("The application ended with {status}. It is started again.");
        let _ = noted.set(status.to_string());
        if stop.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
            match spawn(&mut command) {
                Ok(again) => child = again,
                Err(error) => eprintln!("The application can't be started: {error}."),
            }
        }
    }
    drop(child.stdin.take());
    let _ = end(&mut child, LIMIT);
}

/// Makes a file one that can be started.
pub fn make_executable(path: &Path) -> io::Result<()> {
    set_mode(&File::open(path)?, 0o755)
}

/// What it says it is: `thermostat 1.4.2`. If it does not, why, in words for the cloud.
pub fn name(path: &Path) -> Result<String, String> {
    let said = run(path, "--version", LIMIT)?;
    let name = said.lines().last().filter(|name| parts(name).is_some());
    let name = name.ok_or("--version does not say a product and a version like 1.4.2")?;
    Ok(name.to_owned())
}

/// Runs it with this argument (`--self-test`), and returns what it wrote: the end of that. If it fails,
/// crashes, or has not ended in time, the error is what it said last, in words for the cloud.
pub fn run(path: &Path, argument: &str, limit: Duration) -> Result<String, String> {
    let failed = |error: io::Error| {
        let advice = match error.kind() {
            ErrorKind::PermissionDenied => ": is its folder mounted noexec?",
            _ => "",
        };
        format!("{} can't be started: {error}{advice}", path.display())
    };
    let (reader, writer) = io::pipe().map_err(failed)?;
    let mut command = Command::new(fs::canonicalize(path).map_err(failed)?);
    command.arg(argument).stdin(Stdio::null());
    command.stdout(writer.try_clone().map_err(failed)?);
    command.stderr(writer);
    let mut child = spawn(&mut command).map_err(failed)?;
    drop(command); // and with it our end of the pipe
    let output = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&output);
    let reading = thread::spawn(move || keep_end(reader, &kept));
    let ended = end(&mut child, limit).map_err(failed)?;
    // What it has started and left behind may keep the pipe open: that is not waited for.
    let start = Instant::now();
    while !reading.is_finished() && start.elapsed() < OUTPUT_LIMIT {
        sleep(TICK);
    }
    let output = output.lock().unwrap_or_else(PoisonError::into_inner);
    let said = String::from_utf8_lossy(&output).trim().to_owned();
    let how = match ended {
        Some(status) if status.success() => return Ok(said),
        Some(status) => format!("ended with {status}"),
        None => format!("did not end within {limit:?}"),
    };
    let last = said.lines().last().map(|line| format!(": {}", line.trim()));
    Err(format!("{argument} {how}{}", last.unwrap_or_default()))
}

/// Keeps the end of what comes.
fn keep_end(mut output: PipeReader, kept: &Mutex<Vec<u8>>) {
    let mut buffer = [0; KEPT];
    while let Ok(count @ 1..) = output.read(&mut buffer) {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(&buffer[..count]);
        let too_much = kept.len().saturating_sub(KEPT);
        kept.drain(..too_much);
    }
}

/// Waits until it ends. `None` if it has not by then, and was ended.
fn end(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    while start.elapsed() < limit {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        sleep(TICK);
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

/// Starts a process. A file that was just written is busy for a moment, if another thread starts a
/// process meanwhile: that one has the open file until it has become another program.
fn spawn(command: &mut Command) -> io::Result<Child> {
    for _ in 0..100 {
        match command.spawn() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => sleep(TICK),
            started => return started,
        }
    }
    command.spawn()
}
