//! A device's own key, which it makes itself and which never leaves it, and the request for a certificate.
//!
//! A key is known by a text: the key itself, in PEM; or where it is, if it is in a token (the URI that
//! [`token`] reads). Where the environment variable `DEVICE_TOKEN` has a token's URI, keys are made there.

use std::env;
use std::error::Error;
use std::fmt::Display;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use jobs_mqtt5::tls::{self, Files};
use pem::{EncodeConfig, LineEnding, Pem};
use rcgen::{CertificateParams, KeyPair, PublicKeyData};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, RootCertStore};

mod token;
mod uri;

use token::TokenKey;
use uri::TokenError;

pub type Failure = Box<dyn Error + Send + Sync>;

/// Makes a P-256 key, which `keep` writes down. If that fails, the key is destroyed: a token has room for
/// few, and the next start makes another.
pub fn generate(keep: impl FnOnce(&str) -> io::Result<()>) -> Result<String, Failure> {
    let key = match env::var("DEVICE_TOKEN") {
        Ok(token) => TokenKey::generate(&token, &uuid::Uuid::new_v4().to_string())?,
        Err(_) => KeyPair::generate()?.serialize_pem(),
    };
    if let Err(error) = keep(&key) {
        destroy(&key);
        return Err(error.into());
    }
    Ok(key)
}

/// The key that a file holds, and a request for its certificate. If it holds none that can be used, a key is
/// made, which `keep` writes there.
pub fn get_or_make(
    file: &Path,
    keep: impl FnOnce(&str) -> io::Result<()>,
) -> Result<(String, String), Failure> {
    let key = fs::read_to_string(file).unwrap_or_default();
    if let Some(request) = usable(file, csr(&key))? {
        return Ok((key, request));
    }
    let key = generate(keep)?;
    let request = csr(&key)?;
    Ok((key, request))
}

/// Destroys a key that is needed no longer, if it is in a token. What can't be done is said on stderr: it
/// costs a place there, and nothing else.
pub fn destroy(key: &str) {
    if let Some(Err(error)) = is_in_token(key).map(TokenKey::destroy) {
        eprintln!("A key that is needed no longer could not be destroyed: {error}");
    }
}

/// A certificate signing request for a key, in PEM.
pub fn csr(key: &str) -> Result<String, Failure> {
    let request = CertificateParams::default();
    let Some(uri) = is_in_token(key) else {
        return Ok(request.serialize_request(&KeyPair::from_pem(key)?)?.pem()?);
    };
    let key = TokenKey::open(uri)?;
    let signed = request.serialize_request(&key);
    let signed = signed.map_err(|_| TokenError::NoAnswer(format!("{key:?} does not sign")))?;
    Ok(signed.pem()?)
}

/// What was made of a file; `None` if it can't be used, whatever has become of it: that is said on stderr.
///
/// # Errors
/// If the file names a key in a token that can't be asked now: it may be good.
pub fn usable<T>(file: &Path, made: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match made {
        Ok(made) => Ok(Some(made)),
        Err(error) if matches!(error.downcast_ref(), Some(TokenError::NoAnswer(_))) => Err(error),
        Err(error) => {
            if file.exists() {
                eprintln!("{} is as good as none: {error}", file.display());
            }
            Ok(None)
        }
    }
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
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(unusable)?;
    match is_in_token(key) {
        Some(uri) => is_for(&certificate, &TokenKey::open(uri)?),
        None => is_for(&certificate, &KeyPair::from_pem(key)?),
    }
}

fn is_for(certificate: &CertificateDer, key: &impl PublicKeyData) -> Result<(), Failure> {
    let certificate = ParsedCertificate::try_from(certificate).map_err(unusable)?;
    if certificate.subject_public_key_info().as_ref() != key.subject_public_key_info() {
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
    let chain = certificates(cert)?;
    let key = TokenKey::open(uri)?;
    is_for(&chain[0], &key)?;
    let mut roots = RootCertStore::empty();
    match ca {
        Some(ca) => {
            for certificate in certificates(ca)? {
                roots.add(certificate)?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Ok(tls::client_config_with(chain, Arc::new(key), roots)?)
}

/// The certificates in a file: one at least.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let found: Vec<_> =
        found.map_err(|error| format!("{} can't be read: {error}", path.display()))?;
    if found.is_empty() {
        return Err(format!("{} holds no certificate", path.display()).into());
    }
    Ok(found)
}

/// The URI of a key that is in a token.
fn is_in_token(key: &str) -> Option<&str> {
    key.lines().find(|line| line.starts_with("pkcs11:"))
}
