//! The worked example `install_firmware`: how a job for it ends, and what is on the disk then.

use std::fs;
use std::path::Path;
use std::time::Duration;

use jobs_mqtt5::agent::Job;
use local_iot_core::Status;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::support::{Faults, FileServer, Running, World, within};

mod cut_off;

#[path = "../examples/install_firmware.rs"]
#[allow(dead_code)] // its `main`
mod example;

/// The job.
const JOB: &str = "firmware";

/// A device, the service, and a server that has a firmware for it.
struct Scene {
    world: World,
    folder: TempDir,
    firmware: Vec<u8>,
    server: FileServer,
}

impl Scene {
    async fn with(faults: Faults) -> Self {
        let mut random = fastrand::Rng::with_seed(7);
        let firmware: Vec<u8> = (0..1_000_003).map(|_| random.u8(..)).collect();
        Self {
            world: World::new().await,
            folder: tempfile::tempdir().unwrap(),
            server: FileServer::start(&firmware, faults).await,
            firmware,
        }
    }

    /// A document of a job to install what the server has.
    fn document(&self) -> Value {
        let url = self.server.url();
        json!({
            "operation": "install-firmware",
            "version": "1.4.2",
            "url": format!("${{aws:iot:s3-presigned-url:{url}}}"),
            "size": self.firmware.len(),
            "sha256": sha256(&self.firmware),
        })
    }

    fn create_job(&self, job_id: &str, document: Value) {
        let jobs = self.world.core.jobs();
        jobs.create_job(job_id, document).unwrap();
    }

    /// The work in this process, with short waits.
    fn run(&self) -> Running {
        let mut settings = self.world.settings();
        settings.agent.progress_interval = Duration::from_millis(10);
        let backoff = settings.jobs.backoff.clone();
        let folder = self.folder.path().to_owned();
        self.world.run(settings, async move |job: &Job| {
            example::install(job, &folder, backoff.clone()).await
        })
    }

    /// Has the work do a job, and returns how it ended, and for what reason.
    async fn done(&self, document: Value) -> (Status, String) {
        self.create_job(JOB, document);
        let running = self.run();
        self.ended().await;
        running.stop().await.unwrap();
        let outcome = (self.status(), self.detail("reason"));
        self.world.core.jobs().delete_job(JOB).unwrap(); // so that its name is free again
        outcome
    }

    /// Waits until the job has ended.
    async fn ended(&self) {
        let jobs = self.world.core.jobs();
        within(jobs.wait_until(|books| {
            let job = books.execution(JOB);
            job.is_some_and(|job| job.status.is_terminal())
        }))
        .await;
    }

    fn status(&self) -> Status {
        self.world.core.jobs().execution(JOB).unwrap().status
    }

    fn detail(&self, name: &str) -> String {
        let execution = self.world.core.jobs().execution(JOB).unwrap();
        let detail = execution.status_details.get(name);
        detail.cloned().unwrap_or_default()
    }

    /// The file is installed, whole, and nothing else is left.
    fn is_installed(&self) {
        assert!(
            fs::read(self.path("firmware.bin")).unwrap() == self.firmware,
            "another file"
        );
        assert_eq!(fs::read_to_string(self.path("version")).unwrap(), "1.4.2");
        assert_eq!(files(self.folder.path()), ["firmware.bin", "version"]);
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}

fn sha256(content: &[u8]) -> String {
    format!("{:x}", Sha256::digest(content))
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

#[tokio::test]
async fn it_is_installed_and_the_job_shows_how_far_it_is() {
    let scene = Scene::with(Faults {
        holds: vec![700_000],
        ..Faults::default()
    })
    .await;
    scene.create_job(JOB, scene.document());
    let running = scene.run();
    scene.server.has_struck(1).await;
    let half = |percent: Option<&String>| percent.is_some_and(|percent| percent == "52");
    let jobs = scene.world.core.jobs();
    within(
        jobs.wait_until(|books| half(books.execution(JOB).unwrap().status_details.get("percent"))),
    )
    .await;
    assert_eq!(scene.status(), Status::InProgress);
    scene.server.let_go();
    scene.ended().await;
    running.stop().await.unwrap();
    assert_eq!(scene.status(), Status::Succeeded);
    assert_eq!(
        [scene.detail("version"), scene.detail("percent")],
        ["1.4.2", "100"]
    );
    scene.is_installed();
    let ranges = scene
        .server
        .requests()
        .into_iter()
        .map(|one| (one.from, one.to));
    let pieces = [
        (0, 262_143),
        (262_144, 524_287),
        (524_288, 786_431),
        (786_432, 1_000_002),
    ];
    assert!(ranges.eq(pieces), "it downloads in ranges");
}

#[tokio::test]
async fn a_document_that_it_does_not_understand_is_rejected() {
    let scene = Scene::with(Faults::default()).await;
    for (field, value, reason) in [
        (
            "operation",
            json!("reboot"),
            "unknown variant `reboot`, expected `install-firmware`",
        ),
        ("operation", Value::Null, "invalid type"),
        ("version", json!("1.4"), "version is not like"),
        ("version", json!("1.4.2.1"), "version is not like"),
        ("version", json!("../../1"), "version is not like"),
        ("size", json!(0), "size is 0"),
        ("size", json!(64 * 1024 * 1024 + 1), "or too large"),
        ("size", json!(-1), "invalid value"),
        ("sha256", json!("abc"), "sha256 must have"),
        (
            "url",
            json!("http://example.com/firmware.bin"),
            "url must be https",
        ),
        (
            "url",
            json!("http://127.0.0.1@example.com/"),
            "url must be https",
        ),
        (
            "url",
            json!("http://127.0.0.1.example.com/"),
            "url must be https",
        ),
        (
            "url",
            json!("ftp://127.0.0.1/firmware.bin"),
            "url must be https",
        ),
        ("url", json!("firmware.bin"), "url must be https"),
    ] {
        let mut document = scene.document();
        document[field] = value.clone();
        let (status, said) = scene.done(document).await;
        assert_eq!(status, Status::Rejected, "{field}: {value}");
        assert!(said.contains(reason), "{field}: {value}: {said}");
    }
    assert_eq!(scene.done(json!([])).await.0, Status::Rejected);
    assert_eq!(files(scene.folder.path()), [""; 0]);
    assert_eq!(scene.server.requests(), []);
}

#[tokio::test]
async fn what_is_not_newer_is_rejected() {
    let mut scene = Scene::with(Faults::default()).await;
    assert_eq!(scene.done(scene.document()).await.0, Status::Succeeded);
    let requests = scene.server.requests().len();
    for version in ["1.4.1", "1.3.10", "0.9.9"] {
        let mut document = scene.document();
        document["version"] = json!(version);
        let (status, reason) = scene.done(document).await;
        assert_eq!(status, Status::Rejected);
        assert_eq!(reason, format!("{version} is not newer than 1.4.2"));
    }
    let mut other = scene.document();
    other["sha256"] = json!(sha256(b"other content, and the same version"));
    assert_eq!(scene.done(other).await.0, Status::Rejected);
    assert_eq!(
        scene.server.requests().len(),
        requests,
        "nothing is downloaded"
    );
    scene.is_installed();

    scene.firmware.reverse();
    scene.server = FileServer::start(&scene.firmware, Faults::default()).await;
    let mut newer = scene.document();
    newer["version"] = json!("1.10.0");
    assert_eq!(scene.done(newer).await.0, Status::Succeeded);
    assert!(fs::read(scene.path("firmware.bin")).unwrap() == scene.firmware);
    assert_eq!(fs::read_to_string(scene.path("version")).unwrap(), "1.10.0");
}

#[tokio::test]
async fn what_an_earlier_run_installed_and_could_not_report_is_not_downloaded_again() {
    let scene = Scene::with(Faults::default()).await;
    fs::write(scene.path("version"), "1.4.1").unwrap();
    fs::write(scene.path("firmware.bin"), &scene.firmware).unwrap(); // and then the power failed
    for _ in 0..2 {
        let (status, _) = scene.done(scene.document()).await;
        assert_eq!(status, Status::Succeeded);
        scene.is_installed();
    }
    assert_eq!(scene.server.requests(), []);
}

/// Has the job fail, with the firmware that was there before left alone.
async fn fails(scene: &Scene, document: Value, reason: &str) {
    fs::write(scene.path("version"), "1.4.1").unwrap();
    fs::write(scene.path("firmware.bin"), "the old one").unwrap();
    let (status, said) = scene.done(document).await;
    assert_eq!(status, Status::Failed, "{said}");
    assert!(said.contains(reason), "{said}");
    assert_eq!(
        fs::read(scene.path("firmware.bin")).unwrap(),
        b"the old one"
    );
    assert_eq!(fs::read_to_string(scene.path("version")).unwrap(), "1.4.1");
    assert_eq!(files(scene.folder.path()), ["firmware.bin", "version"]);
}

#[tokio::test]
async fn a_wrong_hash_is_failed() {
    let scene = Scene::with(Faults::default()).await;
    let mut document = scene.document();
    document["sha256"] = json!(sha256(b"another file"));
    let reason = format!("the file's SHA-256 is {}", sha256(&scene.firmware));
    fails(&scene, document, &reason).await;
    assert_eq!(scene.server.requests().len(), 4, "the whole file, once");
}
