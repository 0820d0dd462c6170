//! From PEM files to rustls' `ClientConfig`, and what is wrong with the files in plain words.
//!
//! The crypto provider is a feature of this package: `ring` (the default) does the keys that AWS IoT
//! makes (RSA 2048) and those most devices bring (P-256, P-384), builds in half the time of
//! `aws-lc-rs`, and makes a binary of half the size. `aws-lc-rs` has P-521 keys and post-quantum key
//! exchange (X25519MLKEM768) besides.

use std::fmt::Display;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, InconsistentKeys, RootCertStore};

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
    fn new(mut words: String) -> Self {
        if let Some(first) = words.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        Self(words)
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
    let names = &files.names;
    let chain = PemFile::read(names.cert, &files.cert, names)?.certificates()?;
    let key = PemFile::read(names.key, &files.key, names)?.private_key()?;
    let roots = match &files.ca {
        Some(path) => PemFile::read(names.ca, path, names)?.trust()?,
        None => trust_of_system(names)?,
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::new(format!("TLS can't be set up: {error}.")))?
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
/// (`None` on systems without Unix modes.)
#[cfg_attr(not(unix), expect(unused_variables))]
pub fn key_file_warning(key: &Path) -> Option<String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(key).ok()?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let key = shown(key);
            return Some(format!(
                "Warning: the private key {key} is open to others than its owner (mode {mode:03o}). \
                 Fix it with: chmod 600 '{key}'"
            ));
        }
    }
    None
}

/// The CAs that the system trusts. Amazon's are among them on every common system.
fn trust_of_system(names: &Names) -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map(|error| format!(" ({error})"));
        return Err(TlsError::new(format!(
            "The system's trust store has no CA certificate{}. Install it (Debian, Ubuntu: apt \
             install ca-certificates), or set {} to Amazon's CA \
             (https://www.amazontrust.com/repository/AmazonRootCA1.pem).",
            printable(&why.unwrap_or_default()),
            names.ca
        )));
    }
    Ok(roots)
}

/// Why rustls does not take the certificate and the key.
fn unfit(error: &rustls::Error, files: &Files) -> TlsError {
    let cert = format!("{} {}", files.names.cert, shown(&files.cert));
    let key = format!("{} {}", files.names.key, shown(&files.key));
    TlsError::new(match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => format!(
            "{key} is not the private key of {cert}. Check that both come from the same download: AWS \
             IoT names them alike (ID-certificate.pem.crt, ID-private.pem.key)."
        ),
        rustls::Error::InvalidCertificate(_) => {
            format!("{cert} holds a certificate that can't be read ({error}).")
        }
        _ => format!(
            "{key} holds a private key that can't be used ({error}). Supported are RSA from 2,048 \
             bits, and EC on the curves {CURVES}."
        ),
    })
}

/// A file that should hold PEM, and what messages call it.
struct PemFile<'a> {
    name: &'static str,
    path: &'a Path,
    names: &'a Names,
    text: String,
}

impl<'a> PemFile<'a> {
    fn read(name: &'static str, path: &'a Path, names: &'a Names) -> Result<Self, TlsError> {
        let mut file = Self {
            name,
            path,
            names,
            text: String::new(),
        };
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|opened| opened.take(LARGEST_FILE + 1).read_to_end(&mut bytes))
            .map_err(|error| file.error(format!("can't be read: {error}. Check the path.")))?;
        file.text = String::from_utf8_lossy(&bytes).into_owned();
        let fault = if bytes.is_empty() {
            "is empty. Download or copy it again."
        } else if bytes.len() as u64 > LARGEST_FILE {
            "has more than 1 MiB, so it is no PEM file. Check the path."
        } else if file.text.contains("-----BEGIN ") {
            return Ok(file);
        } else if bytes.starts_with(&[0x30]) {
            "is not in PEM form: it looks like DER. Convert it (openssl x509 -inform der for a \
             certificate, openssl pkey -inform der for a key)."
        } else {
            "is not a PEM file: it has no line that begins with '-----BEGIN '. Check the path."
        };
        Err(file.error(fault))
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let found: Result<Vec<_>, _> = rustls_pemfile::certs(&mut self.text.as_bytes()).collect();
        let found = found.map_err(|_| self.damaged())?;
        if found.is_empty() {
            return Err(self.holds_no("certificate", "-----BEGIN CERTIFICATE-----"));
        }
        Ok(found)
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        if self.text.contains("BEGIN ENCRYPTED PRIVATE KEY") || self.text.contains("4,ENCRYPTED") {
            return Err(self.error(
                "is encrypted with a pass phrase, and there is nobody to type it on a device. Decrypt it \
                 (openssl pkey -in ENCRYPTED -out PLAIN), and protect the file by its mode (chmod 600).",
            ));
        }
        let begins = "-----BEGIN PRIVATE KEY----- (or RSA or EC PRIVATE KEY)";
        rustls_pemfile::private_key(&mut self.text.as_bytes())
            .map_err(|_| self.damaged())?
            .ok_or_else(|| self.holds_no("private key", begins))
    }

    /// Its certificates as CAs to trust.
    fn trust(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates()? {
            if let Err(error) = roots.add(certificate) {
                let what = format!("holds a CA certificate that can't be read ({error}).");
                return Err(self.error(what));
            }
        }
        Ok(roots)
    }

    /// The decoder's own words are not shown: they can quote the file, and it may hold a key.
    fn damaged(&self) -> TlsError {
        self.error(
            "is damaged: its PEM can't be decoded. Have its line breaks been lost? The BEGIN and END \
             lines must stand alone. Copy it again.",
        )
    }

    /// The file is PEM, but of another kind than wanted.
    fn holds_no(&self, wanted: &str, begins: &str) -> TlsError {
        let mut lines = self.text.lines();
        let Some(found) = lines.find_map(|line| line.strip_prefix("-----BEGIN ")) else {
            return self.error(format!(
                "holds no {wanted}: its BEGIN line has something before it (spaces, a byte order \
                 mark). Copy it again."
            ));
        };
        // Only the label is shown, and not much of it: what follows may be a key.
        let found = cut(found.split("-----").next().unwrap_or_default(), 40);
        let Names { cert, key, .. } = self.names;
        let swapped = (self.name == *cert && found.contains("PRIVATE KEY"))
            || (self.name == *key && found == "CERTIFICATE");
        let advice = match swapped {
            true => format!("Have {cert} and {key} been swapped?"),
            false => format!("The right file has a line {begins}"),
        };
        let found = printable(&found);
        self.error(format!("holds no {wanted}, but {found}. {advice}"))
    }

    fn error(&self, what: impl Display) -> TlsError {
        TlsError::new(format!("{} {} {what}", self.name, shown(self.path)))
    }
}

fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy()).into_owned()
}
