//! The service, and devices that connect to it.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use local_iot_core::{Event, Files, KeyForm, LocalIotCore, Options, Status};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::process::{Program, Reading};

/// How long a device may take for what takes no time: starting, connecting, a few jobs.
pub const LIMIT: Duration = Duration::from_secs(30);

/// A device that has its replies, and does nothing for this long, has nothing left to do.
const QUIET: Duration = Duration::from_millis(300);

/// How often to look whether a program that is waited for still runs.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What a device is to trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// `--ca_file`
    CaFile,
    /// The system's trust store: everything in it, and the service's CA.
    System,
}

/// AWS IoT Core on this machine, with the files that a device needs to connect to it.
pub struct World {
    pub core: LocalIotCore,
    /// Where devices connect to.
    pub port: u16,
    files: Files,
    folder: TempDir,
}

impl World {
    /// A service at the end of a line with this latency (one way), with this number of jobs queued.
    pub async fn new(latency: Duration, jobs: usize) -> Result<Self, String> {
        let options = Options {
            latency,
            ..Options::default()
        };
        Self::with(options, jobs).await
    }

    /// A service with these options, and this number of jobs queued.
    pub async fn with(options: Options, jobs: usize) -> Result<Self, String> {
        let made = async {
            let core = LocalIotCore::start(options).await?;
            let folder = tempfile::tempdir()?;
            Ok(Self {
                port: core.port(),
                files: core.pki().write_to(folder.path())?,
                core,
                folder,
            })
        };
        let made = made.await;
        let world =
            made.map_err(|error: io::Error| format!("the service can't be started: {error}"))?;
        world.create_jobs(0..jobs)?;
        Ok(world)
    }

    /// Queues a job for each number.
    pub fn create_jobs(&self, numbers: Range<usize>) -> Result<(), String> {
        for job in numbers {
            let made = self
                .core
                .jobs()
                .create_job(&format!("job-{job}"), json!({ "do": job }));
            made.map_err(|error| format!("a job can't be created: {error}"))?;
        }
        Ok(())
    }

    /// Gives the devices a certificate for another form of key.
    pub fn give_key(&mut self, form: KeyForm) -> io::Result<()> {
        let pki = self.core.pki();
        self.files = pki.write_identity(&pki.device_with(form)?, self.folder.path())?;
        Ok(())
    }

    /// Starts a program as a device of this world.
    pub fn start(&self, program: &Program, trust: Trust) -> Result<Device, String> {
        let told = self.folder.path().join("stderr.txt");
        self.spawn(program, trust, told)
            .map_err(|error| format!("{} can't be started: {error}", program.command[0]))
    }

    fn spawn(&self, program: &Program, trust: Trust, told: PathBuf) -> io::Result<Device> {
        let mut command = Command::new(program.path());
        command
            .args(&program.command[1..])
            .args(["--endpoint", self.core.endpoint()])
            .args(["--port", &self.port.to_string()])
            .args(["--thing_name", self.core.thing_name()])
            .args(["--client_id", "test-cost", "--job_time", "0"])
            .arg("--cert")
            .arg(&self.files.cert)
            .arg("--key")
            .arg(&self.files.key);
        match trust {
            Trust::CaFile => command.arg("--ca_file").arg(&self.files.ca),
            Trust::System => self.add_to_system(&mut command)?,
        };
        command
            .env_remove("LD_LIBRARY_PATH") // cargo's: to search its folders would cost the program time
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&told)?);
        let started = Instant::now();
        let child = command.spawn()?;
        Ok(Device {
            child,
            started,
            told,
        })
    }

    /// Lets a program find the system's trust store as it is, with the service's CA in it as well.
    fn add_to_system<'a>(&self, command: &'a mut Command) -> io::Result<&'a mut Command> {
        let system = openssl_probe::probe();
        let bundle = self.folder.path().join("system.pem");
        let mut certificates = match &system.cert_file {
            Some(file) => fs::read(file)?,
            None => Vec::new(),
        };
        certificates.extend(fs::read(&self.files.ca)?);
        fs::write(&bundle, certificates)?;
        let folders = std::env::join_paths(&system.cert_dir).map_err(io::Error::other)?;
        Ok(command
            .env("SSL_CERT_FILE", bundle)
            .env("SSL_CERT_DIR", folders))
    }

    /// Waits until this number of jobs, if any, is SUCCEEDED.
    pub async fn succeeded(
        &self,
        device: &mut Device,
        jobs: usize,
        limit: Duration,
    ) -> Result<(), String> {
        if jobs == 0 {
            return Ok(());
        }
        let done = self.core.journal().wait_for_count(jobs, is_success);
        let what = format!("{jobs} SUCCEEDED");
        device.wait_for(&what, limit, done).await.map(drop)
    }

    /// Waits until the device has asked for jobs and has nothing left to do.
    pub async fn settled(&self, device: &mut Device) -> Result<(), String> {
        let journal = self.core.journal();
        let accepted = journal.wait_for(is_accepted);
        device
            .wait_for("request that was accepted", LIMIT, accepted)
            .await?;
        while timeout(QUIET, journal.wait_for_more(journal.len()))
            .await
            .is_ok()
        {}
        Ok(())
    }

    /// When each job succeeded, the earliest first.
    pub fn successes(&self) -> Vec<Instant> {
        let entries = self.core.journal().entries();
        let successes = entries.iter().filter(|entry| is_success(&entry.event));
        successes.map(|entry| entry.at).collect()
    }
}

/// Whether this is a job that became SUCCEEDED.
pub fn is_success(event: &Event) -> bool {
    matches!(
        event,
        Event::StateChange {
            to: Status::Succeeded,
            ..
        }
    )
}

/// Whether this is the reply to a request that the service accepts. (An event that comes unasked is
/// written down as a reply as well.)
pub fn is_accepted(event: &Event) -> bool {
    matches!(event, Event::Reply { topic, .. } if topic.ends_with("/accepted"))
}

/// A program that runs as a device. It is killed when this is dropped.
pub struct Device {
    child: Child,
    /// Just before it was started.
    pub started: Instant,
    /// Where its stderr goes.
    told: PathBuf,
}

impl Device {
    /// What the system tells about it now.
    pub fn reading(&self) -> Reading {
        Reading::of(self.child.id())
    }

    /// Waits for something that the device has to do.
    ///
    /// # Errors
    /// In words, if it takes longer than the limit, or the program ends.
    pub async fn wait_for<T>(
        &mut self,
        what: &str,
        limit: Duration,
        done: impl Future<Output = T>,
    ) -> Result<T, String> {
        let mut done = pin!(done);
        let begun = Instant::now();
        loop {
            if let Ok(done) = timeout(LOOK_EVERY, &mut done).await {
                return Ok(done);
            }
            let told = fs::read_to_string(&self.told).unwrap_or_default();
            let last = told.lines().last().unwrap_or_default();
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("no {what}: it ended ({status}). {last}"));
            }
            if begun.elapsed() >= limit {
                return Err(format!("no {what} in {} s. {last}", limit.as_secs()));
            }
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The one in the middle, if there is one.
pub fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}
