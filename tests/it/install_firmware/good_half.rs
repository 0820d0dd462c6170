//! A good half beside a bad one: the application in the active slot can't be started, and the other can.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use jobs_mqtt5::sample::lines;
use local_iot_core::Status;

use super::{Scene, firmware};
use crate::support::Faults;

/// A device with 1.4.1 in slot `a`, and this in slot `b`, which is active.
async fn with(breaks: impl FnOnce(&Scene)) -> Scene {
    let scene = Scene::with_firmware(firmware("1.4.3", "true"), Faults::default()).await;
    let boot = "active=b\na=thermostat 1.4.1\nb=thermostat 1.4.2\n";
    fs::write(scene.path("boot"), boot).unwrap();
    breaks(&scene);
    scene
}

#[tokio::test]
async fn an_active_slot_that_cannot_be_started_gives_way_to_the_other_and_is_mended_by_an_update() {
    type Breaks = fn(&Scene);
    let breaks: [(&str, Breaks); 4] = [
        ("missing", |_| ()),
        ("empty", |scene| {
            fs::write(scene.path("b"), "").unwrap();
            fs::set_permissions(scene.path("b"), PermissionsExt::from_mode(0o755)).unwrap();
        }),
        ("not executable", |scene| {
            fs::write(scene.path("b"), firmware("1.4.2", "true")).unwrap();
        }),
        ("for another machine", |scene| {
            fs::write(scene.path("b"), b"\x7fELF\x02\x01\x01").unwrap();
            fs::set_permissions(scene.path("b"), PermissionsExt::from_mode(0o755)).unwrap();
        }),
    ];
    for (how, breaks) in breaks {
        let scene = with(breaks).await;
        let device = scene.start();
        device.err.wait_for("Slot b can't be started: ").await;
        let runs = "Firmware thermostat 1.4.1 runs, from slot a";
        device.out.wait_for(runs).await;
        let mut document = scene.document();
        document["version"] = serde_json::json!("1.4.3");
        scene.create_job(document);
        let job = scene.ended().await;
        assert_eq!(
            job.status,
            Status::Succeeded,
            "{how}: {:?}",
            job.status_details
        );
        scene.settles().await;
        scene.is_installed();
        device.kill().await;
    }
}

#[tokio::test]
async fn without_any_firmware_that_can_be_started_it_still_does_jobs() {
    let scene = with(|scene| fs::remove_file(scene.path("a")).unwrap()).await;
    fs::create_dir(scene.path("b")).unwrap();
    let device = scene.start();
    device.err.wait_for("Slot a can't be started: ").await;
    device.out.wait_for(lines::NOTHING_TO_START).await;
    device.kill().await;
}

#[tokio::test]
async fn a_boot_file_of_garbage_starts_slot_a() {
    let scene = with(|scene| fs::write(scene.path("boot"), [0xff, 0, 0xfe]).unwrap()).await;
    let device = scene.start();
    let runs = "Firmware thermostat 1.4.1 runs, from slot a";
    device.out.wait_for(runs).await;
    device.kill().await;
}
