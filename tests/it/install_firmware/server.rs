//! Whatever the server does, the update is downloaded through the program's proxy, or fails in time with the
//! reason.

use std::time::Duration;

use local_iot_core::Status;
use serde_json::json;

use super::{Scene, ends, example, signature, signing_key};
use crate::support::{Faults, FileServer};

#[tokio::test]
async fn an_expired_url_is_replaced_by_a_fresh_one() {
    let scene = Scene::with(Faults {
        uses_of_a_url: Some(1),
        ..Faults::default()
    })
    .await;
    let starts = scene.succeeds().await;
    assert_eq!(scene.server.struck(), 3, "{starts:?}");
    let requests = scene.server.requests();
    let mut urls: Vec<&str> = requests.iter().map(|one| one.query.as_str()).collect();
    urls.dedup();
    assert_eq!(urls.len(), 4, "one for each piece: {urls:?}");
}

#[tokio::test]
async fn an_object_is_asked_for_by_its_version() {
    let scene = Scene::with(Faults::default()).await;
    let mut document = scene.document();
    let url = format!("{}?versionId=abc", scene.server.url());
    document["url"] = json!(format!("${{aws:iot:s3-presigned-url-v2:{url}}}"));
    assert_eq!(scene.done(document).await.0, Status::Succeeded);
    scene.is_installed();
    for request in scene.server.requests() {
        let query = request.query;
        assert!(
            query.starts_with("versionId=abc&X-Amz-Signature="),
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_server_without_ranges_sends_the_whole_file() {
    let scene = Scene::with(Faults {
        has_no_ranges: true,
        cuts: vec![600_000], // once; then it is begun anew
        ..Faults::default()
    })
    .await;
    let starts = scene.succeeds().await;
    assert_eq!(scene.server.struck(), 3, "{starts:?}");
    assert_eq!(starts.len(), 2, "each time the whole");

    let scene = Scene::with(Faults {
        has_no_ranges: true,
        size: Some(1_000_004),
        ..Faults::default()
    })
    .await;
    let reason = "200 OK with '1000004', not '1000003'";
    ends(&scene, scene.document(), Status::Failed, reason).await;
    assert_eq!(scene.server.struck(), 1);
}

#[tokio::test]
async fn an_error_of_the_server_is_waited_out_but_not_for_ever() {
    let with = |count| Faults {
        status: Some((503, count)),
        ..Faults::default()
    };
    let scene = Scene::with(with(20)).await;
    assert_eq!(scene.succeeds().await.len(), 24);
    assert_eq!(scene.server.struck(), 20);

    let mut scene = Scene::with(with(usize::MAX)).await;
    scene.patience = Duration::from_millis(300);
    let reason = "0 of 1000003 bytes, no progress within 300ms: the server sent 503";
    ends(&scene, scene.document(), Status::Failed, reason).await;
}

#[tokio::test]
async fn a_server_that_sends_a_byte_at_a_time_is_not_waited_for_for_ever() {
    // Each connection brings one byte, and is cut.
    let mut scene = Scene::with(Faults {
        cuts: (0..100_000).collect(),
        ..Faults::default()
    })
    .await;
    scene.patience = Duration::from_secs(2);
    let reason = "no progress within 2s";
    ends(&scene, scene.document(), Status::Failed, reason).await;
    assert!(scene.server.struck() > 1);
}

/// What S3 answers in the middle of a download, with the status 400: by the word in it.
#[tokio::test]
async fn what_a_fresh_url_or_a_second_try_mends_does_not_fail_the_update() {
    for code in ["ExpiredToken", "RequestTimeout", "TokenRefreshRequired"] {
        let scene = Scene::with(Faults {
            uses_of_a_url: Some(1),
            expired: Some((400, code)),
            ..Faults::default()
        })
        .await;
        assert!(scene.succeeds().await.len() >= 7, "{code}");
        assert_eq!(scene.server.struck(), 3, "{code}");
    }
    let scene = Scene::with(Faults {
        uses_of_a_url: Some(1),
        expired: Some((400, "AuthorizationQueryParametersError")),
        ..Faults::default()
    })
    .await;
    ends(&scene, scene.document(), Status::Failed, "400 Bad Request").await;
    assert_eq!(scene.server.struck(), 1);
}

#[tokio::test]
async fn what_no_retry_mends_ends_at_once() {
    let scene = Scene::with(Faults {
        status: Some((404, 2)),
        ..Faults::default()
    })
    .await;
    ends(&scene, scene.document(), Status::Failed, "404").await;
    assert_eq!(scene.server.struck(), 1);
}

#[tokio::test]
async fn a_server_that_lies_about_the_length_is_not_believed() {
    let reason = "the server sent 206 Partial Content with 'bytes 0-262143/";
    for size in [1_000_002, 1_000_004] {
        let scene = Scene::with(Faults {
            size: Some(size),
            ..Faults::default()
        })
        .await;
        ends(&scene, scene.document(), Status::Failed, reason).await;
        assert_eq!(scene.server.struck(), 1);
    }
    // And a job document that does.
    let scene = Scene::with(Faults::default()).await;
    let mut document = scene.document();
    document["size"] = json!(1_000_002);
    document["signature"] = json!(signature(&signing_key(1), &scene.firmware[..1_000_002]));
    ends(&scene, document, Status::Failed, reason).await;
    // What was not asked for is not taken.
    let scene = Scene::with(Faults {
        surplus: 1000,
        ..Faults::default()
    })
    .await;
    assert_eq!(scene.succeeds().await.len(), 4);
    assert_eq!(scene.server.struck(), 4);
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let elsewhere = FileServer::start(b"", Faults::default()).await;
    for url in [elsewhere.url(), "http://192.0.2.1/firmware.bin".to_owned()] {
        let scene = Scene::with(Faults {
            redirect: Some(url),
            ..Faults::default()
        })
        .await;
        ends(
            &scene,
            scene.document(),
            Status::Failed,
            "307 Temporary Redirect",
        )
        .await;
        assert_eq!(scene.server.struck(), 1);
    }
    assert_eq!(elsewhere.requests(), []);
}

#[tokio::test]
async fn https_from_a_server_that_nobody_vouches_for_is_failed() {
    let scene = Scene::with(Faults::default()).await;
    let mut document = scene.document();
    let port = scene.world.core.port(); // TLS, with a certificate of the tests' own
    document["url"] = json!(format!("https://localhost:{port}/firmware.bin"));
    ends(
        &scene,
        document,
        Status::Failed,
        "invalid peer certificate: UnknownIssuer",
    )
    .await;
}

#[tokio::test]
async fn it_goes_through_the_program_s_proxy() {
    let mut scene = Scene::with(Faults::default()).await;
    let to = scene.world.core.port(); // TLS, with a certificate of the tests' own
    let (forward, flags) = scene.world.proxy_with_password(to).await;
    scene.proxy = example::presigned::proxy(&flags).unwrap();
    let mut document = scene.document();
    document["url"] = json!("HTTPS://firmware.example.com/firmware.bin");
    ends(&scene, document, Status::Failed, "certificate").await;
    let asked_for = forward.asked_for();
    assert!(!asked_for.is_empty());
    let is_it = |to: &String| to == "firmware.example.com:443";
    assert!(asked_for.iter().all(is_it), "{asked_for:?}");
    // What is on this machine stays on it.
    assert_eq!(scene.succeeds().await.len(), 4);
    assert_eq!(forward.asked_for(), asked_for);
}
