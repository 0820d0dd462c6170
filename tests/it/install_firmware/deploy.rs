//! How the device program itself is updated: tests/deploy/boot starts it, and these tests are the
//! supervisor. The old and the new program are both the example, which updates itself.

use std::fs;
use std::path::Path;

use local_iot_core::Status;
use serde_json::json;
use tokio::process::Command;

use super::example::slots::{Slot, Update};
use super::{JOB, Scene, signature, signing_key};
use crate::support::{Faults, Program, example_path, within};

/// A device that runs the example from slot a, and a server that has this in its place.
async fn with(new: Vec<u8>, version: &str) -> Scene {
    let scene = Scene::with_firmware(new, Faults::default()).await;
    fs::copy(example_path("install_firmware"), scene.path("a")).unwrap();
    let signed = [&scene.firmware[..], b"allow_downgrade"].concat();
    let mut document = scene.document();
    document["version"] = json!(version);
    document["allow_downgrade"] = json!(true); // to the same version, in one test
    document["signature"] = json!(signature(&signing_key(1), &signed));
    scene.create_job(document);
    scene
}

fn start(scene: &Scene, trial_seconds: u32, cut_at: &str) -> Program {
    let boot = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/deploy/boot");
    let mut command = Command::new(boot);
    command.args(scene.world.flags(&[]));
    command.env("FIRMWARE_FOLDER", scene.folder.path());
    command.env("TRIAL_SECONDS", trial_seconds.to_string());
    command.env("CUT_AT", cut_at);
    Program::start_command(command)
}

/// Starts the program as often as it ends, until its job has ended. Returns how often that was.
async fn supervise(scene: &Scene, trial_seconds: u32) -> usize {
    let mut starts = 0;
    loop {
        starts += 1;
        let program = start(scene, trial_seconds, "");
        let said = program.out.clone();
        tokio::select! {
            job = scene.ended() => {
                assert_eq!(job.status, Status::Failed);
                let reason = "gone back to 0.1.0: it was started 3 times, and never reported";
                assert_eq!(job.status_details["reason"], reason);
                assert_eq!(said.count("Firmware 0.1.0 runs, from slot a"), 1);
                assert_eq!(scene.boot().active, Slot::A);
                return starts;
            }
            _ = program.end() => {}
        }
    }
}

#[tokio::test]
async fn the_device_program_updates_itself() {
    let program = fs::read(example_path("install_firmware")).unwrap();
    for cut_at in ["", "in its slot", "checkpointed", "switched"] {
        let scene = with(program.clone(), "0.1.0").await;
        // (It is there already, as far as it can tell, unless the old one is different.)
        fs::OpenOptions::new()
            .append(true)
            .open(scene.path("a"))
            .and_then(|mut old| std::io::Write::write_all(&mut old, b"the old one"))
            .unwrap();
        let mut device = start(&scene, 20, cut_at);
        if !cut_at.is_empty() {
            device.out.wait_for(&format!("cut: {cut_at}")).await;
            device.kill().await;
            device = start(&scene, 20, "");
        }
        let job = scene.ended().await;
        assert_eq!(job.status, Status::Succeeded, "{:?}", job.status_details);
        device
            .out
            .wait_for("Firmware 0.1.0 runs, from slot b")
            .await;
        assert!(matches!(scene.boot().update, Update::Done { .. }));
        assert_eq!(scene.boot().active, Slot::B);
        device.kill().await;
    }
}

/// A device program that tells its version, and then does this.
fn broken(does: &str) -> Vec<u8> {
    format!("#!/bin/sh\nif [ \"$1\" = --version ]; then echo jobs-mqtt5 9.9.9; exit; fi\n{does}\n")
        .into()
}

#[tokio::test]
async fn a_device_program_that_crashes_is_gone_back_on() {
    let scene = with(broken("kill -s SEGV $$"), "9.9.9").await;
    // The first start becomes the new program, which is started three times in all.
    assert_eq!(within(supervise(&scene, 20)).await, 4);
}

#[tokio::test]
async fn a_device_program_that_hangs_is_gone_back_on() {
    let scene = with(broken("exec sleep 600"), "9.9.9").await;
    assert_eq!(within(supervise(&scene, 1)).await, 4);
    assert_eq!(
        scene.world.core.jobs().execution(JOB).unwrap().status,
        Status::Failed
    );
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
