//! The worked example `install_firmware`: how a job for it ends, and what is on the disk then. The
//! firmware is a shell script with a megabyte of noise behind it.
#![cfg(unix)]

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use jobs_mqtt5::agent::Job;
use jobs_mqtt5::mqtt::Backoff;
use local_iot_core::{JobExecution, Status};
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::EncodePublicKey;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::task::spawn_blocking;

use crate::support::{
    Faults, FileServer, Program, Running, World, eventually, example_path, faulty_disk_for, within,
};

mod boot;
mod checked;
mod cut_off;
mod deploy;
mod every_step;
mod good_half;
mod trial;

#[path = "../examples/install_firmware/main.rs"]
#[allow(dead_code)] // its `main`
mod example;

use example::device::{Device, Times};
use example::durable::{Disk, RealDisk};
use example::slots::{Slots, State, Update};
use example::trial::{After, judge};

faulty_disk_for!(crate::install_firmware::example::durable::Disk);

/// The job.
const JOB: &str = "firmware";
/// How many bytes a firmware has.
const SIZE: usize = 1_000_003;

/// A device with firmware 1.4.1 in slot a, the service, and a server that has another firmware for it.
struct Scene {
    world: World,
    folder: TempDir,
    firmware: Vec<u8>,
    server: FileServer,
    proxy: Option<ureq::Proxy>,
    patience: Duration,
}

/// A firmware of this version; its self-test is this command.
fn firmware(version: &str, self_test: &str) -> Vec<u8> {
    firmware_that(
        &format!("thermostat {version}"),
        self_test,
        "exec cat > /dev/null",
    )
}

/// A firmware of this name, which tests itself and runs by these commands.
fn firmware_that(name: &str, self_test: &str, runs: &str) -> Vec<u8> {
    let script = format!(
        "#!/bin/sh\ncase \"$1\" in\n--version) echo {name} ;;\n--self-test) {self_test} ;;\n\
         *) {runs} ;;\nesac\nexit\n"
    );
    let mut random = fastrand::Rng::with_seed(7);
    let noise = (script.len()..SIZE).map(|_| random.u8(..));
    script.bytes().chain(noise).collect()
}

/// One of the keys that sign firmware.
fn signing_key(number: u8) -> SigningKey {
    SigningKey::from_slice(&[number; 32]).unwrap()
}

/// What `openssl dgst -sha256 -sign` would make of this.
fn signature(key: &SigningKey, content: &[u8]) -> String {
    let signature: Signature = key.sign_prehash(&Sha256::digest(content)).unwrap();
    BASE64_STANDARD.encode(signature.to_der())
}

impl Scene {
    async fn with(faults: Faults) -> Self {
        Self::with_firmware(firmware("1.4.2", "true"), faults).await
    }

    async fn with_firmware(firmware: Vec<u8>, faults: Faults) -> Self {
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
    fn document(&self) -> Value {
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

    fn create_job(&self, document: Value) {
        let jobs = self.world.core.jobs();
        jobs.create_job(JOB, document).unwrap();
    }

    /// Starts the device in this process, with short times: what main.rs does.
    async fn run(&self) -> Running {
        let device = self.judged_device().await;
        let mut settings = self.world.settings();
        settings.agent.progress_interval = Duration::from_millis(10);
        let (shared, proxy) = (Arc::new(device), self.proxy.clone());
        self.world.run(settings, async move |job: &Job| {
            example::install(job, &shared, proxy.clone()).await
        })
    }

    /// A device that has started, and whose trial has ended, if there was one.
    async fn judged_device(&self) -> Device {
        let times = Times {
            self_test: Duration::from_secs(20),
            first_seconds: Duration::from_millis(100),
            patience: self.patience,
            backoff: Backoff::new(Duration::from_millis(1), Duration::from_millis(2)),
        };
        let slots = self.slots().await;
        let started = spawn_blocking(move || Device::start(slots, None, times));
        let mut device = started.await.unwrap();
        let (jobs, mqtt) = self.world.jobs_client();
        let judged = within(judge(&mut device, &jobs)).await.unwrap();
        assert_eq!(judged, After::NextJob);
        mqtt.disconnect();
        device
    }

    /// Has the device do a job, and restart if it wants to. Returns how the job ended, and why.
    async fn done(&self, document: Value) -> (Status, String) {
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

    /// Starts the device as a program.
    fn start(&self) -> Program {
        self.start_with(|_| ())
    }

    fn start_with(&self, set: impl FnOnce(&mut Command)) -> Program {
        let mut command = Command::new(example_path("install_firmware"));
        command.args(self.world.flags(&[]));
        command.env("FIRMWARE_FOLDER", self.folder.path());
        command
            .env("SELF_TEST_SECONDS", "2")
            .env("FIRST_SECONDS", "1");
        set(&mut command);
        Program::start_command(command)
    }

    async fn reaches(&self, is_there: impl Fn(&JobExecution) -> bool) {
        let jobs = self.world.core.jobs();
        within(jobs.wait_until(|books| books.execution(JOB).is_some_and(&is_there))).await;
    }

    /// Waits until the job has ended.
    async fn ended(&self) -> JobExecution {
        self.world.ended(JOB).await
    }

    fn job(&self) -> JobExecution {
        self.world.core.jobs().execution(JOB).unwrap()
    }

    /// The slots, when the run before has let go of them.
    async fn slots(&self) -> Slots {
        opened(self.folder.path(), Arc::new(RealDisk)).await
    }

    /// How things stand on the disk.
    fn boot(&self) -> State {
        state_in(self.folder.path())
    }

    /// Waits until the update is settled on the disk.
    async fn settles(&self) {
        eventually(|| self.boot().update == Update::Settled).await;
    }

    /// The firmware is installed, whole, and nothing is left of the way there.
    fn is_installed(&self) {
        let boot = self.boot();
        assert_eq!((boot.active, &boot.update), ("b", &Update::Settled));
        assert!(
            fs::read(self.path("b")).unwrap() == self.firmware,
            "another file"
        );
        assert_eq!(self.slots_and_parts(), ["a", "b", "boot", "lock"]);
    }

    /// The firmware that was there before is the one that is started.
    fn is_as_before(&self) {
        assert_eq!(self.boot().active, "a");
        assert!(!matches!(self.boot().update, Update::Trial { .. }));
        assert!(fs::read(self.path("a")).unwrap() == firmware("1.4.1", "true"));
        assert!(!self.path("part").exists());
    }

    /// The files of the device, apart from its keys.
    fn slots_and_parts(&self) -> Vec<String> {
        let mut names = files(self.folder.path());
        names.retain(|name| !name.ends_with(".pem"));
        names
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// The child processes of a process, zombies as well.
#[cfg(target_os = "linux")]
fn children(id: u32) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{id}/task")).unwrap();
    let paths = threads.map(|thread| thread.unwrap().path().join("children"));
    let children = paths.flat_map(fs::read_to_string); // a thread may have ended
    let children: String = children.collect();
    children.split_whitespace().map(str::to_owned).collect()
}

/// The slots in a folder, when whoever had them before has let go of them.
async fn opened(folder: &Path, disk: Arc<dyn Disk>) -> Slots {
    let open = async {
        loop {
            match Slots::open(folder, disk.clone()) {
                Ok(slots) => return slots,
                Err(error) if error.kind() == ErrorKind::ResourceBusy => {}
                Err(error) => panic!("{error}"),
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    within(open).await
}

/// How things stand in a folder.
fn state_in(folder: &Path) -> State {
    State::read(&fs::read_to_string(folder.join("boot")).unwrap_or_default())
}

/// What is in a folder, in order.
fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Has the job end so before anything is put into a slot.
async fn ends(scene: &Scene, document: Value, expected: Status, reason: &str) {
    let (status, said) = scene.done(document).await;
    assert_eq!(status, expected, "{said}");
    assert!(said.contains(reason), "{said}");
    scene.is_as_before();
    assert_eq!(scene.slots_and_parts(), ["a", "boot", "lock"]);
}

#[tokio::test]
async fn it_is_installed_and_the_job_shows_how_far_it_is() {
    let scene = Scene::with(Faults {
        holds: vec![700_000],
        ..Faults::default()
    })
    .await;
    scene.create_job(scene.document());
    let running = scene.run().await;
    scene.server.has_struck(1).await;
    let shows = |job: &JobExecution, name: &str, value: &str| {
        job.status_details.get(name).is_some_and(|it| it == value)
    };
    scene.reaches(|job| shows(job, "percent", "69")).await;
    assert_eq!(scene.job().status, Status::InProgress);
    assert!(shows(&scene.job(), "step", "downloading"));
    running.out.wait_for("percent:69").await; // it is seen on the device as well
    scene.server.let_go();
    scene.reaches(|job| shows(job, "step", "restarting")).await;
    running.end().await.unwrap();
    assert_eq!(
        scene.job().status,
        Status::InProgress,
        "it has not proved itself"
    );
    assert_eq!(scene.boot().active, "b");

    let running = scene.run().await;
    let job = scene.job();
    running.stop().await.unwrap();
    assert_eq!(job.status, Status::Succeeded, "it was judged before");
    for (name, value) in [
        ("step", "running"),
        ("version", "1.4.2"),
        ("percent", "100"),
    ] {
        assert!(shows(&job, name, value), "{:?}", job.status_details);
    }
    scene.is_installed();
    let requests = scene.server.requests();
    let ranges = requests.into_iter().map(|one| (one.from, one.to));
    let pieces = [
        (0, 262_143),
        (262_144, 524_287),
        (524_288, 786_431),
        (786_432, 1_000_002),
    ];
    assert!(ranges.eq(pieces), "it downloads in ranges");
}
