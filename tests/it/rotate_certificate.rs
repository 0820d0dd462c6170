//! The worked example `rotate_certificate`, as a program: a certificate is rotated, and then another one, and
//! the key never leaves the device.

use std::fs;

use local_iot_core::{Identity, Status};
use rcgen::KeyPair;
use serde_json::json;

mod each_step;
mod refused;
mod scene;
mod trial;

#[path = "../examples/rotate_certificate/main.rs"]
#[allow(dead_code)] // its `main`
mod example;

use scene::Scene;

#[tokio::test]
async fn a_certificate_is_rotated_and_then_another_one() {
    let scene = Scene::new().await;
    let device = scene.start();
    for round in 1..=2 {
        scene.ask_for_a_key();
        let certificate = scene.certificate(&scene.csr().await);
        scene.bring(&certificate);
        scene.is_rotated(&device, round, &certificate).await;
        assert_eq!(scene.connects(), 1 + round, "it reconnects, once");
        assert!(!scene.path("next.key").exists());
        for job in ["key", "certificate"] {
            scene.world.core.jobs().delete_job(job).unwrap();
        }
    }
    device.kill().await;
    assert_eq!(scene.world.core.journal().violations(), [""; 0]);
}

#[tokio::test]
async fn the_key_never_leaves_the_device() {
    let scene = Scene::new().await;
    let csr = scene.has_a_key().await;
    let key = fs::read_to_string(scene.path("next.key")).unwrap();
    let key = KeyPair::from_pem(&key).unwrap();
    let secret = &key.serialize_der()[36..68]; // P-256 in PKCS#8: what stands before has a fixed length
    let is_in = |text: &[u8]| text.windows(secret.len()).any(|part| part == secret);
    assert!(is_in(key.serialized_der()));
    let jobs = scene.world.core.jobs();
    let details = jobs.execution("key").unwrap().status_details;
    assert_eq!(details.keys().collect::<Vec<_>>(), ["csr"]);
    assert!(!is_in(&csr));
}

#[tokio::test]
async fn the_certificate_in_use_sent_again_costs_no_key() {
    let scene = Scene::new().await;
    let device = scene.start();
    scene.ask_for_a_key();
    let certificate = scene.certificate(&scene.csr().await);
    scene.bring(&certificate);
    scene.is_rotated(&device, 1, &certificate).await;
    let jobs = scene.world.core.jobs();
    for job in ["key", "certificate"] {
        jobs.delete_job(job).unwrap();
    }
    scene.ask_for_a_key();
    let next = scene.certificate(&scene.csr().await);
    scene.bring(&certificate);
    assert_eq!(
        scene.world.ended("certificate").await.status,
        Status::Succeeded
    );
    jobs.delete_job("certificate").unwrap();
    scene.bring(&next);
    scene.is_rotated(&device, 2, &next).await;
    device.kill().await;
}

#[tokio::test]
async fn a_key_that_waits_is_kept_when_another_one_is_asked_for() {
    let scene = Scene::new().await;
    let certificate = scene.certificate(&scene.has_a_key().await);
    scene.world.core.jobs().delete_job("key").unwrap();
    scene.has_a_key().await;
    scene.bring(&certificate); // for the first request
    let device = scene.start();
    scene.is_rotated(&device, 1, &certificate).await;
    device.kill().await;
}

#[tokio::test]
async fn a_document_that_it_does_not_understand_is_rejected() {
    let scene = Scene::new().await;
    let jobs = scene.world.core.jobs();
    jobs.create_job("dance", json!({"operation": "dance"}))
        .unwrap();
    let device = scene.start();
    assert_eq!(scene.world.ended("dance").await.status, Status::Rejected);
    device.kill().await;
}

#[tokio::test]
async fn a_file_that_holds_something_else_is_as_good_as_none() {
    let scene = Scene::new().await;
    fs::create_dir(scene.path("")).unwrap();
    let Identity { cert_pem, key_pem } = scene.world.core.pki().device().unwrap();
    let other = scene.world.core.pki().device().unwrap();
    let head = "Job: certificate 1\n";
    for garbage in [
        String::new(),
        "garbage".to_owned(),
        format!("{head}{cert_pem}"),
        format!("{head}{cert_pem}{}", other.key_pem),
        format!("{cert_pem}{}", &key_pem[..key_pem.len() / 2]),
    ] {
        for name in ["trial.pem", "current.pem", "next.key", "candidate.pem"] {
            fs::write(scene.path(name), &garbage).unwrap();
        }
        let device = scene.start();
        scene.ask_again(&device).await;
        device.kill().await;
    }
    let device = scene.start();
    scene.ask_for_a_key();
    let certificate = scene.certificate(&scene.csr().await);
    scene.bring(&certificate);
    let done = scene.world.ended("certificate").await;
    assert_eq!(done.status, Status::Succeeded, "{:?}", done.status_details);
    device.kill().await;
}

#[tokio::test]
async fn two_programs_do_not_share_a_folder_and_the_second_says_who_has_it() {
    let scene = Scene::new().await;
    let device = scene.start();
    device.out.wait_for("Connecting with").await;
    let second = scene.start().end().await;
    assert_eq!(second.code, Some(1));
    let words = format!("is in use by process {}", device.id());
    assert!(second.err.contains(&words), "{}", second.err);
    scene.ask_again(&device).await;
    device.kill().await;
}
