//! How the device program itself is updated: tests/deploy/boot starts it, and these tests are the
//! supervisor. The old and the new program are both the example, which updates itself.

use std::fs;
use std::path::Path;
use std::time::Duration;

use local_iot_core::Status;
use serde_json::json;
use tokio::process::Command;
use tokio::time::sleep;

use super::{Scene, children, signature, signing_key};
use crate::support::{Faults, Program, example_path, within};

/// A device that runs the example from slot a, and a server that has this in its place.
async fn with(new: Vec<u8>, version: &str) -> Scene {
    let scene = Scene::with_firmware(new, Faults::default()).await;
    fs::copy(example_path("install_firmware"), scene.path("a")).unwrap();
    let signed = [&scene.firmware[..], b"allow_downgrade=1"].concat();
    let mut document = scene.document();
    document["product"] = json!("jobs-mqtt5");
    document["version"] = json!(version);
    document["allow_downgrade"] = json!(1); // to the same version, in one test
    document["signature"] = json!(signature(&signing_key(1), &signed));
    scene.create_job(document);
    scene
}

fn start(scene: &Scene, trial_seconds: u32) -> Program {
    let boot = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/deploy/boot");
    let mut command = Command::new(boot);
    command.args(scene.world.flags(&[]));
    command.env("FIRMWARE_FOLDER", scene.folder.path());
    command.env("TRIAL_SECONDS", trial_seconds.to_string());
    command.env("FIRST_SECONDS", "0");
    Program::start_command(command)
}

/// Starts the program as often as it ends, in whatever way, until its job has ended. Returns how often
/// that was.
async fn supervise(scene: &Scene, trial_seconds: u32) -> usize {
    let mut starts = 0;
    loop {
        starts += 1;
        let program = start(scene, trial_seconds);
        let said = program.out.clone();
        tokio::select! {
            job = scene.ended() => {
                assert_eq!(job.status, Status::Failed);
                let reason = "gone back to jobs-mqtt5 0.1.0: it was started 3 times, and never reported";
                assert_eq!(job.status_details["reason"], reason);
                assert_eq!(said.count("Firmware jobs-mqtt5 0.1.0 runs, from slot a"), 1);
                assert_eq!(scene.boot().active, "a");
                return starts;
            }
            _ = program.end() => {}
        }
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_device_program_updates_itself() {
    let program = fs::read(example_path("install_firmware")).unwrap();
    let scene = with(program, "0.1.0").await;
    // (It is there already, as far as it can tell, unless the old one is different.)
    fs::OpenOptions::new()
        .append(true)
        .open(scene.path("a"))
        .and_then(|mut old| std::io::Write::write_all(&mut old, b"the old one"))
        .unwrap();
    let device = start(&scene, 2);
    let job = scene.ended().await;
    assert_eq!(job.status, Status::Succeeded, "{:?}", job.status_details);
    let runs = "Firmware jobs-mqtt5 0.1.0 runs, from slot b";
    device.out.wait_for(runs).await;
    device.out.wait_for("SUCCEEDED was accepted").await;
    scene.settles().await;
    assert_eq!(scene.boot().active, "b");
    // What has watched the trial ends with it, and is nobody's zombie. (It watches for two seconds.)
    sleep(Duration::from_millis(2500)).await;
    assert_eq!(children(device.id()), [""; 0]);
    device.kill().await;
}

/// A device program that says what it is, and then does this.
fn broken(does: &str) -> Vec<u8> {
    format!("#!/bin/sh\nif [ \"$1\" = --version ]; then echo jobs-mqtt5 9.9.9; exit; fi\n{does}\n")
        .into()
}

#[tokio::test]
async fn a_device_program_that_ends_in_whatever_way_is_gone_back_on() {
    for ends in [
        "kill -s SEGV $$",
        "exit 0",
        "kill -s PIPE $$",
        "kill -s HUP $$",
    ] {
        let scene = with(broken(ends), "9.9.9").await;
        // The first start becomes the new program, which is started three times in all.
        assert_eq!(within(supervise(&scene, 20)).await, 4, "{ends}");
    }
}

#[tokio::test]
async fn a_device_program_that_hangs_is_gone_back_on() {
    let scene = with(broken("exec sleep 600"), "9.9.9").await;
    assert_eq!(within(supervise(&scene, 1)).await, 4);
}

#[test]
fn the_unit_does_not_wait_for_the_clock() {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/deploy");
    let unit = fs::read_to_string(deploy.join("jobs-mqtt5.service")).unwrap();
    let mut waits = unit.lines().filter(|line| line.starts_with("After="));
    assert_eq!(waits.next(), Some("After=network-online.target"));
    assert_eq!(waits.next(), None);
}

#[tokio::test]
async fn systemd_takes_the_drop_in() {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/deploy");
    let folder = tempfile::tempdir().unwrap();
    let drop_in = folder.path().join("jobs-mqtt5.service.d");
    fs::create_dir(&drop_in).unwrap();
    let conf = fs::read_to_string(deploy.join("updated.conf")).unwrap();
    let installed = "/usr/local/lib/jobs-mqtt5/boot";
    assert!(conf.contains(installed));
    // systemd looks whether what the unit starts is there.
    let conf = conf.replace(installed, deploy.join("boot").to_str().unwrap());
    fs::write(drop_in.join("updated.conf"), conf).unwrap();
    let unit = folder.path().join("jobs-mqtt5.service");
    fs::copy(deploy.join("jobs-mqtt5.service"), &unit).unwrap();
    let mut command = Command::new("systemd-analyze");
    let Ok(verified) = within(command.arg("verify").arg(&unit).output()).await else {
        println!("There is no systemd-analyze here, so the drop-in is not verified.");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    let is_fine = !said.contains("jobs-mqtt5.service") && !said.contains("updated.conf");
    assert!(verified.status.success() && is_fine, "{said}");
}
