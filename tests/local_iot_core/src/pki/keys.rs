//! The forms that a device's private key comes in.
//!
//! Keys in PKCS#8 on the curves P-256 and P-384 are new each time. The others are in `keys/`, made once
//! by openssl (`genrsa`, `ecparam -genkey`, `rsa -traditional`, `pkcs8 -topk8 -nocrypt`): a library that
//! makes them would be a sixth of what a first build takes. They are nobody's but the tests'.

use std::io;

use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, SignatureAlgorithm,
};

/// The form of a device's private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyForm {
    /// `BEGIN PRIVATE KEY`, on the curve P-256.
    Pkcs8P256,
    /// `BEGIN PRIVATE KEY`, on the curve P-384.
    Pkcs8P384,
    /// `BEGIN EC PRIVATE KEY`, on the curve P-256. Always the same key.
    Sec1P256,
    /// `BEGIN EC PRIVATE KEY`, on the curve P-384. Always the same key.
    Sec1P384,
    /// `BEGIN EC PRIVATE KEY`, on the curve P-521, which `ring` does not know. The certificate
    /// that comes with it belongs to another key.
    Sec1P521,
    /// `BEGIN RSA PRIVATE KEY`, 2048 bits: what AWS makes. Always the same key.
    RsaPkcs1,
    /// `BEGIN PRIVATE KEY`, RSA with 2048 bits: the same key.
    RsaPkcs8,
    /// `BEGIN ENCRYPTED PRIVATE KEY`. Its content is of no use to anybody: a program is
    /// expected to stop at the label.
    EncryptedPkcs8,
}

impl KeyForm {
    /// A key of this form, and the text of its file.
    pub(super) fn generate(self) -> io::Result<(KeyPair, String)> {
        match self {
            KeyForm::Pkcs8P256 => generated(&PKCS_ECDSA_P256_SHA256),
            KeyForm::Pkcs8P384 => generated(&PKCS_ECDSA_P384_SHA384),
            KeyForm::Sec1P256 => Ok((
                kept(include_str!("keys/p256.pkcs8"), &PKCS_ECDSA_P256_SHA256)?,
                include_str!("keys/p256.sec1").to_owned(),
            )),
            KeyForm::Sec1P384 => Ok((
                kept(include_str!("keys/p384.pkcs8"), &PKCS_ECDSA_P384_SHA384)?,
                include_str!("keys/p384.sec1").to_owned(),
            )),
            KeyForm::Sec1P521 => {
                let (another, _) = generated(&PKCS_ECDSA_P256_SHA256)?;
                Ok((another, include_str!("keys/p521.sec1").to_owned()))
            }
            KeyForm::RsaPkcs1 | KeyForm::RsaPkcs8 => {
                let pkcs8 = include_str!("keys/rsa.pkcs8");
                let text = match self {
                    KeyForm::RsaPkcs1 => include_str!("keys/rsa.pkcs1"),
                    _ => pkcs8,
                };
                Ok((kept(pkcs8, &PKCS_RSA_SHA256)?, text.to_owned()))
            }
            KeyForm::EncryptedPkcs8 => {
                let (key, text) = generated(&PKCS_ECDSA_P256_SHA256)?;
                Ok((key, text.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY")))
            }
        }
    }
}

/// A new key, and its text.
fn generated(algorithm: &'static SignatureAlgorithm) -> io::Result<(KeyPair, String)> {
    let key = KeyPair::generate_for(algorithm).map_err(io::Error::other)?;
    let text = key.serialize_pem();
    Ok((key, text))
}

/// The key in a text of PKCS#8.
fn kept(text: &str, algorithm: &'static SignatureAlgorithm) -> io::Result<KeyPair> {
    KeyPair::from_pkcs8_pem_and_sign_algo(text, algorithm).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        for (form, label) in [
            (KeyForm::Pkcs8P256, "BEGIN PRIVATE KEY"),
            (KeyForm::Pkcs8P384, "BEGIN PRIVATE KEY"),
            (KeyForm::Sec1P256, "BEGIN EC PRIVATE KEY"),
            (KeyForm::Sec1P384, "BEGIN EC PRIVATE KEY"),
            (KeyForm::Sec1P521, "BEGIN EC PRIVATE KEY"),
            (KeyForm::RsaPkcs1, "BEGIN RSA PRIVATE KEY"),
            (KeyForm::RsaPkcs8, "BEGIN PRIVATE KEY"),
            (KeyForm::EncryptedPkcs8, "BEGIN ENCRYPTED PRIVATE KEY"),
        ] {
            let (_, pem) = form.generate().unwrap();
            assert!(pem.starts_with(&format!("-----{label}-----")), "{form:?}");
        }
    }
}
