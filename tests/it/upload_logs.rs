//! The worked example `upload_logs`: what is uploaded, what is not, and how the job ends.

#[cfg(unix)]
use std::fs;

use local_iot_core::Status;
use serde_json::json;
use tokio::net::TcpListener;

use crate::support::{THING, within};

mod scene;
mod where_to;

#[path = "../examples/upload_logs.rs"]
#[allow(dead_code)] // its `main`
mod example;

use example::Uploads;
use scene::Scene;

#[tokio::test]
async fn a_log_is_uploaded_to_a_place_of_its_own() {
    let scene = Scene::with(&[]).await;
    assert_eq!(scene.done(scene.document()).await.0, Status::Succeeded);
    let uploads = scene.uploads();
    let (request, body) = &uploads[0];
    let path = format!("put /bucket/{THING}/logs-1.log?x-amz-signature=");
    assert!(request.starts_with(&path), "{request}");
    assert_eq!((uploads.len(), &body[..]), (1, &b"it went well\n"[..]));
}

#[tokio::test]
async fn of_a_large_log_the_end_is_uploaded() {
    let scene = Scene::with(&[]).await;
    let mut log = vec![b'x'; 1024 * 1024];
    log.extend_from_slice(b"the end\n");
    scene.log(&log);
    assert_eq!(scene.done(scene.document()).await.0, Status::Succeeded);
    assert_eq!(scene.uploads()[0].1, log[8..]);
}

#[tokio::test]
async fn an_empty_log_is_uploaded() {
    let scene = Scene::with(&[]).await;
    scene.log(b"");
    assert_eq!(scene.done(scene.document()).await.0, Status::Succeeded);
    assert_eq!(scene.uploads()[0].1, b"");
}

#[tokio::test]
async fn a_name_is_never_taken_as_a_path() {
    let scene = Scene::with(&[]).await;
    for name in [
        "device.log",
        "./device",
        "../private.pem.key",
        "/etc/passwd",
        "",
        "DEVICE",
    ] {
        let mut document = scene.document();
        document["log"] = json!(name);
        let (status, reason) = scene.done(document).await;
        assert_eq!(status, Status::Rejected, "{name}");
        assert_eq!(reason, format!("there is no log '{name}'"));
    }
    assert_eq!(scene.uploads(), []);
}

#[tokio::test]
async fn a_document_that_it_does_not_understand_is_rejected() {
    let scene = Scene::with(&[]).await;
    for (field, value, reason) in [
        ("operation", json!("dance"), "unknown variant"),
        ("log", json!(7), "invalid type"),
        (
            "url",
            json!("${aws:iot:other:https://h/k}"),
            "--presigned-url-config",
        ),
    ] {
        let mut document = scene.document();
        document[field] = value.clone();
        let (status, said) = scene.done(document).await;
        assert_eq!(status, Status::Rejected, "{field}: {value}");
        assert!(said.contains(reason), "{field}: {value}: {said}");
    }
    assert_eq!(scene.uploads(), []);
}

#[tokio::test]
async fn a_log_that_is_not_there_fails() {
    let scene = Scene::with(&[]).await;
    let mut document = scene.document();
    document["log"] = json!("system");
    let (status, reason) = scene.done(document).await;
    assert_eq!(status, Status::Failed);
    assert!(reason.starts_with("system.log: "), "{reason}");
}

#[tokio::test]
async fn after_a_url_that_has_expired_a_fresh_one_is_used() {
    let scene = Scene::with(&[403, 503]).await;
    assert_eq!(scene.done(scene.document()).await.0, Status::Succeeded);
    let mut urls: Vec<String> = scene.uploads().into_iter().map(|one| one.0).collect();
    assert_eq!(urls.len(), 3);
    urls.dedup();
    assert_eq!(urls.len(), 3, "each with a signature of its own");
}

#[tokio::test]
async fn what_no_other_url_mends_fails_at_once() {
    let scene = Scene::with(&[404; 20]).await;
    let (status, reason) = scene.done(scene.document()).await;
    assert_eq!(status, Status::Failed);
    assert_eq!(reason, "the server answered 404 Not Found");
    assert_eq!(scene.uploads().len(), 1);
}

/// S3 says with 400 that the URL's credentials have expired, or that the upload was too slow.
#[tokio::test]
async fn after_a_400_that_tells_of_the_url_a_fresh_one_is_used() {
    for (code, tries) in [
        ("ExpiredToken", 2),
        ("RequestTimeout", 2),
        ("EntityTooLarge", 1),
    ] {
        let scene = Scene::with(&[400]).await;
        *scene.error.lock().unwrap() = format!("<Error><Code>{code}</Code></Error>");
        let (status, reason) = scene.done(scene.document()).await;
        let expected = match tries {
            2 => Status::Succeeded,
            _ => Status::Failed,
        };
        assert_eq!(status, expected, "{code}: {reason}");
        assert_eq!(scene.uploads().len(), tries, "{code}");
    }
}

#[tokio::test]
async fn a_bucket_that_keeps_refusing_fails_the_job() {
    let scene = Scene::with(&[403; 20]).await;
    let (status, reason) = scene.done(scene.document()).await;
    assert_eq!(status, Status::Failed);
    assert_eq!(reason, "the server answered 403 Forbidden");
    assert_eq!(scene.uploads().len(), 8);
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_is_not_followed_and_a_pipe_not_waited_for() {
    let scene = Scene::with(&[]).await;
    let log = scene.world.folder.path().join("logs/device.log");
    fs::remove_file(&log).unwrap();
    std::os::unix::fs::symlink(&scene.world.files.key, &log).unwrap();
    let (status, reason) = scene.done(scene.document()).await;
    assert_eq!(status, Status::Failed);
    assert!(reason.starts_with("device.log: "), "{reason}");
    fs::remove_file(&log).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&log).status();
    assert!(made.unwrap().success());
    let (status, reason) = scene.done(scene.document()).await;
    assert_eq!(status, Status::Failed);
    assert_eq!(reason, "device.log: is not a regular file");
    assert_eq!(scene.uploads(), []);
}

#[tokio::test]
async fn a_cancel_is_heard_while_the_upload_hangs() {
    let scene = Scene::with(&[]).await;
    // It takes the connection, and nothing more.
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let mut document = scene.document();
    document["url"] = json!(format!("http://127.0.0.1:{port}/log"));
    let jobs = scene.world.core.jobs();
    jobs.create_job("logs", document).unwrap();
    let running = scene.run(Uploads {
        urls: vec![format!("http://127.0.0.1:{port}/")],
        ..scene.uploads_here()
    });
    let (hanging, _) = within(silent.accept()).await.unwrap();
    jobs.cancel_job_by_force("logs").unwrap();
    // It hangs still, and the next job is done: a cancel is not waited out.
    jobs.create_job("next", json!({"operation": "dance"}))
        .unwrap();
    within(jobs.wait_for_status("next", Status::Rejected)).await;
    assert_eq!(jobs.execution("logs").unwrap().status, Status::Canceled);
    drop(hanging);
    running.stop().await.unwrap();
}
