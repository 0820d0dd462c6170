//! A certificate that is no good fails its job: nothing is deleted, and the old one is used.

use std::fs;

use local_iot_core::{Identity, Pki, Status};

use super::Scene;

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
