//! A program, and what the system tells about it while it runs.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::arguments::CommandLine;

/// A program that does jobs.
pub struct Program {
    /// How it is called in the table.
    pub name: String,
    /// What starts it; the flags follow.
    pub command: Vec<String>,
}

impl Program {
    /// The one that cargo has built for this benchmark.
    pub fn ours() -> Self {
        Self {
            name: "jobs-mqtt5".to_owned(),
            command: vec![env!("CARGO_BIN_EXE_jobs-mqtt5").to_owned()],
        }
    }

    /// The one of `--against`.
    pub fn other(CommandLine(command): CommandLine) -> Self {
        let last = command.last().map(String::as_str).unwrap_or_default();
        let file = Path::new(last).file_name().unwrap_or_default();
        Self {
            name: file.to_string_lossy().into_owned(),
            command,
        }
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        Path::new(&self.command[0])
    }
}

/// What Linux tells about a running process in `/proc`. Other systems tell nothing there.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Processor time so far, in its own code and in the kernel's.
    pub cpu: Option<Duration>,
    /// Bytes of memory that it has now.
    pub resident: Option<u64>,
    /// The most bytes of memory that it ever had.
    pub peak: Option<u64>,
    /// How often it has gone to sleep, so far: as often as something has woken it.
    pub wakeups: Option<u64>,
}

/// Why a reading has nothing in it.
pub const NOT_TOLD: &str = "only Linux tells it, in /proc";

impl Reading {
    /// The figures of a process as they are now.
    pub fn of(process: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let kibibytes = |name| field(&status, name).map(|number| number * 1024);
        Self {
            cpu: cpu_in_ticks(process).max(cpu_in_nanoseconds(process)),
            resident: kibibytes("VmRSS:"),
            peak: kibibytes("VmHWM:"),
            wakeups: in_threads(process, "status")
                .iter()
                .map(|status| field(status, "voluntary_ctxt_switches:"))
                .reduce(sum)
                .flatten(),
        }
    }
}

fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    Some(one? + other?)
}

/// The number behind a name in `/proc/PID/status`.
fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Processor time in ticks of 10 ms. It includes threads that have ended.
fn cpu_in_ticks(process: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name of the program may have spaces in it; it ends with the last bracket.
    let mut behind_name = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = behind_name.next()?.parse().ok()?;
    let system: u64 = behind_name.next()?.parse().ok()?;
    Some(Duration::from_millis(10 * (user + system)))
}

/// Processor time to the nanosecond. It leaves out threads that have ended.
fn cpu_in_nanoseconds(process: u32) -> Option<Duration> {
    let of_thread = |stat: &String| stat.split_whitespace().next()?.parse().ok();
    let total = in_threads(process, "schedstat")
        .iter()
        .map(of_thread)
        .reduce(sum)??;
    Some(Duration::from_nanos(total))
}

/// Processor time that it takes this machine to put a thread to sleep and to wake it, when it sleeps
/// for as long as a publish waits for its turn. (Longer than the same after a short sleep: by then the
/// processor sleeps as well, and has forgotten what the thread needs.)
pub fn cpu_of_a_wakeup() -> Option<Duration> {
    const WAKEUPS: u32 = 200;
    let so_far = || -> Option<u64> {
        let stat = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        stat.split_whitespace().next()?.parse().ok()
    };
    let before = so_far()?;
    for _ in 0..WAKEUPS {
        std::thread::sleep(Duration::from_millis(11));
    }
    Some(Duration::from_nanos(so_far()? - before) / WAKEUPS)
}

/// A file of each thread's.
fn in_threads(process: u32, file: &str) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{process}/task"));
    let files = threads
        .into_iter()
        .flatten()
        .flatten()
        .map(|thread| thread.path().join(file));
    files
        .filter_map(|path| fs::read_to_string(path).ok())
        .collect()
}
