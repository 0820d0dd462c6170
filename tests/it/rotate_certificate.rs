//! The worked example `rotate_certificate`, as a program: each way that a rotation ends.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use jobs_mqtt5::jobs::{JobId, JobStatus, Update};
use local_iot_core::{Event, Fault, Identity, On, Pki, Status, Times};
use rcgen::KeyPair;
use serde_json::json;
use tokio::process::Command;

use crate::support::{Program, World, example_path, within};

mod each_step;

#[path = "../examples/rotate_certificate/main.rs"]
#[allow(dead_code)] // its `main`
mod example;

fn decoded(csr: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(csr).unwrap()
}

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
        self.start_with("TRIAL_SECONDS", "600")
    }

    fn start_with(&self, variable: &str, value: &str) -> Program {
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

    /// The new certificate is the one that is used, and a report was accepted that was sent with it.
    async fn is_rotated(&self, device: &Program, times: usize, certificate: &str) {
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
    async fn is_back(&self, device: Program, reason: &str) {
        let done = self.world.ended("certificate").await;
        let said = &done.status_details["reason"];
        assert_eq!(done.status, Status::Failed, "{said}");
        assert!(said.contains(reason), "{said}");
        self.is_with_the_old(device).await;
    }

    /// The old certificate is used, and the next job is done with it.
    async fn is_with_the_old(&self, device: Program) {
        let jobs = self.world.core.jobs();
        jobs.create_job("another", json!({"operation": "make-key"}))
            .unwrap();
        assert_eq!(self.world.ended("another").await.status, Status::Succeeded);
        assert!(!self.path("current.pem").exists());
        assert!(!self.path("trial.pem").exists());
        device.kill().await;
    }

    /// The device does a job.
    async fn ask_again(&self, device: &Program) {
        let jobs = self.world.core.jobs();
        jobs.create_job("asked", json!({"operation": "dance"}))
            .unwrap();
        assert_eq!(self.world.ended("asked").await.status, Status::Rejected);
        device.out.wait_for("job asked: reported").await;
        jobs.delete_job("asked").unwrap();
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
        scene.is_rotated(&device, round, &certificate).await;
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

/// Whatever else comes as a certificate, nothing is lost by it: the key waits, and what belongs to it is
/// taken.
#[tokio::test]
async fn what_is_not_exactly_one_certificate_for_the_waiting_key_fails_and_nothing_is_deleted() {
    let scene = Scene::new().await;
    let csr = scene.has_a_key().await;
    let key = fs::read_to_string(scene.path("next.key")).unwrap();
    let good = scene.certificate(&csr);
    let Identity { cert_pem, key_pem } = scene.world.core.pki().device().unwrap();
    let bad = [
        String::new(),
        " \n ".to_owned(),
        "no certificate".to_owned(),
        "-----BEGIN CERTIFICATE-----".to_owned(),
        good.replace("-----END CERTIFICATE-----", ""),
        good.replacen('M', "!", 1),
        good.replace("CERTIFICATE", "CERTIFICATE REQUEST"),
        format!("{good}{good}"),
        // The sender's own key would become the device's.
        format!("{cert_pem}{key_pem}"),
        format!("{key_pem}{good}"),
        format!("{good}{key_pem}"),
        key_pem,
        cert_pem,
    ];
    let device = scene.start();
    let jobs = scene.world.core.jobs();
    for certificate in &bad {
        scene.bring(certificate);
        let done = scene.world.ended("certificate").await;
        assert_eq!(done.status, Status::Failed, "{certificate}");
        let reason = &done.status_details["reason"];
        let words = [
            "the certificate can't be used",
            "the certificate is for another key",
        ];
        assert!(words.iter().any(|words| reason.contains(words)), "{reason}");
        assert_eq!(fs::read_to_string(scene.path("next.key")).unwrap(), key);
        assert!(!scene.path("trial.pem").exists() && !scene.path("current.pem").exists());
        jobs.delete_job("certificate").unwrap();
    }
    // What is around it is not kept.
    scene.bring(&format!("Subject: CN=device\n{good}\nand more"));
    scene.is_rotated(&device, 1, &good).await;
    let current = fs::read_to_string(scene.path("current.pem")).unwrap();
    assert!(!current.contains("and more") && !current.contains("Subject"));
    device.kill().await;
}

#[tokio::test]
async fn the_certificate_in_use_sent_again_costs_no_key() {
    let scene = Scene::new().await;
    let device = scene.start();
    scene.ask_for_a_key();
    let certificate = scene.certificate(&scene.csr().await);
    scene.bring(&certificate);
    scene.is_rotated(&device, 1, &certificate).await;
    let jobs = scene.world.core.jobs();
    for job in ["key", "certificate"] {
        jobs.delete_job(job).unwrap();
    }
    scene.ask_for_a_key();
    let next = scene.certificate(&scene.csr().await);
    scene.bring(&certificate);
    assert_eq!(
        scene.world.ended("certificate").await.status,
        Status::Succeeded
    );
    jobs.delete_job("certificate").unwrap();
    scene.bring(&next);
    scene.is_rotated(&device, 2, &next).await;
    device.kill().await;
}

#[tokio::test]
async fn a_key_that_waits_is_kept_when_another_one_is_asked_for() {
    let scene = Scene::new().await;
    let certificate = scene.certificate(&scene.has_a_key().await);
    scene.world.core.jobs().delete_job("key").unwrap();
    scene.has_a_key().await;
    scene.bring(&certificate); // for the first request
    let device = scene.start();
    scene.is_rotated(&device, 1, &certificate).await;
    device.kill().await;
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
    assert_eq!(scene.world.ended("dance").await.status, Status::Rejected);
    device.kill().await;
}

/// A device whose power was cut when a good certificate had just been put on trial.
async fn on_trial() -> (Scene, String) {
    let scene = Scene::new().await;
    let certificate = scene.certificate(&scene.has_a_key().await);
    let device = scene.start();
    let first = format!("Connecting with {}", scene.world.files.cert.display());
    device.out.wait_for(&first).await;
    scene
        .world
        .core
        .jobs()
        .create_job("first", json!({"operation": "dance"}))
        .unwrap();
    scene.world.ended("first").await;
    // From here on it can't connect anew.
    scene.world.core.stop_listening().await;
    scene.bring(&certificate);
    device.out.wait_for(&trial(&scene)).await;
    device.kill().await;
    assert!(scene.path("trial.pem").exists());
    let job = scene.world.core.jobs().execution("certificate").unwrap();
    assert_eq!(job.status, Status::InProgress);
    scene.world.core.resume_listening().await.unwrap();
    (scene, certificate)
}

/// What a device says that connects with the new certificate.
fn trial(scene: &Scene) -> String {
    format!("Connecting with {}", scene.path("trial.pem").display())
}

#[tokio::test]
async fn a_power_cut_at_the_trial_leaves_a_device_that_ends_the_rotation() {
    let (scene, certificate) = on_trial().await;
    let device = scene.start();
    scene.is_rotated(&device, 1, &certificate).await;
    device.kill().await;
}

#[tokio::test]
async fn a_rotation_that_is_canceled_at_its_trial_leaves_the_old_certificate() {
    for next in [None, Some("next")] {
        let (scene, _) = on_trial().await;
        let jobs = scene.world.core.jobs();
        jobs.cancel_job_by_force("certificate").unwrap();
        if let Some(next) = next {
            jobs.create_job(next, json!({"operation": "make-key"}))
                .unwrap();
        }
        let device = scene.start();
        let old = scene.world.files.cert.display().to_string();
        device.out.wait_for(&format!("Connecting with {old}")).await;
        scene.is_with_the_old(device).await;
    }
}

/// The power fails when the cloud has accepted the report, and the device has not heard of it.
#[tokio::test]
async fn a_certificate_whose_report_was_accepted_is_used_after_a_power_cut() {
    for is_deleted in [false, true] {
        let (scene, certificate) = on_trial().await;
        let (jobs, mqtt) = scene.world.jobs_client();
        let job = JobId::new("certificate").unwrap();
        let described = within(jobs.describe(&job)).await.unwrap().unwrap();
        within(jobs.update(Update::execution(&described, JobStatus::Succeeded)))
            .await
            .unwrap();
        mqtt.disconnect();
        if is_deleted {
            // What works is kept, then.
            scene.world.core.jobs().delete_job("certificate").unwrap();
        }
        let device = scene.start();
        device
            .out
            .wait_for("The new certificate has proven good.")
            .await;
        scene.ask_again(&device).await;
        let current = fs::read_to_string(scene.path("current.pem")).unwrap();
        assert!(current.contains(certificate.trim()));
        device.kill().await;
    }
}

/// The job was deleted, and another one has its name: what is reported on the first is not for that one.
#[tokio::test]
async fn a_job_of_the_same_name_is_another_one() {
    let (scene, certificate) = on_trial().await;
    let jobs = scene.world.core.jobs();
    jobs.cancel_job_by_force("certificate").unwrap();
    jobs.delete_job("certificate").unwrap();
    scene.bring(&Pki::unknown().unwrap().device().unwrap().cert_pem);
    let device = scene.start();
    device
        .out
        .wait_for("The new certificate has proven good.")
        .await;
    assert_eq!(
        scene.world.ended("certificate").await.status,
        Status::Failed
    );
    let current = fs::read_to_string(scene.path("current.pem")).unwrap();
    assert!(current.contains(certificate.trim()));
    device.kill().await;
}

/// Connects, starts the job, and may not say how it has ended.
#[tokio::test]
async fn a_certificate_that_may_not_report_is_gone_back_on() {
    let (scene, _) = on_trial().await;
    let fault = Fault::Puback(0x87, "certificate/update".to_owned());
    scene.world.core.faults().add(fault, Times::Once);
    scene
        .is_back(scene.start(), "gone back to the old certificate")
        .await;
}

#[tokio::test]
async fn a_certificate_with_which_nothing_is_accepted_in_time_is_gone_back_on() {
    let (scene, _) = on_trial().await;
    scene.world.core.stop_listening().await;
    let device = scene.start_with("TRIAL_SECONDS", "1");
    device.out.wait_for(&trial(&scene)).await;
    let old = format!("Connecting with {}", scene.world.files.cert.display());
    device.out.wait_for(&old).await;
    scene.world.core.resume_listening().await.unwrap();
    scene
        .is_back(device, "no report was accepted within 1s")
        .await;
}

/// The cloud has accepted it, and the device was too late to hear so: the cloud's word counts.
#[tokio::test]
async fn a_report_that_was_accepted_counts_when_its_reply_was_lost() {
    let (scene, certificate) = on_trial().await;
    let lost = Fault::LoseReply(On::Outcome);
    scene.world.core.faults().add(lost, Times::Once);
    let device = scene.start_with("TRIAL_SECONDS", "2");
    scene.is_rotated(&device, 1, &certificate).await;
    device.kill().await;
}

/// A rotation with a good certificate, whose first connects with it go wrong.
async fn with_faults_at_the_trial(fault: Fault, times: u32) -> (Scene, String, Program) {
    let (scene, certificate) = on_trial().await;
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
    scene.is_rotated(&device, 1, &certificate).await;
    device.kill().await;
}

#[tokio::test]
async fn a_file_that_holds_something_else_is_as_good_as_none() {
    let scene = Scene::new().await;
    fs::create_dir(scene.path("")).unwrap();
    let Identity { cert_pem, key_pem } = scene.world.core.pki().device().unwrap();
    let other = scene.world.core.pki().device().unwrap();
    let head = "Job: certificate 1\n";
    for garbage in [
        String::new(),
        "garbage".to_owned(),
        format!("{head}{cert_pem}"),
        format!("{head}{cert_pem}{}", other.key_pem),
        format!("{cert_pem}{}", &key_pem[..key_pem.len() / 2]),
    ] {
        for name in ["trial.pem", "current.pem", "next.key", "candidate.pem"] {
            fs::write(scene.path(name), &garbage).unwrap();
        }
        let device = scene.start();
        scene.ask_again(&device).await;
        device.kill().await;
    }
    let device = scene.start();
    scene.ask_for_a_key();
    let certificate = scene.certificate(&scene.csr().await);
    scene.bring(&certificate);
    let done = scene.world.ended("certificate").await;
    assert_eq!(done.status, Status::Succeeded, "{:?}", done.status_details);
    device.kill().await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_device_that_is_told_to_stop_changes_nothing_any_more() {
    let scene = Scene::new().await;
    let certificate = scene.certificate(&scene.has_a_key().await);
    let late = Fault::LateReply(On::Progress, Duration::from_millis(500));
    scene.world.core.faults().add(late, Times::Once);
    let device = scene.start();
    scene.bring(&certificate);
    let jobs = scene.world.core.jobs();
    // The checkpoint before the switch is under way.
    within(jobs.wait_until(|books| {
        let job = books.execution("certificate");
        job.is_some_and(|job| job.status_details.contains_key("step"))
    }))
    .await;
    device.signal("TERM").await;
    let ended = device.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(!ended.out.contains(&trial(&scene)), "{}", ended.out);
    assert!(!scene.path("trial.pem").exists());
    let device = scene.start();
    scene.is_rotated(&device, 1, &certificate).await;
    device.kill().await;
}

#[tokio::test]
async fn two_programs_do_not_share_a_folder_and_the_second_says_who_has_it() {
    let scene = Scene::new().await;
    let device = scene.start();
    device.out.wait_for("Connecting with").await;
    let second = scene.start().end().await;
    assert_eq!(second.code, Some(1));
    let words = format!("is in use by process {}", device.id());
    assert!(second.err.contains(&words), "{}", second.err);
    scene.ask_again(&device).await;
    device.kill().await;
}
