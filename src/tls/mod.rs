//! From PEM files to rustls' `ClientConfig`, and what is wrong with the files.
//!
//! - `pem`: what a file holds
//! - `x509`: what a certificate or an RSA key says, as far as it is asked here
//! - `error`: what is wrong, as a value
//!
//! The crypto provider is a feature of this package: `ring` (the default) does the keys that AWS IoT
//! makes (RSA 2048) and those most devices bring (P-256, P-384), builds in half the time of
//! `aws-lc-rs`, and makes a binary of half the size. `aws-lc-rs` has P-521 keys and post-quantum key
//! exchange (X25519MLKEM768) besides.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};

mod error;
mod pem;
mod x509;

pub use error::{FileRole, TlsError, TlsErrorKind};

use pem::PemFile;

/// The files that make a TLS connection.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Files {
    /// The device's certificate, with the rest of its chain behind it.
    pub cert: PathBuf,
    /// The private key of that certificate.
    pub key: PathBuf,
    /// The only CAs to trust. `None`: those of the system.
    pub ca: Option<PathBuf>,
}

impl Files {
    /// A device's certificate and its private key, and trust in the system's CAs.
    pub fn new(cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self {
            cert: cert.into(),
            key: key.into(),
            ca: None,
        }
    }

    /// The same, with trust in the CAs of this file alone.
    pub fn ca(self, ca: impl Into<PathBuf>) -> Self {
        let ca = Some(ca.into());
        Self { ca, ..self }
    }
}

/// The crypto provider, and the curves of the keys that it takes. With both features, the one that
/// can do more is used: another package of the same build may have asked for it.
#[cfg(feature = "aws-lc-rs")]
pub(crate) use rustls::crypto::aws_lc_rs as provider;
#[cfg(feature = "aws-lc-rs")]
const CURVES: &str = "P-256, P-384 and P-521";

#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
pub(crate) use rustls::crypto::ring as provider;
#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
const CURVES: &str = "P-256 and P-384 (P-521 needs a program built with the feature aws-lc-rs)";

#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
compile_error!("TLS needs a crypto provider: build with the feature `ring` or `aws-lc-rs`.");

/// Reads the files, and makes of them what a connection needs.
///
/// Whether the certificate is good is the server's to say: here, it need only be one, and the key its
/// own.
///
/// # Errors
/// Which file can't be used, and why.
pub fn client_config(files: &Files) -> Result<ClientConfig, TlsError> {
    let cert = PemFile::read(FileRole::Certificate, &files.cert)?;
    let key_file = PemFile::read(FileRole::PrivateKey, &files.key)?;
    let (chain, key) = (cert.certificates()?, key_file.private_key()?);
    let provider = provider::default_provider();
    let oddity = x509::rsa_oddity(&key);
    let key = provider.key_provider.load_private_key(key);
    let key = key.map_err(|error| {
        let why = oddity.map_or_else(|| error.to_string(), |oddity| format!("it {oddity}"));
        let what = format!("holds a private key that can't be used ({why})");
        let kind = TlsErrorKind::UnusableKey { curves: CURVES };
        key_file.error(kind, what).caused_by(error)
    })?;
    check_pair(&chain, &*key, &cert, &key_file)?;
    let roots = match &files.ca {
        Some(path) => trust_of_file(&PemFile::read(FileRole::Ca, path)?)?,
        None => trust_of_system()?,
    };
    client_config_with(chain, key, roots)
}

/// The same for a key that is no file: one in a TPM, a PKCS #11 token or the system's key store signs
/// by rustls' [`SigningKey`]. `chain` begins with the device's own certificate.
///
/// ```
/// # use std::sync::Arc;
/// # use jobs_mqtt5::{mqtt, tls};
/// # use rustls::{RootCertStore, pki_types::CertificateDer, sign::SigningKey};
/// fn options(
///     token: Arc<dyn SigningKey>, // what the token's library is wrapped in
///     certificate: CertificateDer<'static>,
///     roots: RootCertStore,
/// ) -> Result<mqtt::Options, tls::TlsError> {
///     let config = tls::client_config_with(vec![certificate], token, roots)?;
///     let endpoint = "a1b2c3d4e5f6g7-ats.iot.us-east-1.amazonaws.com";
///     Ok(mqtt::Options::new(endpoint, "my-thing", Arc::new(config)))
/// }
/// ```
///
/// # Errors
/// If TLS can't be set up at all.
pub fn client_config_with(
    chain: Vec<CertificateDer<'static>>,
    key: Arc<dyn SigningKey>,
    roots: RootCertStore,
) -> Result<ClientConfig, TlsError> {
    let identity = SingleCertAndKey::from(CertifiedKey::new(chain, key));
    let provider = Arc::new(provider::default_provider());
    let mut config = ClientConfig::builder_with_details(provider, Arc::new(Clock))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::setup)?
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::new(identity));
    config.resumption = Resumption::in_memory_sessions(1); // there is one server
    Ok(config)
}

/// The system's clock, which may not be set yet: before 1970, where rustls' own would panic, it is 1970.
#[derive(Debug)]
struct Clock;

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Some(UnixTime::since_unix_epoch(since.unwrap_or_default()))
    }
}

/// A warning on files that work, but should not stay as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// Others than the owner can read this file, which holds a secret. (On Unix.)
    Open {
        /// Where it is.
        path: PathBuf,
        /// Its Unix mode.
        mode: u32,
    },
    /// The device's certificate has expired.
    Expired {
        /// Where it is.
        path: PathBuf,
    },
    /// The device's certificate is not valid yet.
    NotValidYet {
        /// Where it is.
        path: PathBuf,
    },
}

/// What is not as it should be with files that [`client_config`] takes. (A key file that says where the
/// key is, as for one in a token, is no secret.)
pub fn warnings(files: &Files) -> Vec<Warning> {
    let chain = PemFile::read(FileRole::Certificate, &files.cert)
        .and_then(|file| file.certificates())
        .unwrap_or_default();
    let own = chain.first().and_then(|own| x509::parse(own));
    let (now, path) = (SystemTime::now(), files.cert.clone());
    let out_of_time = own.and_then(|own| {
        if own.not_after.is_some_and(|last| last < now) {
            Some(Warning::Expired { path })
        } else if own.not_before.is_some_and(|first| now < first) {
            Some(Warning::NotValidYet { path })
        } else {
            None
        }
    });
    let key = PemFile::read(FileRole::PrivateKey, &files.key).and_then(|file| file.private_key());
    let open = key.ok().and_then(|_| open_to_others(&files.key));
    open.into_iter().chain(out_of_time).collect()
}

/// A warning if others than the owner can read a file that holds a secret. (`None` on systems without
/// Unix modes.)
#[cfg_attr(not(unix), expect(unused_variables))]
pub fn open_to_others(path: &Path) -> Option<Warning> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let path = path.to_owned();
            return Some(Warning::Open { path, mode });
        }
    }
    None
}

/// Checks that the first certificate is one, and that the key is its own.
fn check_pair(
    chain: &[CertificateDer<'_>],
    key: &dyn SigningKey,
    cert_file: &PemFile<'_>,
    key_file: &PemFile<'_>,
) -> Result<(), TlsError> {
    let parsed: Vec<_> = chain
        .iter()
        .map(|certificate| x509::parse(certificate))
        .collect();
    let Some(Some(own)) = parsed.first() else {
        let what = "holds a certificate that can't be read";
        return Err(cert_file.error(TlsErrorKind::UnusableCertificate, what));
    };
    let Some(of_key) = key.public_key() else {
        return Ok(()); // one that does not tell
    };
    if own.public_key == of_key.as_ref() {
        return Ok(());
    }
    if parsed
        .iter()
        .flatten()
        .any(|other| other.public_key == of_key.as_ref())
    {
        let what = "begins with another certificate than the device's own";
        return Err(cert_file.error(TlsErrorKind::WrongOrder, what));
    }
    let certificate = cert_file.path.to_owned();
    let what = "is not the private key of the certificate";
    Err(key_file.error(TlsErrorKind::KeyMismatch { certificate }, what))
}

/// The certificates of a file as CAs to trust.
fn trust_of_file(file: &PemFile<'_>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in file.certificates()? {
        roots.add(certificate).map_err(|error| {
            let what = format!("holds a CA certificate that can't be read ({error})");
            file.error(TlsErrorKind::UnusableCertificate, what)
                .caused_by(error)
        })?;
    }
    Ok(roots)
}

/// The CAs that the system trusts. Amazon's are among them on every common system.
fn trust_of_system() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let first = found.errors.into_iter().next();
        return Err(TlsError::no_trust_store(first));
    }
    Ok(roots)
}
