//! A firmware on trial: passes, fails, hangs and crashes, and the power cut at every step of it.

use std::fs;

use jobs_mqtt5::sample::lines;
use local_iot_core::Status;
use serde_json::json;

use super::{JOB, Scene, children, firmware, firmware_that};
use crate::support::{Faults, Program, eventually};

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
    assert!(
        said.starts_with("gone back to thermostat 1.4.1: "),
        "{said}"
    );
    assert!(said.contains(reason), "{said}");
    is_running(&device, "1.4.1", "a").await;
    assert_eq!(device.out.count("Firmware thermostat 1.4.2 runs"), 0);
    scene.is_as_before();
    is_still_a_device(scene, device).await;
}

/// It says that this firmware runs.
async fn is_running(device: &Program, version: &str, slot: &str) {
    let words = format!("Firmware thermostat {version} runs, from slot {slot}");
    device.out.wait_for(&words).await;
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
    is_running(&device, "1.4.2", "b").await;
    scene.settles().await;
    scene.is_installed();
    is_still_a_device(scene, device).await;
}

#[tokio::test]
async fn a_firmware_that_passes_stays_and_the_next_one_takes_the_other_slot() {
    let mut scene = with("true").await;
    let device = scene.start();
    is_running(&device, "1.4.1", "a").await;
    is_installed(&scene, device).await;

    let next = Scene::with_firmware(firmware("1.10.0", "true"), Faults::default()).await;
    scene.server = next.server;
    scene.firmware = next.firmware;
    let mut document = scene.document();
    document["version"] = json!("1.10.0");
    scene.world.core.jobs().delete_job(JOB).unwrap();
    scene.create_job(document);
    let device = scene.start();
    assert_eq!(scene.ended().await.status, Status::Succeeded);
    is_running(&device, "1.10.0", "a").await;
    assert_eq!(scene.boot().active, "a");
    device.kill().await;
}

#[tokio::test]
async fn a_firmware_that_fails_its_self_test_is_gone_back_on() {
    let scene = with("echo no sensor; exit 3").await;
    let device = scene.start();
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
    let device = scene.start();
    goes_back(&scene, device, "--self-test ended with signal: 11").await;
}

#[tokio::test]
async fn a_firmware_that_hangs_in_its_self_test_is_gone_back_on() {
    let scene = with("echo waiting for a sensor; exec sleep 600").await;
    let device = scene.start();
    goes_back(
        &scene,
        device,
        "did not end within 2s: waiting for a sensor",
    )
    .await;
}

#[tokio::test]
async fn a_firmware_that_ends_in_its_first_seconds_is_gone_back_on() {
    for (runs, reason) in [
        ("exit 0", "it ended with exit status: 0"),
        ("kill -s PIPE $$", "it ended with signal: 13"),
        ("kill -s HUP $$", "it ended with signal: 1 "),
        ("sleep 0.3; exit 3", "it ended with exit status: 3"),
    ] {
        let new = firmware_that("thermostat 1.4.2", "true", runs);
        let scene = Scene::with_firmware(new, Faults::default()).await;
        scene.create_job(scene.document());
        let device = scene.start();
        let job = scene.ended().await;
        let said = &job.status_details["reason"];
        assert_eq!(job.status, Status::Failed, "{runs}: {said}");
        assert!(said.contains(reason), "{runs}: {said}");
        is_running(&device, "1.4.2", "b").await; // it was tried
        scene.is_as_before();
        is_still_a_device(&scene, device).await;
    }
}

#[tokio::test]
async fn what_a_self_test_writes_without_end_is_bounded_and_its_end_is_the_reason() {
    let scene = with("head -c 20000000 /dev/zero | tr '\\0' x; echo; echo no sensor; exit 3").await;
    let device = scene.start();
    goes_back(&scene, device, "exit status: 3: no sensor").await;
}

#[tokio::test]
async fn no_temporary_folder_is_needed() {
    let scene = with("true").await;
    let device = scene.start_with(|command| {
        command.env("TMPDIR", "/does/not/exist");
    });
    is_installed(&scene, device).await;
}

#[tokio::test]
async fn the_old_application_may_take_its_time_to_end() {
    // Both need what only one can have.
    let lock = tempfile::tempdir().unwrap();
    let lock = lock.path().join("port");
    let runs = format!(
        "mkdir {lock} || exit 9; cat > /dev/null; sleep 1.5; rmdir {lock}",
        lock = lock.display()
    );
    let new = firmware_that("thermostat 1.4.2", "true", &runs);
    let scene = Scene::with_firmware(new, Faults::default()).await;
    let old = firmware_that("thermostat 1.4.1", "true", &runs);
    fs::write(scene.path("a"), old).unwrap();
    scene.create_job(scene.document());
    let device = scene.start();
    is_installed(&scene, device).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_application_that_ends_is_started_again_and_no_zombie_is_left() {
    let scene = Scene::with(Faults::default()).await;
    let count = scene.path("count");
    let runs = format!("echo >> {}; exec cat > /dev/null", count.display());
    fs::write(
        scene.path("a"),
        firmware_that("thermostat 1.4.1", "true", &runs),
    )
    .unwrap();
    let device = scene.start();
    device.out.wait_for(lines::NOTHING_TO_START).await;
    let children = || children(device.id());
    let first = children();
    assert_eq!(first.len(), 1, "the application");
    let killed = tokio::process::Command::new("kill").arg(&first[0]).status();
    assert!(killed.await.unwrap().success());
    device
        .err
        .wait_for("The application ended with signal: 15")
        .await;
    eventually(|| fs::read(&count).unwrap().len() >= 2).await;
    assert_eq!(children().len(), 1, "the one before is reaped");

    scene.create_job(scene.document());
    assert_eq!(scene.ended().await.status, Status::Succeeded);
    let id = device.id();
    device.out.wait_for("SUCCEEDED was accepted").await;
    assert_eq!(
        children().len(),
        1,
        "of the process {id}, which is the same: {:?}",
        children()
    );
    device.kill().await;
}

#[tokio::test]
async fn a_second_program_on_the_same_slots_says_who_has_them() {
    let scene = Scene::with(Faults::default()).await;
    let first = scene.start();
    first.out.wait_for(lines::NOTHING_TO_START).await;
    let second = scene.start().end().await;
    let words = format!("is in use by process {}: end that one first", first.id());
    assert_eq!(second.code, Some(1));
    assert!(second.err.contains(&words), "{}", second.err);
    scene.create_job(scene.document());
    is_installed(&scene, first).await;
}

#[tokio::test]
async fn told_to_stop_while_the_file_says_what_it_is_nothing_is_installed() {
    let flags = tempfile::tempdir().unwrap();
    let (asked, goes_on) = (flags.path().join("asked"), flags.path().join("goes-on"));
    let new = format!(
        "#!/bin/sh\ncase \"$1\" in --version) \
         echo > {}; while [ ! -e {} ]; do sleep 0.05; done; echo thermostat 1.4.2 ;; esac\n",
        asked.display(),
        goes_on.display()
    );
    let scene = Scene::with_firmware(new.into_bytes(), Faults::default()).await;
    scene.create_job(scene.document());
    let device = scene.start();
    eventually(|| asked.exists()).await;
    let (ended, ()) = tokio::join!(device.interrupt(), async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        fs::write(&goes_on, "").unwrap();
    });
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(
        ended.out.matches("runs, from slot").count(),
        1,
        "{}",
        ended.out
    );
    assert_eq!(scene.job().status, Status::InProgress);
    assert_eq!(scene.boot().active, "a");
    assert!(!scene.path("b").exists());
}

#[tokio::test]
async fn a_firmware_that_takes_the_device_down_with_it_is_gone_back_on() {
    let folder = tempfile::tempdir().unwrap();
    let begun = folder.path().join("begun");
    // The power goes before its self-test has ended.
    let self_test = format!("echo >> {}; exec sleep 600", begun.display());
    let scene = with(&self_test).await;
    for start in 1..=3 {
        let device = scene.start_with(|command| {
            command.env("SELF_TEST_SECONDS", "600");
        });
        // (Until it has begun, its process is one that has the device's lock.)
        eventually(|| fs::read(&begun).is_ok_and(|lines| lines.len() == start)).await;
        assert_eq!(scene.starts_on_trial(), Some(start as u32));
        device.kill().await;
    }
    goes_back(
        &scene,
        scene.start(),
        "it was started 3 times, and never reported",
    )
    .await;
}

#[tokio::test]
async fn a_job_canceled_in_the_middle_of_the_trial_leaves_the_old_firmware() {
    let scene = with("true").await;
    let device = scene.start();
    is_running(&device, "1.4.2", "b").await;
    scene.world.core.jobs().cancel_job_by_force(JOB).unwrap();
    device.out.wait_for(lines::NOTHING_TO_START).await;
    assert_eq!(scene.job().status, Status::Canceled);
    scene.is_as_before();
    is_still_a_device(&scene, device).await;
}

#[tokio::test]
async fn a_second_try_of_a_job_is_tried_anew() {
    let scene = with("exit 3").await;
    let device = scene.start();
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
