//! From PEM files to rustls' `ClientConfig`, and what is wrong with the files in plain words.
//!
//! The crypto provider is a feature of this package: `ring` (the default) does the keys that AWS IoT
//! makes (RSA 2048) and those most devices bring (P-256, P-384), builds in half the time of
//! `aws-lc-rs`, and makes a binary of half the size. `aws-lc-rs` has P-521 keys and post-quantum key
//! exchange (X25519MLKEM768) besides.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, InconsistentKeys, RootCertStore};
use rustls_pemfile::Item;

use crate::names::Names;
use crate::text::{cut, printable};

/// The ALPN name under which AWS IoT Core takes MQTT with client certificates on port 443. See
/// <https://docs.aws.amazon.com/iot/latest/developerguide/protocols.html>.
const ALPN_MQTT: &[u8] = b"x-amzn-mqtt-ca";

/// A certificate file is small. Whatever is larger (a log, a device like /dev/zero) is none.
const LARGEST_FILE: u64 = 1024 * 1024;

/// The files that make a TLS connection.
#[derive(Debug, Clone)]
pub struct Files {
    /// The device's certificate, with the rest of its chain behind it.
    pub cert: PathBuf,
    /// The private key of that certificate.
    pub key: PathBuf,
    /// The only CAs to trust. `None`: those of the system.
    pub ca: Option<PathBuf>,
    /// What messages call these files.
    pub names: Names,
}

impl Files {
    /// A device's certificate and its private key, and trust in the system's CAs.
    pub fn new(cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self {
            cert: cert.into(),
            key: key.into(),
            ca: None,
            names: Names::default(),
        }
    }
}

/// What is wrong with a file, or with the system's trust store. Says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(String);

impl TlsError {
    /// These words, as a sentence: they may begin with a name.
    fn new(words: &str) -> Self {
        let mut rest = words.chars();
        let first = rest.next().map(|first| first.to_ascii_uppercase());
        Self(first.into_iter().chain(rest).collect())
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

/// Reads the files, and makes of them what a connection to this port needs.
///
/// # Errors
/// Says which file can't be used, why, and what to do about it.
pub fn client_config(files: &Files, port: u16) -> Result<ClientConfig, TlsError> {
    let chain = device_chain(files)?;
    let key = private_key(files)?;
    let roots = match &files.ca {
        Some(path) => trust_of_file(path, files)?,
        None => trust_of_system(files)?,
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::new(&format!("TLS can't be set up: {error}.")))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(|error| unfit(&error, files))?;
    config.resumption = Resumption::in_memory_sessions(1); // there is one server
    if port == 443 {
        config.alpn_protocols = vec![ALPN_MQTT.to_vec()];
    }
    Ok(config)
}

/// A warning if others than the owner can read the private key, with the command that fixes it.
#[cfg(unix)]
pub fn key_file_warning(key: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(key).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then(|| {
        let key = shown(key);
        format!(
            "Warning: the private key {key} is open to others than its owner (mode {mode:03o}). \
             Fix it with: chmod 600 '{key}'"
        )
    })
}

/// A warning if others than the owner can read the private key: not known on this system.
#[cfg(not(unix))]
pub fn key_file_warning(_key: &Path) -> Option<String> {
    None
}

/// The device's certificate and the rest of its chain.
fn device_chain(files: &Files) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let file = PemFile::read(files.names.cert, &files.cert)?;
    let chain = file.certificates()?;
    if chain.is_empty() {
        return Err(file.holds_no("certificate", "-----BEGIN CERTIFICATE-----", files));
    }
    Ok(chain)
}

/// The device's private key.
fn private_key(files: &Files) -> Result<PrivateKeyDer<'static>, TlsError> {
    let file = PemFile::read(files.names.key, &files.key)?;
    if file.text.contains("BEGIN ENCRYPTED PRIVATE KEY") || file.text.contains("4,ENCRYPTED") {
        return Err(file.error(
            "is encrypted with a pass phrase, and there is nobody to type it on a device. Decrypt it \
             (openssl pkey -in ENCRYPTED -out PLAIN), and protect the file by its mode (chmod 600).",
        ));
    }
    for item in file.items()? {
        match item {
            Item::Pkcs1Key(key) => return Ok(key.into()),
            Item::Pkcs8Key(key) => return Ok(key.into()),
            Item::Sec1Key(key) => return Ok(key.into()),
            _ => {}
        }
    }
    Err(file.holds_no(
        "private key",
        "-----BEGIN PRIVATE KEY----- (or RSA or EC PRIVATE KEY)",
        files,
    ))
}

/// The CAs of a file.
fn trust_of_file(path: &Path, files: &Files) -> Result<RootCertStore, TlsError> {
    let file = PemFile::read(files.names.ca, path)?;
    let certificates = file.certificates()?;
    if certificates.is_empty() {
        return Err(file.holds_no("certificate", "-----BEGIN CERTIFICATE-----", files));
    }
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).map_err(|error| {
            file.error(&format!(
                "holds a CA certificate that can't be read ({error})."
            ))
        })?;
    }
    Ok(roots)
}

/// The CAs that the system trusts. Amazon's are among them on every common system.
fn trust_of_system(files: &Files) -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found
            .errors
            .first()
            .map(|error| format!(" ({error})"))
            .unwrap_or_default();
        return Err(TlsError::new(&format!(
            "The system's trust store has no CA certificate{}. Install it (Debian, Ubuntu: apt \
             install ca-certificates), or set {} to Amazon's CA \
             (https://www.amazontrust.com/repository/AmazonRootCA1.pem).",
            printable(&why),
            files.names.ca
        )));
    }
    Ok(roots)
}

/// Why rustls takes the certificate and the key, but not the two together.
fn unfit(error: &rustls::Error, files: &Files) -> TlsError {
    let Names { cert, key, .. } = files.names;
    let (cert_path, key_path) = (shown(&files.cert), shown(&files.key));
    TlsError::new(&match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => format!(
            "{key} {key_path} is not the private key of {cert} {cert_path}. Check that both come from \
             the same download: AWS IoT names them alike (ID-certificate.pem.crt, ID-private.pem.key)."
        ),
        rustls::Error::InvalidCertificate(_) => {
            format!("{cert} {cert_path} holds a certificate that can't be read ({error}).")
        }
        _ => format!(
            "{key} {key_path} holds a private key that can't be used ({error}). Supported are RSA from \
             2,048 bits, and EC on the curves {CURVES}."
        ),
    })
}

/// A file that should hold PEM, and what messages call it.
struct PemFile<'a> {
    name: &'static str,
    path: &'a Path,
    text: String,
}

impl<'a> PemFile<'a> {
    fn read(name: &'static str, path: &'a Path) -> Result<Self, TlsError> {
        let mut file = Self {
            name,
            path,
            text: String::new(),
        };
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|opened| opened.take(LARGEST_FILE + 1).read_to_end(&mut bytes))
            .map_err(|error| file.error(&format!("can't be read: {error}. Check the path.")))?;
        if bytes.is_empty() {
            return Err(file.error("is empty. Download or copy it again."));
        }
        if bytes.len() as u64 > LARGEST_FILE {
            return Err(file.error("has more than 1 MiB, so it is no PEM file. Check the path."));
        }
        file.text = String::from_utf8_lossy(&bytes).into_owned();
        if !file.text.contains("-----BEGIN ") {
            return Err(file.error(if bytes.starts_with(&[0x30]) {
                "is not in PEM form: it looks like DER. Convert it (openssl x509 -inform der for a \
                 certificate, openssl pkey -inform der for a key)."
            } else {
                "is not a PEM file: it has no line that begins with '-----BEGIN '. Check the path."
            }));
        }
        Ok(file)
    }

    /// Everything in the file that is of use to TLS.
    fn items(&self) -> Result<Vec<Item>, TlsError> {
        // The decoder's own words are not shown: they can quote the file, and it may hold a key.
        rustls_pemfile::read_all(&mut self.text.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|_| {
                self.error(
                    "is damaged: its PEM can't be decoded. Have its line breaks been lost? The \
                     BEGIN and END lines must stand alone. Copy it again.",
                )
            })
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let certificate = |item| match item {
            Item::X509Certificate(certificate) => Some(certificate),
            _ => None,
        };
        Ok(self.items()?.into_iter().filter_map(certificate).collect())
    }

    /// The file is PEM, but of another kind than wanted.
    fn holds_no(&self, wanted: &str, begins: &str, files: &Files) -> TlsError {
        let mut labels = self
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("-----BEGIN "));
        // Only the label is shown, and not much of it: what follows may be a key.
        let found = labels.next().and_then(|line| line.split("-----").next());
        let Some(found) = found.map(|label| cut(label, 40)) else {
            return self.error(&format!(
                "holds no {wanted}: its BEGIN line has something before it (spaces, a byte order \
                 mark). Copy it again."
            ));
        };
        let Names { cert, key, .. } = files.names;
        let swapped = (self.name == cert && found.contains("PRIVATE KEY"))
            || (self.name == key && found == "CERTIFICATE");
        let advice = match swapped {
            true => format!("Have {cert} and {key} been swapped?"),
            false => format!("The right file has a line {begins}"),
        };
        self.error(&format!(
            "holds no {wanted}, but {}. {advice}",
            printable(&found)
        ))
    }

    fn error(&self, what: &str) -> TlsError {
        TlsError::new(&format!("{} {} {what}", self.name, shown(self.path)))
    }
}

fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy()).into_owned()
}
