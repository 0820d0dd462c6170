//! The device whose firmware is updated, and the server that has another firmware for it.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jobs_mqtt5::agent::Job;
use jobs_mqtt5::mqtt::Backoff;
use local_iot_core::{JobExecution, Status};
use p256::pkcs8::EncodePublicKey;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::task::spawn_blocking;

use super::example::device::{Device, Times};
use super::example::durable::{Disk, RealDisk};
use super::example::slots::{State, Update};
use super::example::trial::{After, judge};
use super::{JOB, example, files, firmware, opened, signature, signing_key, state_in};
use crate::support::{
    Faults, FileServer, Program, Running, World, eventually, example_path, within,
};

/// A device with firmware 1.4.1 in slot a, the service, and a server that has another firmware for it.
pub(super) struct Scene {
    pub(super) world: World,
    pub(super) folder: TempDir,
    pub(super) firmware: Vec<u8>,
    pub(super) server: FileServer,
    pub(super) proxy: Option<ureq::Proxy>,
    pub(super) patience: Duration,
}

impl Scene {
    pub(super) async fn with(faults: Faults) -> Self {
        Self::with_firmware(firmware("1.4.2", "true"), faults).await
    }

    pub(super) async fn with_firmware(firmware: Vec<u8>, faults: Faults) -> Self {
        let scene = Self {
            world: World::new().await,
            folder: tempfile::tempdir().unwrap(),
            server: FileServer::start(&firmware, faults).await,
            firmware,
            proxy: None,
            patience: Duration::from_secs(20),
        };
        let old = self::firmware("1.4.1", "true");
        fs::write(scene.path("a"), old).unwrap();
        example::application::make_executable(&scene.path("a")).unwrap();
        for number in [1, 2] {
            let key = signing_key(number)
                .verifying_key()
                .to_public_key_pem(Default::default());
            fs::write(
                scene.path(&format!("signing-key-{number}.pem")),
                key.unwrap(),
            )
            .unwrap();
        }
        scene
    }

    /// A document of a job to install what the server has.
    pub(super) fn document(&self) -> Value {
        let url = self.server.url();
        json!({
            "operation": "install-firmware",
            "product": "thermostat",
            "version": "1.4.2",
            "url": format!("${{aws:iot:s3-presigned-url-v2:{url}}}"),
            "size": self.firmware.len(),
            "signature": signature(&signing_key(1), &self.firmware),
        })
    }

    pub(super) fn create_job(&self, document: Value) {
        let jobs = self.world.core.jobs();
        jobs.create_job(JOB, document).unwrap();
    }

    /// Starts the device in this process, with short times: what main.rs does.
    pub(super) async fn run(&self) -> Running {
        self.run_on(Arc::new(RealDisk)).await.0
    }

    /// The same, on this disk. Returns the device as well.
    pub(super) async fn run_on(&self, disk: Arc<dyn Disk>) -> (Running, Arc<Device>) {
        let device = Arc::new(self.judged_device(disk).await);
        let mut settings = self.world.settings();
        settings.agent.progress_interval = Duration::from_millis(10);
        let (shared, proxy) = (Arc::clone(&device), self.proxy.clone());
        let running = self.world.run(settings, async move |job: &Job| {
            example::install(job, &shared, proxy.clone()).await
        });
        (running, device)
    }

    /// A device that has started, and whose trial has ended, if there was one.
    async fn judged_device(&self, disk: Arc<dyn Disk>) -> Device {
        let times = Times {
            self_test: Duration::from_secs(20),
            first_seconds: Duration::from_millis(100),
            patience: self.patience,
            backoff: Backoff::new(Duration::from_millis(1), Duration::from_millis(2)),
        };
        // (When the run before has let go of them.)
        let slots = opened(self.folder.path(), disk).await;
        let started = spawn_blocking(move || Device::start(slots, None, times));
        let mut device = started.await.unwrap();
        let (jobs, mqtt) = self.world.jobs_client();
        let judged = within(judge(&mut device, &jobs)).await.unwrap();
        assert_eq!(judged, After::NextJob);
        mqtt.disconnect();
        device
    }

    /// Has the device do a job, and restart if it wants to. Returns how the job ended, and why.
    pub(super) async fn done(&self, document: Value) -> (Status, String) {
        self.create_job(document);
        let is_restarting = |job: &JobExecution| {
            let step = job.status_details.get("step");
            step.is_some_and(|step| step == "restarting")
        };
        loop {
            let was_restarted = is_restarting(&self.job());
            let running = self.run().await;
            self.reaches(|job| job.status.is_terminal() || !was_restarted && is_restarting(job))
                .await;
            if self.job().status.is_terminal() {
                running.stop().await.unwrap();
                break;
            }
            running.end().await.unwrap();
        }
        let job = self.job();
        self.world.core.jobs().delete_job(JOB).unwrap(); // so that its name is free again
        let reason = job.status_details.get("reason").cloned();
        (job.status, reason.unwrap_or_default())
    }

    /// Has the job succeed in spite of the faults, and returns what was requested: where from.
    pub(super) async fn succeeds(&self) -> Vec<u64> {
        let (status, reason) = self.done(self.document()).await;
        assert_eq!((status, reason.as_str()), (Status::Succeeded, ""));
        self.is_installed();
        self.starts()
    }

    /// Where from the server was asked for the file.
    pub(super) fn starts(&self) -> Vec<u64> {
        let requests = self.server.requests();
        requests.iter().map(|one| one.from).collect()
    }

    /// Starts the device as a program.
    pub(super) fn start(&self) -> Program {
        self.start_with(|_| ())
    }

    pub(super) fn start_with(&self, set: impl FnOnce(&mut Command)) -> Program {
        let mut command = Command::new(example_path("install_firmware"));
        command.args(self.world.flags(&[]));
        command.env("FIRMWARE_FOLDER", self.folder.path());
        command
            .env("SELF_TEST_SECONDS", "2")
            .env("FIRST_SECONDS", "1");
        set(&mut command);
        Program::start_command(command)
    }

    pub(super) async fn reaches(&self, is_there: impl Fn(&JobExecution) -> bool) {
        let jobs = self.world.core.jobs();
        within(jobs.wait_until(|books| books.execution(JOB).is_some_and(&is_there))).await;
    }

    /// Waits until the job has ended.
    pub(super) async fn ended(&self) -> JobExecution {
        self.world.ended(JOB).await
    }

    pub(super) fn job(&self) -> JobExecution {
        self.world.core.jobs().execution(JOB).unwrap()
    }

    /// How things stand on the disk.
    pub(super) fn boot(&self) -> State {
        state_in(self.folder.path())
    }

    /// How often the firmware on trial was started; `None` if there is none.
    pub(super) fn starts_on_trial(&self) -> Option<u32> {
        match self.boot().update {
            Update::Trial { starts, .. } => Some(starts),
            _ => None,
        }
    }

    /// Waits until the update is settled on the disk.
    pub(super) async fn settles(&self) {
        eventually(|| self.boot().update == Update::Settled).await;
    }

    /// The firmware is installed, whole, and nothing is left of the way there.
    pub(super) fn is_installed(&self) {
        let boot = self.boot();
        assert_eq!((boot.active, &boot.update), ("b", &Update::Settled));
        assert!(
            fs::read(self.path("b")).unwrap() == self.firmware,
            "another file"
        );
        assert_eq!(self.slots_and_parts(), ["a", "b", "boot", "lock"]);
    }

    /// The firmware that was there before is the one that is started.
    pub(super) fn is_as_before(&self) {
        assert_eq!(self.boot().active, "a");
        assert!(!matches!(self.boot().update, Update::Trial { .. }));
        assert!(fs::read(self.path("a")).unwrap() == firmware("1.4.1", "true"));
        assert!(!self.path("part").exists());
    }

    /// The files of the device, apart from its keys.
    pub(super) fn slots_and_parts(&self) -> Vec<String> {
        let mut names = files(self.folder.path());
        names.retain(|name| !name.ends_with(".pem"));
        names
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
