//! A token has room for few keys, and gives few tries for its PIN: what a device does not waste.

use local_iot_core::{Mishap, Pki, ProvisioningStep};

use super::*;

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn an_empty_pin_costs_the_token_no_try() {
    let scene = Scene::new().await;
    scene.with_a_certificate().await;
    let before = scene.in_the_tokens();
    fs::write(scene.path("pin"), "\n").unwrap();
    let pin = scene.path("pin");
    let says = format!("no PIN for 'device': its file {} is empty", pin.display());
    assert_eq!(scene.fails().await, says);
    assert!(scene.in_the_tokens() == before, "it was asked");
    // One that is wrong is noted in the token.
    fs::write(scene.path("pin"), "0000\n").unwrap();
    scene.fails().await;
    assert!(
        scene.in_the_tokens() != before,
        "a failed try can't be seen"
    );
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn rotations_leave_no_key_behind() {
    let scene = Scene::new().await;
    scene.with_a_certificate().await;
    let delivered = scene.halves();
    assert_eq!(delivered, 2);
    let (world, jobs) = (&scene.world, scene.world.core.jobs());
    let device = scene.start("rotate_certificate");
    let install = |certificate: &str| {
        let document = json!({"operation": "install-certificate", "certificate": certificate});
        jobs.create_job("certificate", document).unwrap();
    };
    let make_key = async || {
        let document = json!({"operation": "make-key"});
        jobs.create_job("key", document).unwrap();
        world.succeeds("key").await;
    };
    let delete_both = || {
        for job in ["certificate", "key"] {
            jobs.delete_job(job).unwrap();
        }
    };
    for round in 1..=3 {
        make_key().await;
        // One rotation that is gone back on: its key is the next one's.
        let csr = &jobs.execution("key").unwrap().status_details["csr"];
        let csr = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, csr).unwrap();
        install(
            &Pki::unknown()
                .unwrap()
                .certificate_from_csr(&csr, 2020)
                .unwrap(),
        );
        assert_eq!(world.ended("certificate").await.status, Status::Failed);
        delete_both();
        make_key().await;
        install(&world.certificate_for("key"));
        world.succeeds("certificate").await;
        delete_both();
        let proven = "The new certificate has proven good.";
        device.out.wait_for_count(round, proven).await;
        assert_eq!(scene.halves(), delivered + 2);
    }
    device.kill().await;
    // What was delivered is there, for one who wants to begin anew.
    fs::remove_dir_all(scene.path("identity")).unwrap();
    let device = scene.start("rotate_certificate");
    world.queue(&["after"]);
    assert_eq!(world.ended("after").await.status, Status::Rejected);
    device.kill().await;
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn a_key_that_can_t_be_written_down_is_destroyed() {
    let scene = Scene::new().await;
    let full = scene.path("no/such/folder/key.uri");
    let device = scene.start_with("key_in_token", &["--key", full.to_str().unwrap()]);
    let ended = device.end().await;
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    assert!(
        ended.err.contains("key.uri can't be replaced"),
        "{}",
        ended.err
    );
    assert_eq!(scene.halves(), 0);
}

/// The output was lost, or the power failed.
#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn the_request_can_be_had_again() {
    let scene = Scene::new().await;
    let lost = scene.start("key_in_token").end().await;
    assert_eq!(lost.code, Some(0), "{}", lost.err);
    let key = fs::read_to_string(&scene.world.files.key).unwrap();
    scene.with_a_certificate().await;
    assert_eq!(fs::read_to_string(&scene.world.files.key).unwrap(), key);
    assert_eq!(scene.halves(), 2);
    scene.does("key_in_token", "a").await;
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn a_certificate_that_is_missing_is_named() {
    let scene = Scene::new().await;
    scene.with_a_certificate().await;
    fs::remove_file(&scene.world.files.cert).unwrap();
    let ended = scene.start("rotate_certificate").end().await;
    let path = scene.world.files.cert.display();
    let says = format!("{path} can't be read");
    assert!(ended.err.contains(&says), "{}", ended.err);
}

/// A device whose provisioning was cut off when it had a certificate, or only a key for one. Returns where
/// that is, and what it is.
async fn cut_off(file: &str) -> (Scene, PathBuf, String) {
    let scene = Scene::new().await;
    let pki = scene.world.core.pki();
    pki.write_identity(&pki.device().unwrap(), scene.world.folder.path())
        .unwrap();
    crate::provision::prepare(&scene.world);
    let cloud = scene.world.core.provisioning();
    let no = Mishap::Reject(403, "AccessDenied".to_owned());
    cloud.goes_wrong(ProvisioningStep::RegisterThing, no);
    let ended = scene.start("provision").end().await;
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    if file == "first.key" {
        fs::remove_file(scene.path("identity/first.pem")).unwrap();
    }
    let path = scene.path(&format!("identity/{file}"));
    let old = fs::read_to_string(&path).unwrap();
    (scene, path, old)
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn a_device_whose_token_was_set_up_anew_is_provisioned_anew() {
    for file in ["first.key", "first.pem"] {
        let (scene, path, old) = cut_off(file).await;
        fs::remove_dir_all(scene.path("tokens")).unwrap();
        fs::create_dir(scene.path("tokens")).unwrap();
        scene.with_a_token("device").await;
        scene.world.queue(&["first"]);
        let device = scene.start("provision");
        scene.world.succeeds("first").await;
        device
            .err
            .wait_for(&format!(
                "{} is as good as none: there is no key",
                path.display()
            ))
            .await;
        device.kill().await;
        let new = fs::read_to_string(scene.path("identity/current.pem")).unwrap();
        assert!(!new.contains(old.lines().last().unwrap()), "{new}");
    }
}

#[tokio::test]
#[ignore = "needs SoftHSM"]
async fn a_token_that_is_absent_or_locked_says_nothing_about_its_keys() {
    for file in ["first.key", "first.pem"] {
        let (scene, path, old) = cut_off(file).await;
        for part in ["tokens", "pin"] {
            fs::rename(scene.path(part), scene.path("away")).unwrap();
            if part == "pin" {
                fs::write(scene.path("pin"), "0000").unwrap();
            } else {
                fs::create_dir(scene.path("tokens")).unwrap();
            }
            let ended = scene.start("provision").end().await;
            assert_eq!(ended.code, Some(1), "{}", ended.out);
            assert!(ended.err.contains("the token 'device' "), "{}", ended.err);
            if part == "tokens" {
                fs::remove_dir(scene.path("tokens")).unwrap();
            }
            fs::rename(scene.path("away"), scene.path(part)).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), old);
            assert_eq!(scene.halves(), 2);
        }
        scene.does("provision", "first").await;
        let new = fs::read_to_string(scene.path("identity/current.pem")).unwrap();
        assert!(new.contains(old.lines().last().unwrap()), "{new}");
    }
}
