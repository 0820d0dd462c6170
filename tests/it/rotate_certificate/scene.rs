//! The device whose certificate is rotated, and the cloud that does it.

use std::fs;
use std::path::PathBuf;

use base64::{Engine, prelude::BASE64_STANDARD};
use local_iot_core::{Event, Status};
use rcgen::KeyPair;
use serde_json::json;
use tokio::process::Command;

use crate::support::{Program, World, example_path};

/// A device with a certificate, and the service.
pub(super) struct Scene {
    pub(super) world: World,
}

impl Scene {
    pub(super) async fn new() -> Self {
        let world = World::new().await;
        Self { world }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.world.folder.path().join("identity").join(name)
    }

    pub(super) fn start(&self) -> Program {
        self.start_with("CERTIFICATE_TRIAL_SECONDS", "600")
    }

    pub(super) fn start_with(&self, variable: &str, value: &str) -> Program {
        let mut command = Command::new(example_path("rotate_certificate"));
        command.args(self.world.flags(&[]));
        command.env("IDENTITY_FOLDER", self.path(""));
        command.env(variable, value);
        Program::start_command(command)
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
            if path.file_name().unwrap() != "lock" {
                let text = fs::read_to_string(&path).unwrap();
                assert!(
                    text.contains("PRIVATE KEY"),
                    "{} is not whole",
                    path.display()
                );
            }
        }
    }

    pub(super) fn ask_for_a_key(&self) {
        let jobs = self.world.core.jobs();
        jobs.create_job("key", json!({"operation": "make-key"}))
            .unwrap();
    }

    /// Creates the second job, with this certificate.
    pub(super) fn bring(&self, certificate: &str) {
        let document = json!({"operation": "install-certificate", "certificate": certificate});
        self.world
            .core
            .jobs()
            .create_job("certificate", document)
            .unwrap();
    }

    /// The signing request that the first job was answered with.
    pub(super) async fn csr(&self) -> Vec<u8> {
        let done = self.world.ended("key").await;
        assert_eq!(done.status, Status::Succeeded);
        let csr = decoded(&done.status_details["csr"]);
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
    pub(super) async fn has_a_key(&self) -> Vec<u8> {
        self.ask_for_a_key();
        let device = self.start();
        let csr = self.csr().await;
        device.kill().await;
        csr
    }

    pub(super) fn certificate(&self, csr: &[u8]) -> String {
        self.world
            .core
            .pki()
            .certificate_from_csr(csr, 2020)
            .unwrap()
    }

    /// The new certificate is the one that is used, and a report was accepted that was sent with it.
    pub(super) async fn is_rotated(&self, device: &Program, times: usize, certificate: &str) {
        let done = self.world.ended("certificate").await;
        assert_eq!(done.status, Status::Succeeded, "{:?}", done.status_details);
        let words = "The new certificate has proven good.";
        device.out.wait_for_count(times, words).await;
        let current = fs::read_to_string(self.path("current.pem")).unwrap();
        assert!(current.contains(certificate.trim()));
        assert!(!self.path("trial.pem").exists());
        self.is_well_kept();
    }

    /// The job has failed for that reason, and the old certificate is used.
    pub(super) async fn is_back(&self, device: Program, reason: &str) {
        let done = self.world.ended("certificate").await;
        let said = &done.status_details["reason"];
        assert_eq!(done.status, Status::Failed, "{said}");
        assert!(said.contains(reason), "{said}");
        self.is_with_the_old(device).await;
    }

    /// The old certificate is used, and the next job is done with it.
    pub(super) async fn is_with_the_old(&self, device: Program) {
        let jobs = self.world.core.jobs();
        jobs.create_job("another", json!({"operation": "make-key"}))
            .unwrap();
        assert_eq!(self.world.ended("another").await.status, Status::Succeeded);
        assert!(!self.path("current.pem").exists());
        assert!(!self.path("trial.pem").exists());
        device.kill().await;
    }

    /// The device does a job.
    pub(super) async fn ask_again(&self, device: &Program) {
        let jobs = self.world.core.jobs();
        jobs.create_job("asked", json!({"operation": "dance"}))
            .unwrap();
        assert_eq!(self.world.ended("asked").await.status, Status::Rejected);
        device.out.wait_for("job asked: reported").await;
        jobs.delete_job("asked").unwrap();
    }

    pub(super) fn connects(&self) -> usize {
        let connected = |event: &Event| matches!(event, Event::Connect { .. });
        self.world.core.journal().count(connected)
    }
}

pub(super) fn decoded(csr: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(csr).unwrap()
}
