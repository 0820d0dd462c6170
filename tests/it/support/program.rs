//! The program as a process.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::{Captured, within};

/// Where the program with the simulated work is: `cargo test` builds it beside the one that a reader
/// may have put work of their own into.
pub fn program_path() -> PathBuf {
    example_path("simulated")
}

/// Where an example is, as a program.
pub fn example_path(name: &str) -> PathBuf {
    let beside = Path::new(env!("CARGO_BIN_EXE_jobs-mqtt5"));
    let name = format!("examples/{name}{}", std::env::consts::EXE_SUFFIX);
    let path = beside.with_file_name(name);
    assert!(
        path.is_file(),
        "{} is missing: run `cargo build --examples`",
        path.display()
    );
    path
}

/// The program, running.
pub struct Program {
    child: Child,
    pub out: Captured,
    pub err: Captured,
    readers: [JoinHandle<()>; 2],
    _told_if_the_test_fails: LastWords,
}

/// What a program has said on its streams: shown where a test fails that had it.
struct LastWords([Captured; 2]);

impl Drop for LastWords {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let [out, err] = &self.0;
            eprintln!(
                "What the program said:\n{}\nand:\n{}",
                out.text(),
                err.text()
            );
        }
    }
}

/// What is left of it.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Program {
    pub fn start(flags: &[String]) -> Self {
        let mut command = Command::new(program_path());
        command.args(flags);
        Self::start_command(command)
    }

    /// Starts one of the worked examples.
    pub fn start_example(name: &str, flags: &[String]) -> Self {
        let mut command = Command::new(example_path(name));
        command.args(flags);
        Self::start_command(command)
    }

    pub fn start_command(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (out, err) = (Captured::new("stdout"), Captured::new("stderr"));
        let readers = [
            tokio::spawn(copy(child.stdout.take().unwrap(), out.clone())),
            tokio::spawn(copy(child.stderr.take().unwrap(), err.clone())),
        ];
        Self {
            child,
            _told_if_the_test_fails: LastWords([out.clone(), err.clone()]),
            out,
            err,
            readers,
        }
    }

    /// Waits until it ends.
    pub async fn end(mut self) -> Ended {
        let status = within(self.child.wait()).await.unwrap();
        for reader in self.readers {
            within(reader).await.unwrap();
        }
        Ended {
            code: status.code(),
            out: self.out.text(),
            err: self.err.text(),
        }
    }

    /// The most memory that it ever had, in KiB, without the pages of the program file: those of a
    /// build for tests are many times more than those on a device.
    #[cfg(target_os = "linux")]
    pub fn peak_memory_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.id());
        let status = std::fs::read_to_string(path).unwrap();
        let field = |name: &str| -> u64 {
            let mut lines = status.lines();
            let line = lines.find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse().unwrap()
        };
        field("VmHWM:") - field("RssFile:")
    }

    /// Its process ID.
    #[cfg(unix)]
    pub fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Ends it at once, without a word to it.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Sends it a signal by its name (INT, TERM).
    #[cfg(unix)]
    pub async fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let status = Command::new("kill")
            .args(["-s", name, &id])
            .status()
            .await
            .unwrap();
        assert!(status.success());
    }

    /// Stops its process in whatever it does, until it is sent CONT.
    #[cfg(unix)]
    pub async fn freeze(&self) {
        self.signal("STOP").await;
        let id = self.id().to_string();
        let stands_still = async || {
            let state = Command::new("ps")
                .args(["-o", "state=", "-p", &id])
                .output();
            state.await.unwrap().stdout.starts_with(b"T")
        };
        within(async { while !stands_still().await {} }).await;
    }

    /// Sends a signal to it and to the processes it has started.
    #[cfg(unix)]
    pub async fn signal_group(&self, name: &str) {
        let group = format!("-{}", self.id());
        let status = Command::new("kill")
            .args(["-s", name, "--", &group])
            .status()
            .await
            .unwrap();
        assert!(status.success());
    }

    /// Interrupts it, and waits until it has ended.
    #[cfg(unix)]
    pub async fn interrupt(self) -> Ended {
        self.signal("INT").await;
        self.end().await
    }
}

async fn copy(mut from: impl AsyncRead + Unpin, to: Captured) {
    let mut buffer = [0; 8192];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        to.push(&String::from_utf8_lossy(&buffer[..count]));
    }
}
