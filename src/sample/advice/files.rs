//! What to do about a file that can't be used.

use crate::sample::lines::explained;
use crate::text::printable;
use crate::tls::{FileRole, TlsError, TlsErrorKind as Kind, Warning};

/// What is wrong with a file, and what to do about it.
pub fn file_error(error: &TlsError) -> String {
    let advice = match error.kind() {
        Kind::Unreadable | Kind::TooLarge | Kind::NotPem => "Check the path.".to_owned(),
        Kind::Empty => "Download or copy it again.".to_owned(),
        Kind::Indented => "Copy it again.".to_owned(),
        Kind::Utf16 => "Convert it (PowerShell: (Get-Content FILE) | Set-Content -Encoding ascii \
                        NEW), and write it with Set-Content or Out-File -Encoding ascii next time."
            .to_owned(),
        Kind::Der => {
            "Convert it (openssl x509 -inform der for a certificate, openssl pkey -inform der \
                      for a key)."
                .to_owned()
        }
        Kind::Damaged => {
            "Have its line breaks been lost? The BEGIN and END lines must stand alone. \
                          Copy it again."
                .to_owned()
        }
        Kind::WrongKind { swapped: true, .. } => "Have --cert and --key been swapped?".to_owned(),
        Kind::WrongKind { .. } => match error.file() {
            Some((FileRole::PrivateKey, _)) => {
                "The right file has a line -----BEGIN PRIVATE KEY----- \
                                                (or RSA or EC PRIVATE KEY)."
                    .to_owned()
            }
            _ => "The right file has a line -----BEGIN CERTIFICATE-----.".to_owned(),
        },
        Kind::Encrypted => {
            "Decrypt it (openssl pkey -in ENCRYPTED -out PLAIN), and protect the file \
                            by its mode (chmod 600)."
                .to_owned()
        }
        Kind::UnusableKey { curves } => {
            format!("Supported are RSA from 2,048 bits, and EC on the curves {curves}.")
        }
        Kind::UnusableCertificate => "Check the path, and copy it again.".to_owned(),
        Kind::WrongOrder => "The device's own comes first, and those of its CAs follow.".to_owned(),
        Kind::KeyMismatch { certificate } => format!(
            "Check that it and --cert {} come from the same download: AWS IoT names them alike \
             (ID-certificate.pem.crt, ID-private.pem.key).",
            printable(&certificate.to_string_lossy())
        ),
        Kind::NoTrustStore => "Install it (Debian, Ubuntu: apt install ca-certificates), or set \
                               --ca_file to Amazon's CA \
                               (https://www.amazontrust.com/repository/AmazonRootCA1.pem)."
            .to_owned(),
        _ => String::new(),
    };
    let Some((role, path)) = error.file() else {
        let advice = Some(advice).filter(|advice| !advice.is_empty());
        return explained(&error.what(), advice);
    };
    let flag = match role {
        FileRole::Certificate => "--cert",
        FileRole::PrivateKey => "--key",
        FileRole::Ca => "--ca_file",
    };
    let path = path.to_string_lossy();
    format!("{flag} {} {}. {advice}", printable(&path), error.what())
        .trim_end()
        .to_owned()
}

/// What should not stay as it is, and how to fix it.
pub fn warning(warning: &Warning) -> String {
    match warning {
        Warning::Open { path, mode } => {
            let path = path.to_string_lossy();
            let path = printable(&path);
            format!(
                "Warning: {path} holds a secret and is open to others than its owner (mode \
                 {mode:03o}). Fix it with: chmod 600 '{path}'"
            )
        }
        Warning::Expired { path } => format!(
            "Warning: the certificate --cert {} has expired, so AWS IoT Core will refuse it. (Or the \
             clock is ahead: `date`.)",
            printable(&path.to_string_lossy())
        ),
        Warning::NotValidYet { path } => format!(
            "Warning: the certificate --cert {} is not valid yet, so AWS IoT Core will refuse it. (Or \
             the clock is behind: `date`.)",
            printable(&path.to_string_lossy())
        ),
    }
}
