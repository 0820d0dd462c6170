//! The handshake, and the line below it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;

use super::client::{Client, tls_config};
use crate::{Event, KeyForm, LocalIotCore, Options, ServerCertificate, TlsVersions};

async fn with_certificate(server_certificate: ServerCertificate) -> Result<LocalIotCore, String> {
    let options = Options {
        server_certificate,
        ..Options::default()
    };
    let core = LocalIotCore::start(options).await.unwrap();
    let config = tls_config(&core, &core.pki().device().unwrap());
    match Client::over(&core, config).await {
        Ok(_) => Ok(core),
        Err(error) => Err(error.to_string()),
    }
}

#[tokio::test]
async fn server_certificates() {
    assert!(with_certificate(ServerCertificate::Good).await.is_ok());
    assert!(with_certificate(ServerCertificate::LongChain).await.is_ok());
    for (bad, why) in [
        (ServerCertificate::Expired, "expired"),
        (ServerCertificate::NotYetValid, "not valid yet"),
        (ServerCertificate::WrongName, "not valid for name"),
        (ServerCertificate::NoName, "not valid for name"),
        (ServerCertificate::Version1, "Version"),
        (ServerCertificate::UnknownCa, "UnknownIssuer"),
    ] {
        let error = with_certificate(bad).await.err().unwrap();
        assert!(error.contains(why), "{bad:?}: {error}");
    }
}

#[tokio::test]
async fn device_keys() {
    let core = LocalIotCore::start(Options::default()).await.unwrap();
    for form in [
        KeyForm::Pkcs8P256,
        KeyForm::Pkcs8P384,
        KeyForm::Sec1P256,
        KeyForm::Sec1P384,
        KeyForm::RsaPkcs1,
        KeyForm::RsaPkcs8,
    ] {
        let config = tls_config(&core, &core.pki().device_with(form).unwrap());
        let mut client = Client::over(&core, config).await.unwrap();
        assert_eq!(client.connect("test-1", true, 0).await.0, 0, "{form:?}");
    }
    let config = tls_config(&core, &core.pki().device_with_chain().unwrap());
    let mut client = Client::over(&core, config).await.unwrap();
    assert_eq!(client.connect("test-1", true, 0).await.0, 0);
}

#[tokio::test]
async fn strangers_are_refused() {
    let core = LocalIotCore::start(Options::default()).await.unwrap();
    let config = tls_config(&core, &core.pki().stranger().unwrap());
    // With TLS 1.3, a client learns of it only after its handshake is done.
    let mut client = Client::over(&core, config).await.unwrap();
    let error = client.try_next().await.unwrap_err();
    assert!(error.to_string().contains("UnknownCA"), "{error}");
    core.journal()
        .wait_for(|e| matches!(e, Event::TlsFailed(_)))
        .await;
}

#[tokio::test]
async fn sni_is_required() {
    let core = LocalIotCore::start(Options::default()).await.unwrap();
    let mut config = tls_config(&core, &core.pki().device().unwrap());
    config.enable_sni = false;
    assert!(Client::over(&core, config).await.is_err());
}

#[tokio::test]
async fn versions_and_alpn() {
    for (tls_versions, expected) in [
        (TlsVersions::Both, "TLSv1_3"),
        (TlsVersions::Only12, "TLSv1_2"),
        (TlsVersions::Only13, "TLSv1_3"),
    ] {
        let core = LocalIotCore::start(Options {
            tls_versions,
            ..Options::default()
        })
        .await
        .unwrap();
        let mut config = tls_config(&core, &core.pki().device().unwrap());
        config.alpn_protocols = vec![b"x-amzn-mqtt-ca".to_vec()];
        let mut client = Client::over(&core, config).await.unwrap();
        assert_eq!(client.connect("test-1", true, 0).await.0, 0);
        core.journal()
            .wait_for(|e| {
                matches!(e, Event::TlsDone { alpn: Some(alpn), version, sni }
                    if alpn == "x-amzn-mqtt-ca" && version == expected && sni == "localhost")
            })
            .await;
    }
}

#[tokio::test]
async fn latency_delays_every_byte_and_no_more() {
    let latency = Duration::from_millis(50);
    let core = LocalIotCore::start(Options {
        latency,
        ..Options::default()
    })
    .await
    .unwrap();
    let start = Instant::now();
    let mut client = Client::new(&core).await;
    let handshake = start.elapsed();
    assert!((100..300).contains(&handshake.as_millis()), "{handshake:?}");
    client.connect("test-1", true, 0).await;
    let start = Instant::now();
    client.ask(1, "get", json!({})).await;
    let round_trip = start.elapsed();
    assert!(
        (100..300).contains(&round_trip.as_millis()),
        "{round_trip:?}"
    );
    core.drop_connections();
    assert!(client.is_closed().await);
    assert_eq!(core.journal().violations(), [""; 0]);
}

#[tokio::test]
async fn a_port_that_is_closed_for_a_while() {
    let core = LocalIotCore::start(Options::default()).await.unwrap();
    let config = tls_config(&core, &core.pki().device().unwrap());
    core.stop_listening().await;
    assert!(Client::over(&core, config.clone()).await.is_err());
    core.resume_listening().await.unwrap();
    assert!(Client::over(&core, config).await.is_ok());
}

#[tokio::test]
#[cfg(target_os = "linux")] // elsewhere, two sockets can't have one port
async fn a_port_that_is_closed_is_nobody_elses() {
    let core = LocalIotCore::start(Options::default()).await.unwrap();
    for _ in 0..3 {
        core.stop_listening().await;
        let other = tokio::net::TcpSocket::new_v4().unwrap(); // as whoever looks for a free port
        let taken = other
            .bind(([127, 0, 0, 1], core.port()).into())
            .unwrap_err();
        assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
        core.resume_listening().await.unwrap();
    }
    let config = tls_config(&core, &core.pki().device().unwrap());
    assert!(Client::over(&core, config).await.is_ok());
}

#[tokio::test]
async fn a_narrow_line_is_below_tls_and_shared() {
    let core = LocalIotCore::start(Options {
        bytes_per_second: std::num::NonZeroU32::new(20_000),
        ..Options::default()
    })
    .await
    .unwrap();
    core.jobs()
        .create_job("a", json!("x".repeat(8_000)))
        .unwrap();
    let mut client = Client::connected(&core, "test-1").await;
    let start = Instant::now();
    client.ask(1, "start-next", json!({})).await;
    let takes = start.elapsed();
    assert!((400..4_000).contains(&takes.as_millis()), "{takes:?}");
}

#[tokio::test]
async fn any_stream_is_served() {
    let core = LocalIotCore::start(Options::default()).await.unwrap();
    let (near, far) = tokio::io::duplex(64 * 1024);
    tokio::spawn(core.acceptor().serve(far));
    let mut config = tls_config(&core, &core.pki().device().unwrap());
    config.alpn_protocols = vec![b"x-amzn-mqtt-ca".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    connector.connect(name, near).await.unwrap();
    core.journal()
        .wait_for(|e| matches!(e, Event::TlsDone { .. }))
        .await;
}

#[tokio::test]
async fn files_on_disk() {
    let core = Arc::new(LocalIotCore::start(Options::default()).await.unwrap());
    let directory = std::env::temp_dir().join(format!("local_iot_core-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let files = core.pki().write_to(&directory).unwrap();
    let text = |path| std::fs::read_to_string(path).unwrap();
    assert_eq!(text(&files.ca), core.pki().ca_pem());
    assert!(text(&files.cert).contains("BEGIN CERTIFICATE"));
    assert!(text(&files.key).contains("BEGIN PRIVATE KEY"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&files.key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    std::fs::remove_dir_all(&directory).unwrap();
}
