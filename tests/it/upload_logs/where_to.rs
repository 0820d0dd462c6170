//! A log goes only where it may: to the hosts that are listed, by TLS, and through the program's own proxy.

use std::sync::Arc;

use local_iot_core::Status;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use ureq::tls::{RootCerts, TlsConfig};

use super::example::{self, Uploads};
use super::scene::Scene;

/// Where a log would go with these hosts.
fn is_allowed(url: &str, hosts: &[&str]) -> bool {
    let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
    example::check(url, &hosts).is_ok()
}

#[test]
fn a_log_goes_to_the_hosts_that_are_listed_and_by_tls_only() {
    let s3 = "s3.eu-west-1.amazonaws.com";
    for url in [
        "https://s3.eu-west-1.amazonaws.com/my-bucket/log",
        "https://my-bucket.s3.eu-west-1.amazonaws.com/log?X-Amz-Signature=1",
        "https://S3.EU-WEST-1.amazonaws.com:443/my-bucket/log",
    ] {
        assert!(is_allowed(url, &[s3]), "{url}");
        assert!(is_allowed(url, &["logs.example.com", s3]), "{url}");
        assert!(!is_allowed(url, &["logs.example.com"]), "{url}");
        assert!(!is_allowed(url, &[]), "{url}");
    }
    for url in [
        "http://s3.eu-west-1.amazonaws.com/my-bucket/log",
        "https://example.com/log",
        "https://s3.eu-west-1.amazonaws.com@example.com/log",
        "https://s3.eu-west-1.amazonaws.com.example.com/log",
        "https://evils3.eu-west-1.amazonaws.com/log",
        "https://s3.us-east-1.amazonaws.com/log",
        "https://s3.eu-west-1.amazonaws.com:8443/log",
        "http://127.0.0.1@example.com/",
        "http://localhost/log",
        "file:///etc/passwd",
        "https:///log",
        "//s3.eu-west-1.amazonaws.com/log",
        "",
    ] {
        assert!(!is_allowed(url, &[s3]), "{url}");
    }
    // Without TLS: to this machine only, and only if the reader says so.
    let here = "http://127.0.0.1:4566";
    assert!(is_allowed("http://127.0.0.1:4566/bucket/log", &[here]));
    assert!(!is_allowed("http://127.0.0.1:4567/bucket/log", &[here]));
    assert!(!is_allowed(
        "http://127.0.0.1:4566/bucket/log",
        &["127.0.0.1:4566"]
    ));
    assert!(!is_allowed(
        "http://example.com/log",
        &["http://example.com"]
    ));
}

#[test]
fn s3_of_the_device_s_own_region_is_the_default() {
    let beside = |endpoint: &str| example::s3_beside(endpoint);
    let expected = Some("s3.eu-west-1.amazonaws.com".to_owned());
    assert_eq!(beside("a1b2c3-ats.iot.eu-west-1.amazonaws.com"), expected);
    let expected = Some("s3.cn-north-1.amazonaws.com.cn".to_owned());
    assert_eq!(
        beside("a1b2c3.ats.iot.cn-north-1.amazonaws.com.cn"),
        expected
    );
    assert_eq!(beside("localhost"), None);
}

#[tokio::test]
async fn a_host_that_is_not_listed_gets_nothing() {
    let scene = Scene::with(&[]).await;
    let nowhere = Uploads {
        hosts: vec!["s3.eu-west-1.amazonaws.com".to_owned()],
        ..scene.uploads_here()
    };
    let (status, reason) = scene.done_with(nowhere, scene.document()).await;
    assert_eq!(status, Status::Rejected);
    let words = "by https, and to these hosts only: s3.eu-west-1.amazonaws.com (see LOG_HOSTS)";
    assert!(reason.ends_with(words), "{reason}");
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
    let proxy = example::presigned::proxy(&flags).unwrap();
    let uploads = Uploads {
        hosts: vec![
            format!("localhost:{secure_port}"),
            format!("http://127.0.0.1:{}", scene.port),
        ],
        proxy,
        tls,
        ..scene.uploads_here()
    };
    let mut document = scene.document();
    document["url"] = json!(format!("https://localhost:{secure_port}/log"));
    let (status, reason) = scene.done_with(uploads.clone(), document).await;
    assert_eq!(status, Status::Succeeded, "{reason}");
    assert_eq!(forward.asked_for(), [format!("localhost:{secure_port}")]);
    assert_eq!(scene.uploads().len(), 1);
    // Without TLS, it stays on this machine: no proxy gets to see it.
    let (status, reason) = scene.done_with(uploads, scene.document()).await;
    assert_eq!(status, Status::Succeeded, "{reason}");
    assert_eq!(forward.asked_for().len(), 1);
    assert_eq!(scene.uploads().len(), 2);
    bucket.abort();
}
