//! Certificates and files as the field has them. A device's certificate is the server's to judge; what
//! can't work is named, with what to do. And a refusal that may pass can be waited out.

use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use jobs_mqtt5::mqtt::{self, ConnectionErrorKind, Event, Publish};
use jobs_mqtt5::tls::{self, Warning};
use local_iot_core::{Fault, ServerCertificate, Times, as_version_1};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, GeneralSubtree,
    IsCa, Issuer, KeyPair, NameConstraints, date_time_ymd,
};

use crate::support::{ForwardProxy, Manners, TlsServer, World, within};

/// The program fails, and says all of this.
async fn says(world: &World, flags: &[&str], words: &[&str]) {
    let ended = world.start(flags).end().await;
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    for words in words {
        assert!(ended.err.contains(words), "{words}: {}", ended.err);
    }
}

fn pem(der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

/// The device's files, with a certificate of its own making.
async fn files_with(change: impl FnOnce(&mut CertificateParams), v1: bool) -> (World, tls::Files) {
    let world = World::new().await;
    let mut params = CertificateParams::new(vec!["device".to_owned()]).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let certificate = if v1 {
        pem(&as_version_1(certificate.der()))
    } else {
        certificate.pem()
    };
    let folder = world.folder.path();
    std::fs::write(folder.join("strange.crt"), certificate).unwrap();
    std::fs::write(folder.join("strange.key"), key.serialize_pem()).unwrap();
    let ca = folder.join("strange-ca.pem");
    std::fs::write(&ca, world.core.pki().ca_pem()).unwrap();
    let files = tls::Files::new(folder.join("strange.crt"), folder.join("strange.key")).ca(ca);
    (world, files)
}

/// An extension that nobody knows, and which must not be ignored.
fn unknown(params: &mut CertificateParams) {
    let mut extension =
        CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
    extension.set_criticality(true);
    params.custom_extensions.push(extension);
}

#[tokio::test]
async fn a_device_certificate_is_the_servers_to_judge() {
    let purpose = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    };
    let future = |params: &mut CertificateParams| params.not_before = date_time_ymd(2999, 1, 1);
    for (what, (_world, files)) in [
        ("version 1", files_with(|_| {}, true).await),
        ("a critical extension", files_with(unknown, false).await),
        ("a strange purpose", files_with(purpose, false).await),
        ("not valid yet", files_with(future, false).await),
    ] {
        let made = tls::client_config(&files);
        assert!(made.is_ok(), "{what}: {}", made.err().unwrap());
    }
}

#[tokio::test]
async fn an_expired_device_certificate_is_taken_and_warned_of() {
    for v1 in [false, true] {
        let old = |params: &mut CertificateParams| params.not_after = date_time_ymd(2020, 1, 1);
        let (_world, files) = files_with(old, v1).await;
        assert!(tls::client_config(&files).is_ok());
        let warnings = tls::warnings(&files);
        let expired = |warning: &Warning| matches!(warning, Warning::Expired { .. });
        assert!(warnings.iter().any(expired), "{warnings:?}");
        let (_world, files) = files_with(|_| {}, v1).await;
        assert!(!tls::warnings(&files).iter().any(expired));
    }
}

#[tokio::test]
async fn a_device_certificate_that_is_not_valid_yet_is_taken_and_warned_of() {
    let future = |params: &mut CertificateParams| params.not_before = date_time_ymd(2999, 1, 1);
    let (world, files) = files_with(future, false).await;
    let (cert, key) = (files.cert.to_str().unwrap(), files.key.to_str().unwrap());
    let words = format!("Warning: the certificate --cert {cert} is not valid yet");
    says(
        &world,
        &["--cert", cert, "--key", key],
        &[&words, "(Or the clock is behind: `date`.)"],
    )
    .await;
}

#[tokio::test]
#[cfg(unix)]
async fn a_file_that_says_where_the_key_is_may_be_read_by_others() {
    use std::os::unix::fs::PermissionsExt;
    let (_world, files) = files_with(|_| {}, false).await;
    std::fs::set_permissions(&files.key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let warnings = tls::warnings(&files);
    assert!(
        matches!(warnings[..], [Warning::Open { .. }]),
        "{warnings:?}"
    );
    std::fs::write(&files.key, "pkcs11:token=a;object=b?module-path=/m.so\n").unwrap();
    assert_eq!(tls::warnings(&files), []);
}

#[tokio::test]
async fn an_rsa_key_of_an_unusual_form_is_named() {
    let world = World::new().await;
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/corpus/pem/");
    for (file, words) in [
        (
            "rsa-key-exponent-3",
            "(it is an RSA key with another exponent than 65537)",
        ),
        (
            "rsa-key-three-primes",
            "(it is an RSA key of more than two primes)",
        ),
    ] {
        says(&world, &["--key", &format!("{corpus}{file}")], &[words]).await;
    }
}

/// What is made of a key, its certificate, and the CA of that.
type Made = (KeyPair, Vec<u8>, String);

/// The certificate of a server, of a CA that may be changed as well.
fn made(
    of_ca: impl FnOnce(&mut CertificateParams),
    of_server: impl FnOnce(&mut CertificateParams),
) -> Made {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    of_ca(&mut ca);
    let ca_key = KeyPair::generate().unwrap();
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let mut server = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    of_server(&mut server);
    let key = KeyPair::generate().unwrap();
    let signed = server.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    (key, signed.der().to_vec(), ca_pem)
}

#[tokio::test]
async fn what_is_wrong_with_a_servers_certificate_is_said_in_words() {
    let elsewhere = |params: &mut CertificateParams| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("example.com".to_owned())],
            excluded_subtrees: vec![],
        });
    };
    let of_ca = |params: &mut CertificateParams| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    };
    let purpose = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    };
    let (key, _, ca) = made(|_| {}, |_| {});
    for ((key, certificate, ca), words) in [
        (made(|_| {}, of_ca), "is that of a CA, and not a server's."),
        (
            made(|_| {}, unknown),
            "has a critical extension that is not known here.",
        ),
        (
            made(|_| {}, purpose),
            "is not meant for a server (extended key usage).",
        ),
        (
            made(elsewhere, |_| {}),
            "is for a name that its CA must not sign for (name constraints).",
        ),
        (
            (key, vec![0x30, 3, 2, 1, 0], ca),
            "is damaged: it can't be decoded.",
        ),
    ] {
        let world = World::new().await;
        let server = TlsServer::start(&key, certificate, |_| {}).await;
        let path = world.folder.path().join("its-ca.pem");
        std::fs::write(&path, ca).unwrap();
        let port = server.port.to_string();
        let flags = ["--port", &port, "--ca_file", path.to_str().unwrap()];
        let words = format!("The certificate of localhost:{port} {words}");
        says(
            &world,
            &flags,
            &[&words, "make it a certificate of its own"],
        )
        .await;
    }
}

#[tokio::test]
async fn a_server_that_takes_rsa_keys_only_is_named() {
    let world = World::new().await;
    let (key, certificate, ca) = made(|_| {}, |_| {});
    let server = TlsServer::start(&key, certificate, |algorithms| {
        let is_rsa = |scheme: &rustls::SignatureScheme| format!("{scheme:?}").starts_with("RSA");
        let first = algorithms
            .mapping
            .iter()
            .position(|(scheme, _)| is_rsa(scheme));
        algorithms.mapping = &algorithms.mapping[first.unwrap()..];
        assert!(algorithms.mapping.iter().all(|(scheme, _)| is_rsa(scheme)));
    })
    .await;
    let path = world.folder.path().join("its-ca.pem");
    std::fs::write(&path, ca).unwrap();
    let port = server.port.to_string();
    let flags = ["--port", &port, "--ca_file", path.to_str().unwrap()];
    let words = [
        "TLS alert CertificateRequired",
        "most likely, RSA keys only",
    ];
    says(&world, &flags, &words).await;
}

#[tokio::test]
async fn the_files_of_powershell_and_a_chain_that_begins_with_the_ca_are_named() {
    let world = World::new().await;
    let identity = world.core.pki().device().unwrap();
    let utf16 = |bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        let units = [0xFEFF].into_iter().chain(identity.cert_pem.encode_utf16());
        units.flat_map(bytes).collect()
    };
    let path = world.folder.path().join("given.pem");
    for content in [utf16(u16::to_le_bytes), utf16(u16::to_be_bytes)] {
        std::fs::write(&path, content).unwrap();
        let words = ["--cert ", "UTF-16", "Set-Content -Encoding ascii"];
        says(&world, &["--cert", path.to_str().unwrap()], &words).await;
    }
    // The key goes with the second.
    let (_world, files) = files_with(|_| {}, false).await;
    let own = std::fs::read_to_string(&files.cert).unwrap();
    let key = files.key.to_str().unwrap();
    std::fs::write(&path, world.core.pki().ca_pem().to_owned() + &own).unwrap();
    let words = [
        "begins with another certificate",
        "The device's own comes first",
    ];
    says(
        &world,
        &["--cert", path.to_str().unwrap(), "--key", key],
        &words,
    )
    .await;
}

#[tokio::test]
async fn a_server_certificate_without_a_name_or_of_version_1_is_named() {
    for (certificate, words) in [
        (
            ServerCertificate::NoName,
            ["it has no subjectAltName", "-addext"],
        ),
        (
            ServerCertificate::Version1,
            ["is of an old version of X.509", "-extfile"],
        ),
    ] {
        let world = World::set(|options| options.server_certificate = certificate).await;
        says(&world, &[], &words).await;
    }
}

#[tokio::test]
async fn an_endpoint_without_ats_is_named() {
    let world =
        World::set(|options| options.server_certificate = ServerCertificate::UnknownCa).await;
    let proxy = ForwardProxy::with(Manners {
        to: Some(world.core.port()),
        ..Manners::default()
    })
    .await;
    let port = proxy.port.to_string();
    let old = "a1b2c3d4e5f6g7.iot.us-east-1.amazonaws.com";
    let flags = [
        "--endpoint",
        old,
        "--proxy_host",
        "localhost",
        "--proxy_port",
        &port,
    ];
    says(&world, &flags, &[old, "of the old kind", "-ats"]).await;
    let asked = &proxy.requests()[0];
    assert!(asked.starts_with(&format!("CONNECT {old}:")), "{asked}");
}

#[tokio::test]
async fn a_first_refusal_can_be_waited_out_but_not_without_end() {
    for (times, patience, passes) in [
        (Times::Count(3), Duration::from_secs(60), true),
        (Times::Always, Duration::from_millis(300), false),
        (Times::Count(1), Duration::ZERO, false),
    ] {
        let world = World::open().await;
        world.core.faults().add(Fault::Connack(0x87), times);
        let mut options = world.settings().mqtt;
        options.patience = patience;
        let (mqtt, mut events) = mqtt::connect(options);
        let published = within(mqtt.publish(Publish::new("a", "x"))).await;
        assert_eq!(published.is_ok(), passes, "{times:?}: {published:?}");
        let mut refused = 0;
        let end = loop {
            match within(events.next()).await.unwrap() {
                Event::Interrupted { error, .. } => {
                    assert_eq!(error.kind(), ConnectionErrorKind::Refused);
                    refused += 1;
                }
                Event::Connected { .. } => break None,
                Event::Ended(outcome) => break outcome.err(),
                _ => {}
            }
        };
        assert_eq!(end.is_none(), passes, "{times:?}");
        assert_eq!(refused > 0, !patience.is_zero(), "{times:?}");
    }
}
