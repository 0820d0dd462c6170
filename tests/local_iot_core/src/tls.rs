//! The server's side of TLS.

use std::{io, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::{CryptoProvider, ring},
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};

use crate::{
    options::{ServerCertificate, TlsVersions},
    pki::Pki,
};

/// The application protocol that a client on port 443 has to ask for.
const ALPN: &[u8] = b"x-amzn-mqtt-ca";

/// Mutual TLS: a client needs a certificate of the CA and has to name the host.
pub(crate) fn server_config(
    pki: &Pki,
    certificate: ServerCertificate,
    versions: TlsVersions,
) -> io::Result<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(pki.ca_der()).map_err(io::Error::other)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider))
        .build()
        .map_err(io::Error::other)?;

    let chain = pki.server(certificate)?;
    let key = provider.key_provider.load_private_key(chain.key);
    // (Whether the two match is not checked: rustls can't read a certificate of version 1.)
    let key = CertifiedKey::new(chain.certificates, key.map_err(io::Error::other)?);
    let mut config = builder(provider, versions)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SniRequired(Arc::new(key))));
    config.alpn_protocols = vec![ALPN.to_vec()];
    // Every handshake is a full one, whatever went before.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn builder(
    provider: Arc<CryptoProvider>,
    versions: TlsVersions,
) -> io::Result<rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier>> {
    let versions: &[&SupportedProtocolVersion] = match versions {
        TlsVersions::Both => &[&TLS13, &TLS12],
        TlsVersions::Only12 => &[&TLS12],
        TlsVersions::Only13 => &[&TLS13],
    };
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(io::Error::other)
}

/// Has a certificate only for those who say which host they want.
#[derive(Debug)]
struct SniRequired(Arc<CertifiedKey>);

impl ResolvesServerCert for SniRequired {
    fn resolve(&self, hello: ClientHello) -> Option<Arc<CertifiedKey>> {
        hello.server_name().map(|_| Arc::clone(&self.0))
    }
}
