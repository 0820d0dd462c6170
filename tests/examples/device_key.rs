//! A device's own key, which it makes itself and which never leaves it, and the request for a certificate.
//!
//! A key is known by a text: here, the key itself in PEM.

use std::error::Error;
use std::path::Path;

use jobs_mqtt5::tls::{self, Files};
use rcgen::{CertificateParams, KeyPair};
use rustls::ClientConfig;

type Failure = Box<dyn Error + Send + Sync>;

/// Makes a P-256 key.
pub fn generate() -> Result<String, Failure> {
    Ok(KeyPair::generate()?.serialize_pem())
}

/// A certificate signing request for a key, in PEM.
pub fn csr(key: &str) -> Result<String, Failure> {
    let key = KeyPair::from_pem(key)?;
    Ok(CertificateParams::default().serialize_request(&key)?.pem()?)
}

/// What a connection with this certificate and its key needs. (Both may be in one file.)
pub fn client_config(cert: &Path, key: &Path, ca: Option<&Path>) -> Result<ClientConfig, Failure> {
    let mut files = Files::new(cert, key);
    files.ca = ca.map(Path::to_owned);
    Ok(tls::client_config(&files)?)
}
