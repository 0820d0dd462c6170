//! A device's own key, which it makes itself and which never leaves it, and the request for a certificate.
//!
//! A key is known by a text: the key itself, in PEM; or where it is, if it is in a token (the URI that
//! [`token`] reads). Where the environment variable `DEVICE_TOKEN` has a token's URI, keys are made there.

use std::env;
use std::error::Error;
use std::fmt::Display;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use jobs_mqtt5::tls::{self, Files};
use pem::{EncodeConfig, LineEnding, Pem};
use rcgen::{CertificateParams, KeyPair, PublicKeyData};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, RootCertStore};

mod token;

use token::TokenKey;

pub type Failure = Box<dyn Error + Send + Sync>;

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

/// The one certificate in this text, in PEM. Nothing else of what the sender wrote is kept.
pub fn certificate(text: &str) -> Result<String, Failure> {
    let found = pem::parse_many(text).unwrap_or_default();
    let [one] = &found[..] else {
        return Err(unusable("one is wanted, in PEM, and nothing else").into());
    };
    let lines = EncodeConfig::new().set_line_ending(LineEnding::LF);
    let one = Pem::new(one.tag(), one.contents());
    Ok(pem::encode_config(&one, lines))
}

/// Checks that a certificate, in PEM, is for this key.
pub fn check_pair(certificate: &str, key: &str) -> Result<(), Failure> {
    let of_key = match is_in_token(key) {
        Some(uri) => TokenKey::open(uri)?.subject_public_key_info(),
        None => KeyPair::from_pem(key)?.subject_public_key_info(),
    };
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(unusable)?;
    let certificate = ParsedCertificate::try_from(&der).map_err(unusable)?;
    if certificate.subject_public_key_info().as_ref() != of_key {
        return Err("the certificate is for another key".into());
    }
    Ok(())
}

fn unusable(why: impl Display) -> String {
    format!("the certificate can't be used: {why}")
}

/// What a connection with this certificate and its key needs. (Both may be in one file.)
pub fn client_config(cert: &Path, key: &Path, ca: Option<&Path>) -> Result<ClientConfig, Failure> {
    let text = fs::read_to_string(key).unwrap_or_default();
    let Some(uri) = is_in_token(&text) else {
        let mut files = Files::new(cert, key);
        files.ca = ca.map(Path::to_owned);
        return Ok(tls::client_config(&files)?);
    };
    check_pair(&fs::read_to_string(cert)?, &text)?;
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
