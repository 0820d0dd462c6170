//! Whether a firmware is from its maker: ECDSA on P-256 over the SHA-256 of the file, as
//! `openssl dgst -sha256 -sign` makes it, and AWS's Signer.

use std::fs::File;
use std::io;
use std::path::Path;

use base64::{Engine, prelude::BASE64_STANDARD};
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::DecodePublicKey;
use sha2::{Digest, Sha256};

use super::durable::Folder;

/// The public keys on the device: the one that signs today, and the one that will when that is lost or
/// retired. A firmware brings the one after that along.
const KEYS: [&str; 2] = ["signing-key-1.pem", "signing-key-2.pem"];

/// A signature that was read, and what it is to be a signature of.
pub struct Signed {
    signature: Signature,
    /// What stands behind the file in what is signed: `allow_downgrade=3`, if the firmware may be older
    /// than the one installed. So whoever creates jobs can't make a downgrade of the signature for an
    /// update, nor use that of a downgrade once more.
    downgrade: String,
}

impl Signed {
    /// Reads a signature: DER, in base64; with the number of a downgrade, if it is one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(base64: &str, downgrade: Option<u64>) -> Result<Self, String> {
        if base64.starts_with("${aws:iot:") {
            return Err("the signature's placeholder was not replaced".to_owned());
        }
        let der = BASE64_STANDARD.decode(base64).unwrap_or_default();
        let signature = Signature::from_der(&der)
            .map_err(|_| "signature is not one of ECDSA on P-256, DER in base64")?;
        Ok(Self {
            signature,
            downgrade: downgrade.map_or_else(String::new, |it| format!("allow_downgrade={it}")),
        })
    }

    /// Whether one of the device's keys has signed this file.
    ///
    /// # Errors
    /// If the file or a key can't be read.
    pub fn is_of(&self, path: &Path, folder: &Folder) -> io::Result<bool> {
        let mut hash = Sha256::new();
        io::copy(&mut File::open(path)?, &mut hash)?;
        hash.update(&self.downgrade);
        let hash = hash.finalize();
        let keys = keys(folder)?;
        let mut keys = keys.iter();
        Ok(keys.any(|key| key.verify_prehash(&hash, &self.signature).is_ok()))
    }
}

/// The keys that can be used. One is enough: with it comes the update that mends the other.
fn keys(folder: &Folder) -> io::Result<Vec<VerifyingKey>> {
    let mut keys = Vec::new();
    let mut problem = "there is no signing key".to_owned();
    for name in KEYS {
        let key = match folder.read(name) {
            Ok(None) => continue,
            Ok(Some(text)) => VerifyingKey::from_public_key_pem(&text).map_err(|it| it.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match key {
            Ok(key) => keys.push(key),
            Err(error) => {
                problem = format!("{name} is no public key of P-256: {error}");
                eprintln!("A signing key can't be used: {problem}.");
            }
        }
    }
    match keys.is_empty() {
        true => Err(io::Error::other(problem)),
        false => Ok(keys),
    }
}
