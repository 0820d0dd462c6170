//! A log goes only where it may: to the hosts that are listed, by TLS, and through the program's own proxy.

use std::sync::Arc;

use jobs_mqtt5::cli::Flags;
use local_iot_core::Status;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use ureq::tls::{RootCerts, TlsConfig};

use super::example::{self, Uploads};
use super::scene::Scene;
use crate::support::Program;

const S3: &str = "https://s3.eu-west-1.amazonaws.com/my-bucket/";

/// Whether a log may go there with these URLs in the list.
fn is_allowed(url: &str, urls: &[&str]) -> bool {
    let urls: Vec<_> = urls.iter().map(|url| (*url).to_owned()).collect();
    example::check(url, &urls).is_ok()
}

#[test]
fn a_log_goes_below_the_urls_that_are_listed_and_by_tls_only() {
    let by_host = "https://my-bucket.s3.eu-west-1.amazonaws.com/";
    let own = "https://logs.example.com:8443";
    for (url, place) in [
        ("https://s3.eu-west-1.amazonaws.com/my-bucket/log", S3),
        (
            "https://s3.eu-west-1.amazonaws.com/my-bucket/a/b.log?X-Amz-Signature=1..%2e",
            S3,
        ),
        (
            "HTTPS://S3.EU-WEST-1.amazonaws.com:443/my-bucket/log",
            S3.trim_end_matches('/'),
        ),
        ("https://my-bucket.s3.eu-west-1.amazonaws.com/log", by_host),
        ("https://logs.example.com:8443/log", own),
    ] {
        assert!(is_allowed(url, &[place]), "{url}");
        assert!(
            is_allowed(url, &["", "https://other.example", place]),
            "{url}"
        );
        assert!(!is_allowed(url, &["https://other.example"]), "{url}");
        assert!(!is_allowed(url, &[]), "{url}");
    }
    for url in [
        "http://s3.eu-west-1.amazonaws.com/my-bucket/log",
        "https://example.com/my-bucket/log",
        "https://s3.eu-west-1.amazonaws.com@example.com/my-bucket/log",
        "https://s3.eu-west-1.amazonaws.com\\@example.com/my-bucket/log",
        "https://s3.eu-west-1.amazonaws.com.example.com/my-bucket/log",
        "https://evils3.eu-west-1.amazonaws.com/my-bucket/log",
        "https://s3.us-east-1.amazonaws.com/my-bucket/log",
        "https://s3.eu-west-1.amazonaws.com:8443/my-bucket/log",
        "https://logs.example.com/log",
        "http://127.0.0.1@example.com/",
        "http://localhost/my-bucket/log",
        "file:///etc/passwd",
        "https:///my-bucket/log",
        "//s3.eu-west-1.amazonaws.com/my-bucket/log",
        "",
    ] {
        assert!(!is_allowed(url, &[S3, by_host, own]), "{url}");
    }
    // Without TLS: to this machine only, and only if the reader says so.
    let here = "http://127.0.0.1:4566/bucket";
    assert!(is_allowed("http://127.0.0.1:4566/bucket/log", &[here]));
    assert!(!is_allowed("http://127.0.0.1:4567/bucket/log", &[here]));
    assert!(!is_allowed(
        "http://127.0.0.1:4566/bucket/log",
        &["127.0.0.1:4566/bucket"]
    ));
    assert!(!is_allowed(
        "http://example.com/log",
        &["http://example.com"]
    ));
}

/// Anybody can have a bucket at the same host, and presign a URL to it.
#[test]
fn a_log_goes_to_no_other_bucket_at_the_same_host() {
    for path in [
        "attackers-bucket/log",
        "my-bucket-too/log",
        "my-bucket",
        "MY-BUCKET/log",
        "/my-bucket/log",
        "./my-bucket/log",
        "attackers-bucket/../my-bucket/log",
        "my-bucket/../attackers-bucket/log",
        "my-bucket/%2e%2E/attackers-bucket/log",
        "my-bucket/.%2e/attackers-bucket/log",
        "my-bucket/x%2f..%2f..%2fattackers-bucket/log",
        "my-bucket%2flog",
        "my-bucket\\..\\attackers-bucket/log",
        "?/my-bucket/log",
        "#/my-bucket/log",
    ] {
        let url = format!("https://s3.eu-west-1.amazonaws.com/{path}");
        assert!(!is_allowed(&url, &[S3]), "{url}");
    }
    let url = "https://attackers-bucket.s3.eu-west-1.amazonaws.com/my-bucket/log";
    assert!(!is_allowed(url, &[S3]));
}

#[test]
fn an_empty_entry_in_the_list_allows_nothing() {
    for urls in [&[S3, ""][..], &[" "], &["/"], &["https://"], &["."]] {
        for url in [
            "https://evil.example/log",
            "https://evil.example./log",
            "https://./log",
        ] {
            assert!(!is_allowed(url, urls), "{url}: {urls:?}");
        }
    }
}

#[tokio::test]
async fn without_a_list_the_job_fails_and_says_what_to_set() {
    let scene = Scene::with(&[]).await;
    let jobs = scene.world.core.jobs();
    jobs.create_job("logs", scene.document()).unwrap();
    let program = Program::start_example("upload_logs", &scene.world.flags(&[]));
    let ended = scene.world.ended("logs").await;
    assert_eq!(ended.status, Status::Failed);
    let reason = &ended.status_details["reason"];
    assert!(reason.contains("set LOG_URLS on it"), "{reason}");
    program.kill().await;
    assert_eq!(scene.uploads(), []);
}

#[tokio::test]
async fn a_bucket_that_is_not_listed_gets_nothing() {
    let scene = Scene::with(&[]).await;
    let elsewhere = Uploads {
        urls: vec![S3.to_owned()],
        ..scene.uploads_here()
    };
    let (status, reason) = scene.done_with(elsewhere, scene.document()).await;
    assert_eq!(status, Status::Rejected);
    let words = format!("below these URLs only: {S3} (see LOG_URLS)");
    assert!(reason.ends_with(&words), "{reason}");
    assert_eq!(scene.uploads(), []);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let scene = Scene::with(&[307; 20]).await;
    let (status, reason) = scene.done(scene.document()).await;
    assert_eq!(status, Status::Failed, "{reason}");
    assert!(
        scene
            .uploads()
            .iter()
            .all(|(line, _)| line.starts_with("put /bucket/"))
    );
}

/// A bucket behind TLS, which passes what it gets on to the one without.
async fn behind_tls(scene: &Scene) -> (u16, TlsConfig, AbortHandle) {
    let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = identity.cert.der().clone();
    let key = identity.signing_key.serialize_der().try_into().unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let to = scene.port;
    let task = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            connections.spawn(async move {
                let mut stream = acceptor.accept(stream).await.unwrap();
                let mut bucket = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut bucket).await;
            });
        }
    });
    let root = ureq::tls::Certificate::from_der(&certificate).to_owned();
    let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[root]));
    (port, tls.build(), task.abort_handle())
}

#[tokio::test]
async fn the_program_s_own_proxy_is_used_with_its_password() {
    let scene = Scene::with(&[]).await;
    let (secure_port, tls, bucket) = behind_tls(&scene).await;
    let (forward, flags) = scene.world.proxy_with_password(secure_port).await;
    let place = format!("localhost:{secure_port}");
    let mut uploads = Uploads {
        urls: vec![format!("https://{place}/")],
        tls,
        ..scene.uploads_here()
    };
    uploads.urls.extend(scene.uploads_here().urls);
    // Its file as people and programs write it (Windows begins it with a byte order mark).
    for (scheme, auth) in [
        ("https", "user:secret\n"),
        ("HTTPS", "\u{feff}user:secret\r\n"),
    ] {
        std::fs::write(flags.proxy_auth.as_ref().unwrap(), auth).unwrap();
        uploads.proxy = example::presigned::proxy(&flags).unwrap();
        let mut document = scene.document();
        document["url"] = json!(format!("{scheme}://{place}/log"));
        let (status, reason) = scene.done_with(uploads.clone(), document).await;
        assert_eq!(status, Status::Succeeded, "{scheme}: {reason}");
    }
    assert_eq!(forward.asked_for(), [&place[..]; 2]);
    assert_eq!(scene.uploads().len(), 2);
    // Without TLS, it stays on this machine: no proxy gets to see it.
    let (status, reason) = scene.done_with(uploads, scene.document()).await;
    assert_eq!(status, Status::Succeeded, "{reason}");
    assert_eq!(forward.asked_for().len(), 2);
    assert_eq!(scene.uploads().len(), 3);
    bucket.abort();
}

#[tokio::test]
async fn a_proxy_may_be_an_ipv6_address() {
    let scene = Scene::with(&[]).await;
    let more = ["program", "--proxy_host", "::1", "--proxy_port", "3128"];
    let flags = Flags::from_arguments(scene.world.flags(&more)).unwrap();
    let proxy = example::presigned::proxy(&flags).unwrap().unwrap();
    assert_eq!((proxy.host(), proxy.port()), ("[::1]", 3128));
}
