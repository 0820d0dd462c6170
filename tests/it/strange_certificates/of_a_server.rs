//! What is wrong with a server's certificate, or with what it asks for, is said in words, with what to do.

use local_iot_core::ServerCertificate;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer,
    KeyPair, NameConstraints,
};

use super::{says, unknown};
use crate::support::{ForwardProxy, TlsServer, World};

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
    let proxy = ForwardProxy::start(world.core.port()).await;
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
