//! Certificates and files as the field has them. A device's certificate is the server's to judge; what
//! can't work is named, with what to do. And a refusal that may pass can be waited out.

use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use jobs_mqtt5::mqtt::{self, ConnectionErrorKind, Event, Publish};
use jobs_mqtt5::tls::{self, Warning};
use local_iot_core::{Fault, Times, as_version_1};
use rcgen::{CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};

use crate::support::{World, within};

mod of_a_server;

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
