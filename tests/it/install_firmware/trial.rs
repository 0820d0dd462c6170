//! A firmware on trial: passes, fails, hangs and crashes, and the power cut at every step of it.

use jobs_mqtt5::sample::lines;
use local_iot_core::Status;
use serde_json::json;

use super::example::slots::{Slot, Update};
use super::{JOB, Scene, firmware};
use crate::support::{Faults, Program};

/// The way of an update, where the power may fail.
const PLACES: [&str; 7] = [
    "verified",
    "in its slot",
    "checkpointed",
    "switched",
    "started",
    "tested",
    "decided",
];

async fn with(self_test: &str) -> Scene {
    let scene = Scene::with_firmware(firmware("1.4.2", self_test), Faults::default()).await;
    scene.create_job(scene.document());
    scene
}

/// The old firmware runs, and the job says why.
async fn goes_back(scene: &Scene, device: Program, reason: &str) {
    let job = scene.ended().await;
    let said = &job.status_details["reason"];
    assert_eq!(job.status, Status::Failed, "{said}");
    assert!(said.starts_with("gone back to 1.4.1: "), "{said}");
    assert!(said.contains(reason), "{said}");
    device
        .out
        .wait_for("Firmware 1.4.1 runs, from slot a")
        .await;
    assert_eq!(device.out.count("Firmware 1.4.2 runs"), 0);
    scene.is_as_before();
    is_still_a_device(scene, device).await;
}

/// The next job is done.
async fn is_still_a_device(scene: &Scene, device: Program) {
    let jobs = scene.world.core.jobs();
    jobs.delete_job(JOB).unwrap();
    scene.create_job(json!({"operation": "dance"}));
    assert_eq!(scene.ended().await.status, Status::Rejected);
    device.kill().await;
}

async fn is_installed(scene: &Scene, device: Program) {
    let job = scene.ended().await;
    assert_eq!(job.status, Status::Succeeded, "{:?}", job.status_details);
    device
        .out
        .wait_for("Firmware 1.4.2 runs, from slot b")
        .await;
    scene.is_installed();
    is_still_a_device(scene, device).await;
}

#[tokio::test]
async fn a_firmware_that_passes_stays_and_the_next_one_takes_the_other_slot() {
    let mut scene = with("true").await;
    let device = scene.start("");
    device
        .out
        .wait_for("Firmware 1.4.1 runs, from slot a")
        .await;
    is_installed(&scene, device).await;

    let next = Scene::with_firmware(firmware("1.10.0", "true"), Faults::default()).await;
    scene.server = next.server;
    scene.firmware = next.firmware;
    let mut document = scene.document();
    document["version"] = json!("1.10.0");
    scene.world.core.jobs().delete_job(JOB).unwrap();
    scene.create_job(document);
    let device = scene.start("");
    assert_eq!(scene.ended().await.status, Status::Succeeded);
    device
        .out
        .wait_for("Firmware 1.10.0 runs, from slot a")
        .await;
    assert_eq!(scene.boot().active, Slot::A);
    device.kill().await;
}

#[tokio::test]
async fn a_firmware_that_fails_its_self_test_is_gone_back_on() {
    let scene = with("echo no sensor; exit 3").await;
    let device = scene.start("");
    goes_back(
        &scene,
        device,
        "--self-test ended with exit status: 3: no sensor",
    )
    .await;
}

#[tokio::test]
async fn a_firmware_that_crashes_in_its_self_test_is_gone_back_on() {
    let scene = with("kill -s SEGV $$").await;
    let device = scene.start("");
    goes_back(&scene, device, "--self-test ended with signal: 11").await;
}

#[tokio::test]
async fn a_firmware_that_hangs_in_its_self_test_is_gone_back_on() {
    let scene = with("echo waiting for a sensor; exec sleep 600").await;
    let device = scene.start("");
    goes_back(
        &scene,
        device,
        "did not end within 2s: waiting for a sensor",
    )
    .await;
}

#[tokio::test]
async fn a_power_cut_at_every_step_leaves_a_device_that_ends_the_update() {
    for place in PLACES {
        let scene = with("true").await;
        let device = scene.start(place);
        device.out.wait_for(&format!("cut: {place}")).await;
        assert_eq!(scene.job().status, Status::InProgress, "{place}");
        device.kill().await;
        is_installed(&scene, scene.start("")).await;
    }
}

#[tokio::test]
async fn a_power_cut_at_every_step_leaves_a_device_that_goes_back() {
    for place in PLACES {
        let scene = with("exit 3").await;
        let device = scene.start(place);
        device.out.wait_for(&format!("cut: {place}")).await;
        assert_eq!(scene.job().status, Status::InProgress, "{place}");
        device.kill().await;
        goes_back(&scene, scene.start(""), "exit status: 3").await;
    }
}

#[tokio::test]
async fn a_firmware_that_takes_the_device_down_with_it_is_gone_back_on() {
    let scene = with("true").await;
    for start in 1..=3 {
        let device = scene.start("started"); // and it never comes to the end of its self-test
        device.out.wait_for("cut: started").await;
        device.kill().await;
        let update = scene.boot().update;
        assert!(
            matches!(update, Update::Trial { starts, .. } if starts == start),
            "{update:?}"
        );
    }
    goes_back(&scene, scene.start(""), "it was started 3 times").await;
}

#[tokio::test]
async fn a_job_canceled_before_the_switch_leaves_the_old_firmware() {
    let scene = with("true").await;
    let device = scene.start("in its slot");
    device.out.wait_for("cut: in its slot").await;
    device.kill().await;
    scene.world.core.jobs().cancel_job_by_force(JOB).unwrap();
    let device = scene.start("");
    device.out.wait_for(lines::NOTHING_TO_START).await;
    assert_eq!(scene.job().status, Status::Canceled);
    scene.is_as_before();
    device.kill().await;
}

#[tokio::test]
async fn a_second_try_of_a_job_is_tried_anew() {
    let scene = with("exit 3").await;
    let device = scene.start("");
    scene.ended().await;
    let before = scene.server.requests().len();
    scene.world.core.jobs().delete_job(JOB).unwrap();
    // (By another name: two jobs of one name within a second are not told apart by their times.)
    let jobs = scene.world.core.jobs();
    jobs.create_job("again", scene.document()).unwrap();
    crate::support::within(jobs.wait_for_status("again", Status::Failed)).await;
    assert_eq!(scene.server.requests().len(), 2 * before);
    device.kill().await;
}
