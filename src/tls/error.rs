//! What is wrong with a file, or with the system's trust store, as a value.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error_class::ErrorClass;
use crate::text::printable;

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileRole {
    /// The device's certificate and its chain.
    Certificate,
    /// The private key of that certificate.
    PrivateKey,
    /// The CAs to trust.
    Ca,
}

impl fmt::Display for FileRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "the device certificate",
            Self::PrivateKey => "the private key",
            Self::Ca => "the CA file",
        })
    }
}

/// What is wrong, to count by.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsErrorKind {
    /// The file can't be opened or read.
    Unreadable,
    /// It has no bytes.
    Empty,
    /// It has more than 1 MiB.
    TooLarge,
    /// It is text in UTF-16, as PowerShell's `>` writes it.
    Utf16,
    /// It is in DER form.
    Der,
    /// It has no line that begins with `-----BEGIN `.
    NotPem,
    /// Its PEM can't be decoded.
    Damaged,
    /// Its BEGIN line has something before it.
    Indented,
    /// It holds something else than wanted.
    WrongKind {
        /// The label of what it holds: `PRIVATE KEY`, say.
        found: String,
        /// Whether certificate and private key seem to be swapped.
        swapped: bool,
    },
    /// The private key is encrypted.
    Encrypted,
    /// The private key can't be used.
    UnusableKey {
        /// The elliptic curves that can be.
        curves: &'static str,
    },
    /// A certificate in it can't be read.
    UnusableCertificate,
    /// The device's own certificate is not the first.
    WrongOrder,
    /// Key and certificate do not belong together.
    KeyMismatch {
        /// Where the certificate is.
        certificate: PathBuf,
    },
    /// The system trusts no CA.
    NoTrustStore,
    /// rustls can't be set up.
    Setup,
}

/// What is wrong with a file, or with the system's trust store.
#[derive(Debug, Clone)]
pub struct TlsError {
    kind: TlsErrorKind,
    file: Option<(FileRole, PathBuf)>,
    what: String,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl TlsError {
    pub(super) fn of_file(
        role: FileRole,
        path: &Path,
        kind: TlsErrorKind,
        what: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            file: Some((role, path.to_owned())),
            what: what.into(),
            source: None,
        }
    }

    /// The same, with what brought it about.
    pub(super) fn caused_by(mut self, error: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(error));
        self
    }

    pub(super) fn setup(error: rustls::Error) -> Self {
        Self {
            kind: TlsErrorKind::Setup,
            file: None,
            what: format!("TLS can't be set up: {error}"),
            source: Some(Arc::new(error)),
        }
    }

    pub(super) fn no_trust_store(why: Option<rustls_native_certs::Error>) -> Self {
        let shown = why.as_ref().map(|why| format!(" ({why})"));
        Self {
            kind: TlsErrorKind::NoTrustStore,
            file: None,
            what: format!(
                "the system's trust store has no CA certificate{}",
                printable(&shown.unwrap_or_default())
            ),
            source: why.map(|why| Arc::new(why) as _),
        }
    }

    /// What is wrong, to count by.
    pub fn kind(&self) -> &TlsErrorKind {
        &self.kind
    }

    /// Whether it passes by itself: never. Somebody has to change the file or the trust store; a TLS that
    /// can't be set up is the program's own fault.
    pub fn class(&self) -> ErrorClass {
        match self.kind {
            TlsErrorKind::Setup => ErrorClass::Permanent,
            _ => ErrorClass::Misconfigured,
        }
    }

    /// The file, if it is about one.
    pub fn file(&self) -> Option<(FileRole, &Path)> {
        self.file.as_ref().map(|(role, path)| (*role, &**path))
    }

    /// What is wrong with the file, as the rest of a sentence: "is empty". Without a file, all of it.
    pub fn what(&self) -> &str {
        &self.what
    }
}

impl Error for TlsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|error| error as _)
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((role, path)) = &self.file {
            write!(f, "{role} {} ", printable(&path.to_string_lossy()))?;
        }
        f.write_str(&self.what)
    }
}
