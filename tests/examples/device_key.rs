//! A device's own key, which it makes itself and which never leaves it, and the request for a certificate.
//!
//! A key is known by a text: the key itself, in PEM; or where it is, if it is in a token (the URI that
//! [`token`] reads). Where the environment variable `DEVICE_TOKEN` has a token's URI, keys are made there.

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use jobs_mqtt5::tls::{self, Files};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};

mod token;

use token::TokenKey;

type Failure = Box<dyn Error + Send + Sync>;

/// Makes a P-256 key.
pub fn generate() -> Result<String, Failure> {
    match env::var("DEVICE_TOKEN") {
        Ok(token) => Ok(TokenKey::generate(
            &token,
            &uuid::Uuid::new_v4().to_string(),
        )?),
        Err(_) => Ok(KeyPair::generate()?.serialize_pem()),
    }
}

/// A certificate signing request for a key, in PEM.
pub fn csr(key: &str) -> Result<String, Failure> {
    let request = CertificateParams::default();
    Ok(match is_in_token(key) {
        Some(uri) => request.serialize_request(&TokenKey::open(uri)?)?.pem()?,
        None => request.serialize_request(&KeyPair::from_pem(key)?)?.pem()?,
    })
}

/// What a connection with this certificate and its key needs. (Both may be in one file.)
pub fn client_config(cert: &Path, key: &Path, ca: Option<&Path>) -> Result<ClientConfig, Failure> {
    let text = fs::read_to_string(key).unwrap_or_default();
    let Some(uri) = is_in_token(&text) else {
        let mut files = Files::new(cert, key);
        files.ca = ca.map(Path::to_owned);
        return Ok(tls::client_config(&files)?);
    };
    let chain = CertificateDer::pem_file_iter(cert)?.collect::<Result<Vec<_>, _>>()?;
    let mut roots = RootCertStore::empty();
    match ca {
        Some(ca) => {
            for certificate in CertificateDer::pem_file_iter(ca)? {
                roots.add(certificate?)?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let key = Arc::new(TokenKey::open(uri)?);
    Ok(tls::client_config_with(chain, key, roots)?)
}

/// The URI of a key that is in a token.
fn is_in_token(key: &str) -> Option<&str> {
    key.lines().find(|line| line.starts_with("pkcs11:"))
}
