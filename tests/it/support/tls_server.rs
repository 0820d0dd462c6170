//! A server that speaks TLS and nothing else, with any certificate.

use std::sync::Arc;

use rcgen::KeyPair;
use rustls::crypto::{WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// Shows a certificate, and wants one of whoever connects. Ends when it is dropped.
pub struct TlsServer {
    pub port: u16,
    accepting: JoinHandle<()>,
}

impl TlsServer {
    /// Shows this certificate, of this key. `takes` may change by which algorithms its clients can sign.
    pub async fn start(
        key: &KeyPair,
        certificate: Vec<u8>,
        takes: impl FnOnce(&mut WebPkiSupportedAlgorithms),
    ) -> Self {
        let mut provider = ring::default_provider();
        takes(&mut provider.signature_verification_algorithms);
        let provider = Arc::new(provider);
        // It trusts itself: no handshake gets as far as a client's certificate.
        let mut roots = RootCertStore::empty();
        let own = rcgen::CertificateParams::default()
            .self_signed(key)
            .unwrap();
        roots.add(own.der().clone()).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
        let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let private = provider.key_provider.load_private_key(private).unwrap();
        let shown = CertifiedKey::new(vec![CertificateDer::from(certificate)], private);
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = acceptor.accept(stream).await;
            }
        });
        Self { port, accepting }
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
