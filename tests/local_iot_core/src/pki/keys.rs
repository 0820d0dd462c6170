//! The forms that a device's private key comes in.

use std::io;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256};
use rsa::{
    RsaPrivateKey,
    pkcs1::EncodeRsaPrivateKey,
    pkcs8::{self, EncodePrivateKey, LineEnding, ObjectIdentifier, der::Decode},
    rand_core::OsRng,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use sec1::{EcParameters, EcPrivateKey, der::EncodePem};

const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// The form of a device's private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyForm {
    /// `BEGIN PRIVATE KEY`, on the curve P-256.
    Pkcs8P256,
    /// `BEGIN PRIVATE KEY`, on the curve P-384.
    Pkcs8P384,
    /// `BEGIN EC PRIVATE KEY`, on the curve P-256.
    Sec1P256,
    /// `BEGIN EC PRIVATE KEY`, on the curve P-384.
    Sec1P384,
    /// `BEGIN EC PRIVATE KEY`, on the curve P-521, which `ring` does not know. The certificate
    /// that comes with it belongs to another key.
    Sec1P521,
    /// `BEGIN RSA PRIVATE KEY`, 2048 bits: what AWS makes.
    RsaPkcs1,
    /// `BEGIN PRIVATE KEY`, RSA with 2048 bits.
    RsaPkcs8,
    /// `BEGIN ENCRYPTED PRIVATE KEY`. Its content is of no use to anybody: a program is
    /// expected to stop at the label.
    EncryptedPkcs8,
}

impl KeyForm {
    /// A new key, and the text of its file.
    pub(super) fn generate(self) -> io::Result<(KeyPair, String)> {
        match self {
            KeyForm::Pkcs8P256
            | KeyForm::Sec1P256
            | KeyForm::Sec1P521
            | KeyForm::EncryptedPkcs8 => {
                let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256);
                self.write(key.map_err(io::Error::other)?)
            }
            KeyForm::Pkcs8P384 | KeyForm::Sec1P384 => {
                let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384);
                self.write(key.map_err(io::Error::other)?)
            }
            KeyForm::RsaPkcs1 | KeyForm::RsaPkcs8 => self.generate_rsa(),
        }
    }

    fn write(self, key: KeyPair) -> io::Result<(KeyPair, String)> {
        let pem = match self {
            KeyForm::Sec1P256 => sec1_pem(&key, P256)?,
            KeyForm::Sec1P384 => sec1_pem(&key, P384)?,
            KeyForm::Sec1P521 => p521_pem()?,
            KeyForm::EncryptedPkcs8 => key
                .serialize_pem()
                .replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
            _ => key.serialize_pem(),
        };
        Ok((key, pem))
    }

    fn generate_rsa(self) -> io::Result<(KeyPair, String)> {
        let key = RsaPrivateKey::new(&mut OsRng, 2048).map_err(io::Error::other)?;
        let pem = match self {
            KeyForm::RsaPkcs1 => key.to_pkcs1_pem(LineEnding::LF).map_err(io::Error::other)?,
            _ => key.to_pkcs8_pem(LineEnding::LF).map_err(io::Error::other)?,
        };
        let der = key.to_pkcs8_der().map_err(io::Error::other)?;
        let der = PrivatePkcs8KeyDer::from(der.as_bytes());
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_RSA_SHA256);
        Ok((key.map_err(io::Error::other)?, pem.to_string()))
    }
}

/// Takes the elliptic-curve key out of its PKCS#8 wrapping. The wrapping named the curve;
/// without it, the key has to name it itself.
fn sec1_pem(key: &KeyPair, curve: ObjectIdentifier) -> io::Result<String> {
    let der = key.serialized_der();
    let wrapped = pkcs8::PrivateKeyInfo::from_der(der).map_err(io::Error::other)?;
    let inner = EcPrivateKey::from_der(wrapped.private_key).map_err(io::Error::other)?;
    let inner = EcPrivateKey {
        parameters: Some(EcParameters::NamedCurve(curve)),
        ..inner
    };
    inner.to_pem(LineEnding::LF).map_err(io::Error::other)
}

/// A key that nobody will sign with.
fn p521_pem() -> io::Result<String> {
    let key = EcPrivateKey {
        private_key: &[1; 66],
        parameters: Some(EcParameters::NamedCurve(P521)),
        public_key: None,
    };
    key.to_pem(LineEnding::LF).map_err(io::Error::other)
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
