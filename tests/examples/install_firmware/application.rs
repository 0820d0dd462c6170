//! The firmware itself: a program that runs as long as its standard input is open, tells its version
//! (`--version`) and tests itself (`--self-test`).

use std::fs::{self, File};
use std::io::{self, ErrorKind, Seek};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long it may take to tell its version.
const VERSION_LIMIT: Duration = Duration::from_secs(10);

/// Makes a file one that can be started.
pub fn make_executable(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let _ = path;
    Ok(())
}

/// Starts it. It ends when the handle is dropped, or this process ends in whatever way.
pub fn start(path: &Path) -> io::Result<Child> {
    spawn(Command::new(absolute(path)?).stdin(Stdio::piped()))
}

/// The version that it tells.
///
/// # Errors
/// If it does not, in words for the cloud.
pub fn version(path: &Path) -> Result<String, String> {
    let output = run(path, "--version", VERSION_LIMIT)?;
    let first = output.lines().next().unwrap_or_default();
    let last = first.split_whitespace().next_back(); // `jobs-mqtt5 0.1.0` is a way to say it
    Ok(last.unwrap_or_default().to_owned())
}

/// Has it test itself.
///
/// # Errors
/// If it fails, crashes, or has not ended in time: what it said last, in words for the cloud.
pub fn self_test(path: &Path, limit: Duration) -> Result<(), String> {
    run(path, "--self-test", limit).map(drop)
}

/// Runs it with this argument, and returns what it wrote.
fn run(path: &Path, argument: &str, limit: Duration) -> Result<String, String> {
    let failed = |error: io::Error| format!("it can't be started: {error}");
    // A file, not a pipe: whoever writes much is not held up.
    let mut output = tempfile::tempfile().map_err(failed)?;
    let both = || output.try_clone().map_err(failed);
    let mut command = Command::new(absolute(path).map_err(failed)?);
    command.arg(argument).stdin(Stdio::null());
    command.stdout(both()?).stderr(both()?);
    let mut child = spawn(&mut command).map_err(failed)?;
    let ended = end(&mut child, limit).map_err(failed)?;
    let said = read(&mut output).map_err(failed)?;
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    let last = last
        .map(|line| format!(": {}", line.trim()))
        .unwrap_or_default();
    match ended {
        Some(status) if status.success() => Ok(said),
        Some(status) => Err(format!("{argument} ended with {status}{last}")),
        None => Err(format!("{argument} did not end within {limit:?}{last}")),
    }
}

/// Waits until it ends. `None` if it has not by then, and was ended.
fn end(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() >= limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        sleep(Duration::from_millis(10));
    }
}

/// What it wrote, as far as somebody may want to read it.
fn read(output: &mut File) -> io::Result<String> {
    let mut said = Vec::new();
    output.rewind()?;
    io::Read::read_to_end(&mut io::Read::take(output, 64 * 1024), &mut said)?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// Starts a process. A file that was just written is busy for a moment, if another thread starts a
/// process meanwhile: that one has the open file until it has become another program.
fn spawn(command: &mut Command) -> io::Result<Child> {
    for _ in 0..100 {
        match command.spawn() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                sleep(Duration::from_millis(10));
            }
            started => return started,
        }
    }
    command.spawn()
}

/// A name without a folder would be looked for in `PATH`.
fn absolute(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(path)
}
