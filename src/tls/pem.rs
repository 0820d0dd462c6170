//! What a PEM file holds, or why it holds nothing of use.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::error::{FileRole, TlsError, TlsErrorKind as Kind};
use crate::text::cut;

/// A certificate file is small. Whatever is larger (a log, a device like /dev/zero) is none.
const LARGEST_FILE: u64 = 1024 * 1024;

/// A file that should hold PEM.
pub(super) struct PemFile<'a> {
    role: FileRole,
    pub path: &'a Path,
    text: String,
}

impl<'a> PemFile<'a> {
    pub fn read(role: FileRole, path: &'a Path) -> Result<Self, TlsError> {
        let mut file = Self {
            role,
            path,
            text: String::new(),
        };
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|opened| opened.take(LARGEST_FILE + 1).read_to_end(&mut bytes))
            .map_err(|error| {
                let what = format!("can't be read: {error}");
                file.error(Kind::Unreadable, what).caused_by(error)
            })?;
        file.text = String::from_utf8_lossy(&bytes).into_owned();
        let (kind, what) = if bytes.is_empty() {
            (Kind::Empty, "is empty")
        } else if bytes.len() as u64 > LARGEST_FILE {
            (Kind::TooLarge, "has more than 1 MiB, so it is no PEM file")
        } else if file.text.contains("-----BEGIN ") {
            return Ok(file);
        } else if is_utf16(&bytes) {
            (Kind::Utf16, "is text in UTF-16, and PEM is ASCII")
        } else if bytes.starts_with(&[0x30]) {
            (Kind::Der, "is not in PEM form: it looks like DER")
        } else {
            let what = "is not a PEM file: it has no line that begins with '-----BEGIN '";
            (Kind::NotPem, what)
        };
        Err(file.error(kind, what))
    }

    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let found: Result<Vec<_>, _> = rustls_pemfile::certs(&mut self.text.as_bytes()).collect();
        let found = found.map_err(|_| self.damaged())?;
        if found.is_empty() {
            return Err(self.holds_no("certificate"));
        }
        Ok(found)
    }

    pub fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        if self.text.contains("BEGIN ENCRYPTED PRIVATE KEY") || self.text.contains("4,ENCRYPTED") {
            let what =
                "is encrypted with a pass phrase, and there is nobody to type it on a device";
            return Err(self.error(Kind::Encrypted, what));
        }
        rustls_pemfile::private_key(&mut self.text.as_bytes())
            .map_err(|_| self.damaged())?
            .ok_or_else(|| self.holds_no("private key"))
    }

    /// The decoder's own words are not shown: they can quote the file, and it may hold a key.
    fn damaged(&self) -> TlsError {
        self.error(Kind::Damaged, "is damaged: its PEM can't be decoded")
    }

    /// The file is PEM, but of another kind than wanted.
    fn holds_no(&self, wanted: &str) -> TlsError {
        let mut lines = self.text.lines();
        let Some(found) = lines.find_map(|line| line.strip_prefix("-----BEGIN ")) else {
            let what = format!(
                "holds no {wanted}: its BEGIN line has something before it (spaces, a byte order mark)"
            );
            return self.error(Kind::Indented, what);
        };
        // Only the label is shown, and not much of it: what follows may be a key.
        let found = cut(found.split("-----").next().unwrap_or_default(), 40);
        let found = crate::text::printable(&found).into_owned();
        let swapped = match self.role {
            FileRole::Certificate => found.contains("PRIVATE KEY"),
            FileRole::PrivateKey => found == "CERTIFICATE",
            FileRole::Ca => false,
        };
        let what = format!("holds no {wanted}, but {found}");
        self.error(Kind::WrongKind { found, swapped }, what)
    }

    pub fn error(&self, kind: Kind, what: impl Into<String>) -> TlsError {
        TlsError::of_file(self.role, self.path, kind, what)
    }
}

/// Whether it is text with a zero byte beside each ASCII character, as PowerShell's `>` writes it.
fn is_utf16(bytes: &[u8]) -> bool {
    let dashes = |zero_first: bool| {
        let wanted = if zero_first { [0, b'-'] } else { [b'-', 0] };
        bytes
            .windows(10)
            .any(|some| some.chunks_exact(2).all(|pair| pair == wanted))
    };
    dashes(false) || dashes(true)
}
