//! The crypto provider that this build has: `ring` by default, `aws-lc-rs` by a feature.

use jobs_mqtt5::tls::Files;
use tempfile::TempDir;

/// A folder with a key on the curve P-521, its certificate, and the certificate's CA.
fn p_521() -> (TempDir, Files) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, pem: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path
    };
    let files = Files::new(write("device.pem", CERT), write("device.key", KEY));
    let files = files.ca(write("ca.pem", CA));
    (folder, files)
}

#[cfg(not(feature = "aws-lc-rs"))]
#[tokio::test]
async fn a_p_521_key_is_refused_with_the_feature_that_takes_it() {
    let (_folder, files) = p_521();
    let (cert, key) = (files.cert.to_str().unwrap(), files.key.to_str().unwrap());
    let world = crate::support::World::new().await;
    let flags = ["--cert", cert, "--key", key];
    let ended = world.start(&flags).end().await;
    let begins = format!("--key {key} holds a private key that can't be used (");
    assert!(ended.err.starts_with(&begins), "{}", ended.err);
    let ends = "). Supported are RSA from 2,048 bits, and EC on the curves P-256 and P-384 (P-521 needs \
                a program built with the feature aws-lc-rs).\n";
    assert!(ended.err.ends_with(ends), "{}", ended.err);
    assert_eq!(ended.code, Some(1));
}

#[cfg(feature = "aws-lc-rs")]
#[test]
fn a_p_521_key_is_taken_and_the_key_exchange_is_post_quantum() {
    use std::sync::Arc;

    use jobs_mqtt5::tls::client_config;
    use rustls::crypto::aws_lc_rs::default_provider;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
    use rustls::server::WebPkiClientVerifier;
    use rustls::{
        ClientConnection, NamedGroup, ProtocolVersion, RootCertStore, ServerConfig,
        ServerConnection,
    };

    let (_folder, files) = p_521();
    let client = Arc::new(client_config(&files).unwrap());

    // The server has the same certificate: it wants one of its client, and is `localhost`.
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(CA.as_bytes()).unwrap();
    roots.add(ca).unwrap();
    let provider = Arc::new(default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let cert = CertificateDer::from_pem_slice(CERT.as_bytes()).unwrap();
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(
            vec![cert.clone()],
            PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap(),
        )
        .unwrap();

    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(client, name).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    for _ in 0..10 {
        let mut flight = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut flight).unwrap();
        }
        let mut flight = flight.as_slice();
        while !flight.is_empty() {
            server.read_tls(&mut flight).unwrap();
            server.process_new_packets().unwrap();
        }
        let mut flight = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut flight).unwrap();
        }
        let mut flight = flight.as_slice();
        while !flight.is_empty() {
            client.read_tls(&mut flight).unwrap();
            client.process_new_packets().unwrap();
        }
    }
    assert_eq!(client.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(server.peer_certificates().unwrap(), [cert]);
    let group = client.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, NamedGroup::X25519MLKEM768);
}

// Made for these tests alone, good until 2120: `ring` can't make them. All three are P-521; the
// certificate is for `localhost`, and good for a server as well as for a client.

const CA: &str = "\
-----BEGIN CERTIFICATE-----
MIIBvDCCAR2gAwIBAgIBATAKBggqhkjOPQQDBDAYMRYwFAYDVQQDDA1QLTUyMSB0
ZXN0IENBMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAYMRYwFAYD
VQQDDA1QLTUyMSB0ZXN0IENBMIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQAe41o
8XtVJugiNzzjTvQll64p7j0BUvkNMqMs3l3IBw4LIKzPP9+4h677RwgnaPizk7cl
TUVR9Yb3fdFF6yRFxTQATfwEYRcyzIo6NrAHOMI99DTVp66fWcFCyGFs48LYwItZ
3szMqVpR38NACvodNQKjUAAeIRu+iYvxUpYkAikekK6jEzARMA8GA1UdEwEB/wQF
MAMBAf8wCgYIKoZIzj0EAwQDgYwAMIGIAkIBgY+K+wRNvPkSPUCPLqxBuGCqZWB5
WQnCw6k8c3n+xTLcmDKfa/pqbc+lBVZjOffM1O0VpzgejY4YEZGKfoMDi7QCQgCd
0/eRF7wEG6gZh7aV68E6HB8LTeY+KdJ3v+aScRggy77ssZtxizs852xw5RUdr34o
/muRnfJwBoZeZhGa7b8AIQ==
-----END CERTIFICATE-----
";

const CERT: &str = "\
-----BEGIN CERTIFICATE-----
MIIB8TCCAVOgAwIBAgIBAjAKBggqhkjOPQQDBDAYMRYwFAYDVQQDDA1QLTUyMSB0
ZXN0IENBMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAcMRowGAYD
VQQDDBFQLTUyMSB0ZXN0IGRldmljZTCBmzAQBgcqhkjOPQIBBgUrgQQAIwOBhgAE
AauGQqgVTR1SBpeK1NmeoySTFD2XZB2K/g9l5VjvRrPpJs9CpHsxApippS6zc7HO
pWVjNROR/b53oYHJKv0s7e/MAOf+QAS1fdd5u3wROb0N3Nb5uC+9D1waCxbv6oa1
RAI2xqPoHMRzPU06rs3j7LbOm7BDnorQ1Hsw84vu8+AsGqvwo0UwQzAMBgNVHRMB
Af8EAjAAMBQGA1UdEQQNMAuCCWxvY2FsaG9zdDAdBgNVHSUEFjAUBggrBgEFBQcD
AQYIKwYBBQUHAwIwCgYIKoZIzj0EAwQDgYsAMIGHAkIBhlScXeSodWEuE9fOduBQ
FEXTpeZTU9mUSPbgmWj3+Ak9CMWToVdU3Lbi9r7ctEL1H2jETHNDp1YFJatFdCI1
H2oCQUPF8eHRcU45vehQg0yXA8gPoJCbcFFtfHTYrXlf7h39gJ1vxt9QWOSTU1Ed
poWF+KxvCp/W6OSmpRy7awcMs30D
-----END CERTIFICATE-----
";

const KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIAf34B5Yamdz6GB7eu
GMSji9bdH2H8i4hAcVTB+BJG74+rs1IL4JwSRLvY2HbxaxbTTadtQZOmK+dE09WQ
tlI838ChgYkDgYYABAGrhkKoFU0dUgaXitTZnqMkkxQ9l2Qdiv4PZeVY70az6SbP
QqR7MQKYqaUus3OxzqVlYzUTkf2+d6GBySr9LO3vzADn/kAEtX3Xebt8ETm9DdzW
+bgvvQ9cGgsW7+qGtUQCNsaj6BzEcz1NOq7N4+y2zpuwQ56K0NR7MPOL7vPgLBqr
8A==
-----END PRIVATE KEY-----
";
