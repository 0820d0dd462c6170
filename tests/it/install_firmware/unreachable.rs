//! A firmware on trial on a device that does not get through to the cloud: that does not speak against it.

use local_iot_core::{Event, Pki, Status};

use super::Scene;
use crate::support::{Faults, eventually};

/// A device that has put the new firmware into its slot, and has ended to start anew.
async fn before_its_trial() -> Scene {
    let scene = Scene::with(Faults::default()).await;
    scene.create_job(scene.document());
    scene.run().await.end().await.unwrap();
    assert_eq!(scene.starts_on_trial(), Some(0));
    scene
}

#[tokio::test]
async fn a_server_that_is_not_to_be_trusted_is_waited_out_in_one_start() {
    let mut scene = before_its_trial().await;
    // As behind a captive portal, or with a clock that is wrong.
    let portal = tempfile::tempdir().unwrap();
    let others = Pki::unknown().unwrap().write_to(portal.path()).unwrap();
    let ca = std::mem::replace(&mut scene.world.files.ca, others.ca);
    let device = scene.start();
    let refused = "was not signed by a CA that is trusted here";
    device.err.wait_for_count(2, refused).await;
    assert_eq!(scene.starts_on_trial(), Some(1));
    device.kill().await;

    scene.world.files.ca = ca;
    let device = scene.start();
    assert_eq!(scene.ended().await.status, Status::Succeeded);
    device.kill().await;
}

#[tokio::test]
async fn a_connection_that_has_ended_permanently_is_told_why() {
    let scene = before_its_trial().await;
    let connects = || {
        let journal = scene.world.core.journal();
        journal.count(|event| matches!(event, Event::Connect { .. }))
    };
    let before = connects();
    let device = scene.start();
    eventually(|| connects() > before).await;
    scene.world.core.disconnect(0x8e);
    let ended = device.end().await;
    assert_eq!(ended.code, Some(1));
    let why = "ended the connection: DISCONNECT 0x8E (session taken over)";
    assert!(ended.err.contains(why), "{}", ended.err);
    assert_eq!(scene.job().status, Status::InProgress);
}
