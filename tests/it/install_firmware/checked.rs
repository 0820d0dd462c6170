//! What the device looks at before it lets a firmware near a slot: the document, the signature, the version.

use std::fs;

use local_iot_core::Status;
use serde_json::{Value, json};

use super::{Scene, ends, firmware, signature, signing_key};
use crate::support::{Faults, FileServer};

/// The job succeeds.
async fn is_done(scene: &Scene, document: Value) {
    let done = scene.done(document).await;
    assert_eq!(done, (Status::Succeeded, String::new()));
}

#[tokio::test]
async fn a_document_that_it_does_not_understand_is_rejected() {
    let scene = Scene::with(Faults::default()).await;
    let not_replaced = "the URL's placeholder was not replaced";
    for (field, value, reason) in [
        ("operation", json!("reboot"), "unknown variant `reboot`"),
        ("operation", Value::Null, "missing field"), // AWS leaves null out
        ("version", json!("1.4"), "version is not like"),
        ("version", json!("1.4.2.1"), "version is not like"),
        ("version", json!("../../1"), "version is not like"),
        ("version", json!("+1.5.0"), "version is not like"),
        ("version", json!("1.5.-0"), "version is not like"),
        ("product", json!("a thermostat"), "product is not one word"),
        ("product", json!(""), "product is not one word"),
        ("product", Value::Null, "missing field"),
        ("size", json!(0), "size is 0"),
        ("size", json!(64 * 1024 * 1024 + 1), "or too large"),
        ("size", json!(-1), "invalid value"),
        ("signature", json!("abc"), "signature is not one"),
        (
            "signature",
            json!("${aws:iot:code-sign-signature:s3://r.b/k@1}"),
            "was not replaced",
        ),
        ("allow_downgrade", json!(true), "invalid type"),
        (
            "url",
            json!("http://example.com/firmware.bin"),
            "url must be https",
        ),
        (
            "url",
            json!("http://127.0.0.1@example.com/"),
            "url must be https",
        ),
        (
            "url",
            json!("http://127.0.0.1.example.com/"),
            "url must be https",
        ),
        (
            "url",
            json!("ftp://127.0.0.1/firmware.bin"),
            "url must be https",
        ),
        ("url", json!("firmware.bin"), "url must be https"),
        // As a job without --presigned-url-config has it.
        (
            "url",
            json!("${aws:iot:s3-presigned-url-v3:https://h/k}"),
            not_replaced,
        ),
    ] {
        let mut document = scene.document();
        document[field] = value.clone();
        let (status, said) = scene.done(document).await;
        assert_eq!(status, Status::Rejected, "{field}: {value}");
        assert!(said.contains(reason), "{field}: {value}: {said}");
    }
    assert_eq!(scene.done(json!([])).await.0, Status::Rejected);
    assert_eq!(scene.server.requests(), []);
    scene.is_as_before();
}

#[tokio::test]
async fn a_url_with_its_placeholder_names_the_setting_that_is_missing() {
    let scene = Scene::with(Faults::default()).await;
    let mut document = scene.document();
    document["url"] = json!("${aws:iot:s3-presigned-url-v3:https://h/k}");
    ends(&scene, document, Status::Rejected, "--presigned-url-config").await;
}

#[tokio::test]
async fn a_file_that_was_changed_on_the_way_is_failed() {
    let mut scene = Scene::with(Faults::default()).await;
    let document = scene.document();
    scene.firmware[999_999] ^= 1;
    scene.server = FileServer::start(&scene.firmware, Faults::default()).await;
    let mut document_now = scene.document();
    document_now["signature"] = document["signature"].clone();
    let reason = "none of this device's keys has signed this file";
    ends(&scene, document_now, Status::Failed, reason).await;
    assert_eq!(scene.server.requests().len(), 4, "the whole file, once");
}

#[tokio::test]
async fn a_file_that_somebody_else_has_signed_is_failed() {
    let scene = Scene::with(Faults::default()).await;
    let mut document = scene.document();
    document["signature"] = json!(signature(&signing_key(3), &scene.firmware));
    ends(
        &scene,
        document,
        Status::Failed,
        "none of this device's keys",
    )
    .await;
}

#[tokio::test]
async fn without_a_key_nothing_is_installed() {
    let scene = Scene::with(Faults::default()).await;
    fs::remove_file(scene.path("signing-key-1.pem")).unwrap();
    fs::remove_file(scene.path("signing-key-2.pem")).unwrap();
    let reason = "there is no signing key";
    ends(&scene, scene.document(), Status::Failed, reason).await;
    fs::write(scene.path("signing-key-1.pem"), "no key").unwrap();
    ends(&scene, scene.document(), Status::Failed, "is no public key").await;
}

#[tokio::test]
async fn the_next_signing_key_is_good_beside_the_first_one_and_alone() {
    for is_alone in [false, true] {
        let scene = Scene::with(Faults::default()).await;
        if is_alone {
            fs::remove_file(scene.path("signing-key-1.pem")).unwrap();
        }
        let mut document = scene.document();
        document["signature"] = json!(signature(&signing_key(2), &scene.firmware));
        is_done(&scene, document).await;
        scene.is_installed();
    }
}

#[tokio::test]
async fn one_signing_key_that_cannot_be_read_does_not_spoil_the_other() {
    let scene = Scene::with(Faults::default()).await;
    fs::write(scene.path("signing-key-1.pem"), "no key").unwrap();
    let mut document = scene.document();
    ends(
        &scene,
        document.clone(),
        Status::Failed,
        "none of this device's keys",
    )
    .await;
    document["signature"] = json!(signature(&signing_key(2), &scene.firmware));
    is_done(&scene, document).await;
    scene.is_installed();
}

#[tokio::test]
async fn the_firmware_of_another_product_is_not_installed_whatever_its_document_says() {
    let other = super::firmware_that("kettle 1.4.2", "true", "exec cat > /dev/null");
    let scene = Scene::with_firmware(other, Faults::default()).await;
    let reason = "the file is kettle 1.4.2, not thermostat 1.4.2";
    ends(&scene, scene.document(), Status::Failed, reason).await;
    let mut document = scene.document();
    document["product"] = json!("kettle");
    let reason = "this device is a thermostat, not a kettle";
    ends(&scene, document, Status::Rejected, reason).await;
}

#[tokio::test]
async fn where_it_is_not_known_what_is_installed_nothing_is_installed() {
    let scene = Scene::with(Faults::default()).await;
    let silent = super::firmware_that("", "true", "exec cat > /dev/null");
    fs::write(scene.path("a"), silent).unwrap();
    let (status, said) = scene.done(scene.document()).await;
    assert_eq!(status, Status::Rejected, "{said}");
    assert_eq!(said, "what runs here does not say its product and version");
    assert_eq!(scene.server.requests(), []);
}

#[tokio::test]
async fn what_is_installed_is_written_down_and_need_not_be_asked_again() {
    let scene = old_one().await;
    let running = scene.run().await; // the first start of a new device
    running.stop().await.unwrap();
    let silent = super::firmware_that("", "true", "exec cat > /dev/null");
    fs::write(scene.path("a"), silent).unwrap();
    let mut document = scene.document();
    document["version"] = json!("1.3.0");
    let (status, said) = scene.done(document).await;
    assert_eq!(status, Status::Rejected, "{said}");
    assert_eq!(said, "thermostat 1.3.0 is not newer than thermostat 1.4.1");
}

#[tokio::test]
async fn a_downgrade_is_for_one_update() {
    let mut scene = old_one().await;
    let mut document = scene.document();
    document["version"] = json!("1.3.0");
    document["allow_downgrade"] = json!(3);
    let signed = [&scene.firmware[..], b"allow_downgrade=3"].concat();
    document["signature"] = json!(signature(&signing_key(1), &signed));
    is_done(&scene, document.clone()).await;
    // Up again, and the same once more.
    let old = scene.server;
    scene.firmware = firmware("1.4.2", "true");
    scene.server = FileServer::start(&scene.firmware, Faults::default()).await;
    is_done(&scene, scene.document()).await;
    scene.server = old;
    let before = scene.server.requests().len();
    let (status, said) = scene.done(document).await;
    assert_eq!(status, Status::Rejected);
    assert_eq!(said, "allow_downgrade is 3, and 3 was used already");
    assert_eq!(scene.server.requests().len(), before);
}

#[tokio::test]
async fn what_is_not_newer_is_rejected_before_it_is_downloaded() {
    let scene = Scene::with(Faults::default()).await;
    for version in ["1.4.1", "1.3.10", "0.9.9"] {
        let mut document = scene.document();
        document["version"] = json!(version);
        let reason = format!("thermostat {version} is not newer than thermostat 1.4.1");
        ends(&scene, document, Status::Rejected, &reason).await;
    }
    assert_eq!(scene.server.requests(), []);
}

/// An old firmware, on the server.
async fn old_one() -> Scene {
    Scene::with_firmware(firmware("1.3.0", "true"), Faults::default()).await
}

#[tokio::test]
async fn an_old_firmware_is_not_let_in_under_a_new_version() {
    let scene = old_one().await; // with a good signature, as it had when it was new
    let reason = "the file is thermostat 1.3.0, not thermostat 1.4.2";
    ends(&scene, scene.document(), Status::Failed, reason).await;
    assert_eq!(scene.server.requests().len(), 4, "it was looked at");
}

#[tokio::test]
async fn a_downgrade_is_installed_if_it_was_signed_as_one() {
    let scene = old_one().await;
    let mut document = scene.document();
    document["version"] = json!("1.3.0");
    document["allow_downgrade"] = json!(3);
    // The signature of the file alone does not do.
    ends(
        &scene,
        document.clone(),
        Status::Failed,
        "none of this device's keys",
    )
    .await;
    let signed = [&scene.firmware[..], b"allow_downgrade=3"].concat();
    document["signature"] = json!(signature(&signing_key(1), &signed));
    is_done(&scene, document).await;
    scene.is_installed();
    // Nor does that of a downgrade do for an update.
    let scene = Scene::with(Faults::default()).await;
    let signed = [&scene.firmware[..], b"allow_downgrade=3"].concat();
    let mut document = scene.document();
    document["signature"] = json!(signature(&signing_key(1), &signed));
    ends(
        &scene,
        document,
        Status::Failed,
        "none of this device's keys",
    )
    .await;
}

#[tokio::test]
async fn what_is_installed_already_is_not_downloaded_again() {
    let scene = Scene::with(Faults::default()).await;
    assert_eq!(scene.done(scene.document()).await.0, Status::Succeeded);
    let requests = scene.server.requests().len();
    assert_eq!(scene.done(scene.document()).await.0, Status::Succeeded);
    assert_eq!(scene.server.requests().len(), requests);
    scene.is_installed();
}

#[tokio::test]
async fn a_file_that_is_no_program_is_failed() {
    let mut content = vec![0; 2000];
    content[..4].copy_from_slice(b"\x7fELF");
    let scene = Scene::with_firmware(content, Faults::default()).await;
    ends(
        &scene,
        scene.document(),
        Status::Failed,
        "part can't be started",
    )
    .await;
}
