//! The worked example `rotate_certificate`, as a program: each way that a rotation ends, and power cuts.

use std::fs;
use std::path::PathBuf;

use base64::{Engine, prelude::BASE64_STANDARD};
use local_iot_core::{Event, Fault, Identity, JobExecution, Pki, Status, Times};
use rcgen::KeyPair;
use serde_json::json;
use tokio::process::Command;

use crate::support::{Program, World, example_path, within};

/// A device with a certificate, and the service.
struct Scene {
    world: World,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new().await;
        Self { world }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.world.folder.path().join("identity").join(name)
    }

    fn start(&self) -> Program {
        self.start_with_cut("")
    }

    /// The device, whose power is to be cut at that place.
    fn start_with_cut(&self, place: &str) -> Program {
        let mut command = Command::new(example_path("rotate_certificate"));
        command.args(self.world.flags(&[]));
        command.env("IDENTITY_FOLDER", self.path(""));
        command.env("CUT_AT", place);
        Program::start_command(command)
    }

    /// Starts the device, and cuts its power there.
    async fn cut_at(&self, place: &str) {
        let device = self.start_with_cut(place);
        device.out.wait_for(&format!("cut: {place}")).await;
        device.kill().await;
        self.is_well_kept();
    }

    /// No file is open to others, and the key is nowhere but here.
    fn is_well_kept(&self) {
        for entry in fs::read_dir(self.path("")).unwrap() {
            let path = entry.unwrap().path();
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                let mode = fs::metadata(&path).unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o600, "{}", path.display());
            }
            if path.file_name().unwrap() != "refused.txt" {
                let text = fs::read_to_string(&path).unwrap();
                assert!(
                    text.contains("PRIVATE KEY"),
                    "{} is not whole",
                    path.display()
                );
            }
        }
    }

    fn ask_for_a_key(&self) {
        let jobs = self.world.core.jobs();
        jobs.create_job("key", json!({"operation": "make-key"}))
            .unwrap();
    }

    /// Creates the second job, with this certificate.
    fn bring(&self, certificate: &str) {
        let document = json!({"operation": "install-certificate", "certificate": certificate});
        self.world
            .core
            .jobs()
            .create_job("certificate", document)
            .unwrap();
    }

    /// The signing request that the first job was answered with.
    async fn csr(&self) -> Vec<u8> {
        let done = self.ended("key").await;
        assert_eq!(done.status, Status::Succeeded);
        let csr = BASE64_STANDARD.decode(&done.status_details["csr"]).unwrap();
        let key = fs::read_to_string(self.path("next.key")).unwrap();
        let key = KeyPair::from_pem(&key).unwrap();
        let public = key.public_key_raw();
        assert!(
            csr.windows(public.len()).any(|part| part == public),
            "another key"
        );
        csr
    }

    /// Has the device make a key, and returns its signing request.
    async fn has_a_key(&self) -> Vec<u8> {
        self.ask_for_a_key();
        let device = self.start();
        let csr = self.csr().await;
        device.kill().await;
        csr
    }

    fn certificate(&self, csr: &[u8]) -> String {
        self.world
            .core
            .pki()
            .certificate_from_csr(csr, 2020)
            .unwrap()
    }

    async fn ended(&self, job: &str) -> JobExecution {
        let jobs = self.world.core.jobs();
        within(jobs.wait_until(|books| {
            let job = books.execution(job);
            job.is_some_and(|job| job.status.is_terminal())
        }))
        .await;
        jobs.execution(job).unwrap()
    }

    /// The new certificate is the one that is used, and has been connected with.
    async fn is_rotated(&self, certificate: &str) {
        let done = self.ended("certificate").await;
        assert_eq!(done.status, Status::Succeeded, "{:?}", done.status_details);
        let current = fs::read_to_string(self.path("current.pem")).unwrap();
        assert!(current.starts_with(certificate.trim()));
        self.is_well_kept();
    }

    /// The job has failed for that reason, and the old certificate is used.
    async fn is_back(&self, device: Program, reason: &str) {
        let done = self.ended("certificate").await;
        let said = &done.status_details["reason"];
        assert_eq!(done.status, Status::Failed, "{said}");
        assert!(said.contains(reason), "{said}");
        assert!(!self.path("current.pem").exists());
        assert!(!self.path("trial.pem").exists());
        // The next job is still done.
        let jobs = self.world.core.jobs();
        jobs.create_job("another", json!({"operation": "make-key"}))
            .unwrap();
        assert_eq!(self.ended("another").await.status, Status::Succeeded);
        device.kill().await;
    }

    fn connects(&self) -> usize {
        let connected = |event: &Event| matches!(event, Event::Connect { .. });
        self.world.core.journal().count(connected)
    }
}

#[tokio::test]
async fn a_certificate_is_rotated_and_then_another_one() {
    let scene = Scene::new().await;
    let device = scene.start();
    for round in 1..=2 {
        scene.ask_for_a_key();
        let certificate = scene.certificate(&scene.csr().await);
        scene.bring(&certificate);
        scene.is_rotated(&certificate).await;
        assert_eq!(scene.connects(), 1 + round, "it reconnects, once");
        assert!(!scene.path("next.key").exists());
        for job in ["key", "certificate"] {
            scene.world.core.jobs().delete_job(job).unwrap();
        }
    }
    device.kill().await;
    assert_eq!(scene.world.core.journal().violations(), [""; 0]);
}

#[tokio::test]
async fn the_key_never_leaves_the_device() {
    let scene = Scene::new().await;
    let csr = scene.has_a_key().await;
    let key = fs::read_to_string(scene.path("next.key")).unwrap();
    let key = KeyPair::from_pem(&key).unwrap();
    let secret = &key.serialize_der()[36..68]; // P-256 in PKCS#8: what stands before has a fixed length
    let is_in = |text: &[u8]| text.windows(secret.len()).any(|part| part == secret);
    assert!(is_in(key.serialized_der()));
    let jobs = scene.world.core.jobs();
    let details = jobs.execution("key").unwrap().status_details;
    assert_eq!(details.keys().collect::<Vec<_>>(), ["csr"]);
    assert!(!is_in(&csr));
}

#[tokio::test]
async fn a_certificate_for_another_key_fails() {
    let scene = Scene::new().await;
    scene.has_a_key().await;
    let Identity { cert_pem, .. } = scene.world.core.pki().device().unwrap();
    scene.bring(&cert_pem);
    scene
        .is_back(scene.start(), "the certificate is for another key")
        .await;
}

#[tokio::test]
async fn what_is_no_certificate_fails() {
    let scene = Scene::new().await;
    scene.has_a_key().await;
    scene.bring("no certificate");
    scene
        .is_back(scene.start(), "the certificate can't be used")
        .await;
}

#[tokio::test]
async fn a_certificate_without_a_key_fails() {
    let scene = Scene::new().await;
    let Identity { cert_pem, .. } = scene.world.core.pki().device().unwrap();
    scene.bring(&cert_pem);
    scene.is_back(scene.start(), "make-key goes before").await;
}

#[tokio::test]
async fn a_certificate_that_the_server_refuses_fails_and_the_old_one_is_used() {
    let scene = Scene::new().await;
    let csr = scene.has_a_key().await;
    let stranger = Pki::unknown().unwrap();
    scene.bring(&stranger.certificate_from_csr(&csr, 2020).unwrap());
    scene
        .is_back(scene.start(), "gone back to the old certificate")
        .await;
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_yet_fails_and_the_old_one_is_used() {
    let scene = Scene::new().await;
    let csr = scene.has_a_key().await;
    let pki = scene.world.core.pki();
    scene.bring(&pki.certificate_from_csr(&csr, 2999).unwrap());
    scene
        .is_back(scene.start(), "gone back to the old certificate")
        .await;
}

#[tokio::test]
async fn a_document_that_it_does_not_understand_is_rejected() {
    let scene = Scene::new().await;
    let jobs = scene.world.core.jobs();
    jobs.create_job("dance", json!({"operation": "dance"}))
        .unwrap();
    let device = scene.start();
    assert_eq!(scene.ended("dance").await.status, Status::Rejected);
    device.kill().await;
}

#[tokio::test]
async fn a_power_cut_after_the_key_is_made_costs_that_key_only() {
    let scene = Scene::new().await;
    scene.ask_for_a_key();
    scene.cut_at("key written").await;
    let device = scene.start();
    let csr = scene.csr().await; // of the key that is there
    let certificate = scene.certificate(&csr);
    scene.bring(&certificate);
    scene.is_rotated(&certificate).await;
    device.kill().await;
}

#[tokio::test]
async fn a_power_cut_at_any_step_leaves_a_device_that_ends_the_rotation() {
    for place in ["written", "checkpointed", "on trial", "promoted"] {
        let scene = Scene::new().await;
        let certificate = scene.certificate(&scene.has_a_key().await);
        scene.bring(&certificate);
        scene.cut_at(place).await;
        let device = scene.start();
        scene.is_rotated(&certificate).await;
        device.kill().await;
    }
}

#[tokio::test]
async fn a_power_cut_on_the_way_back_leaves_a_device_that_goes_back() {
    for place in ["on trial", "reason written", "refused", "forgotten"] {
        let scene = Scene::new().await;
        let csr = scene.has_a_key().await;
        let stranger = Pki::unknown().unwrap();
        scene.bring(&stranger.certificate_from_csr(&csr, 2020).unwrap());
        scene.cut_at(place).await;
        scene
            .is_back(scene.start(), "gone back to the old certificate")
            .await;
    }
}

#[tokio::test]
async fn a_rotation_that_is_canceled_at_its_trial_leaves_the_old_certificate() {
    for next in [None, Some("another")] {
        let scene = Scene::new().await;
        let certificate = scene.certificate(&scene.has_a_key().await);
        scene.bring(&certificate);
        scene.cut_at("on trial").await;
        let jobs = scene.world.core.jobs();
        jobs.cancel_job_by_force("certificate").unwrap();
        if let Some(next) = next {
            jobs.create_job(next, json!({"operation": "make-key"}))
                .unwrap();
        }
        let device = scene.start();
        let old = scene.world.files.cert.display().to_string();
        let with_old = format!("Connecting with {old}");
        device.out.wait_for(&with_old).await;
        assert!(!scene.path("trial.pem").exists());
        assert!(!scene.path("current.pem").exists());
        let next = next.unwrap_or_else(|| {
            jobs.create_job("another", json!({"operation": "make-key"}))
                .unwrap();
            "another"
        });
        assert_eq!(scene.ended(next).await.status, Status::Succeeded);
        device.kill().await;
    }
}

/// A rotation with a good certificate, whose first connects with it go wrong.
async fn with_faults_at_the_trial(fault: Fault, times: u32) -> (Scene, String, Program) {
    let scene = Scene::new().await;
    let certificate = scene.certificate(&scene.has_a_key().await);
    scene.bring(&certificate);
    scene.cut_at("on trial").await;
    scene.world.core.faults().add(fault, Times::Count(times));
    let device = scene.start();
    (scene, certificate, device)
}

#[tokio::test]
async fn a_server_that_does_not_let_the_new_certificate_connect_has_the_device_go_back() {
    let (scene, _, device) = with_faults_at_the_trial(Fault::Connack(0x87), 1).await;
    scene.is_back(device, "CONNACK 0x87 (not authorized)").await;
}

#[tokio::test]
async fn a_server_that_closes_the_door_again_and_again_has_the_device_go_back() {
    let (scene, _, device) = with_faults_at_the_trial(Fault::DropAfterTls, 5).await;
    scene
        .is_back(device, "gone back to the old certificate")
        .await;
}

#[tokio::test]
async fn one_lost_connection_is_no_refusal() {
    let (scene, certificate, device) = with_faults_at_the_trial(Fault::DropAfterTls, 1).await;
    scene.is_rotated(&certificate).await;
    device.kill().await;
}
