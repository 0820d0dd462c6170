//! The trial of a new certificate: whatever is cut off, canceled, refused or lost meanwhile, the device has
//! one that works.

use std::fs;
#[cfg(unix)]
use std::time::Duration;

use jobs_mqtt5::jobs::{JobId, JobStatus, Update};
use local_iot_core::{Fault, On, Pki, Status, Times};
use serde_json::json;

use super::Scene;
use crate::support::{Program, within};

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
    let device = scene.start_with("CERTIFICATE_TRIAL_SECONDS", "1");
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
    let device = scene.start_with("CERTIFICATE_TRIAL_SECONDS", "2");
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

/// The disk is read-only, say: the report is accepted, and the new certificate can't take its place.
#[tokio::test]
async fn a_rotation_that_can_t_be_written_down_fails_the_next_one_until_it_can() {
    let (scene, certificate) = on_trial().await;
    let jobs = scene.world.core.jobs();
    fs::create_dir(scene.path("current.pem")).unwrap();
    let connects = scene.connects();
    let device = scene.start();
    let done = scene.world.ended("certificate").await;
    assert_eq!(done.status, Status::Succeeded);
    let unwritten = "trial.pem can't be put into its place";
    device.err.wait_for(unwritten).await;
    let proven = "The new certificate has proven good.";
    assert_eq!(device.out.count(proven), 0);

    let reason = async || {
        jobs.delete_job("certificate").unwrap();
        scene.bring(&certificate);
        let done = scene.world.ended("certificate").await;
        assert_eq!(done.status, Status::Failed);
        done.status_details["reason"].clone()
    };
    let said = reason().await;
    let expected = "the last rotation can't be written down: ";
    assert!(
        said.starts_with(expected) && said.contains(unwritten),
        "{said}"
    );
    assert_eq!(scene.connects(), connects + 1);

    fs::remove_dir(scene.path("current.pem")).unwrap();
    jobs.delete_job("certificate").unwrap();
    scene.bring(&certificate);
    scene.is_rotated(&device, 1, &certificate).await; // it is the one in use
    assert_eq!(scene.connects(), connects + 1);
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
