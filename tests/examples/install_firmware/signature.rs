//! Whether a firmware is from its maker: ECDSA on P-256 over the SHA-256 of the file, as
//! `openssl dgst -sha256 -sign` makes it, and AWS's Signer.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use base64::{Engine, prelude::BASE64_STANDARD};
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::DecodePublicKey;
use sha2::{Digest, Sha256};

/// The public keys on the device: the one that signs today, and the one that will when that is lost or
/// retired. A firmware brings the one after that along.
const KEYS: [&str; 2] = ["signing-key-1.pem", "signing-key-2.pem"];

/// What stands behind the file in what is signed, if the firmware may be older than the one installed.
/// So a signature for an update is none for a downgrade: whoever creates jobs can't make one of it.
const DOWNGRADE: &[u8] = b"allow_downgrade";

/// A signature that was read, and what it is to be a signature of.
pub struct Signed {
    signature: Signature,
    is_downgrade: bool,
}

impl Signed {
    /// Reads a signature: DER, in base64.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(base64: &str, is_downgrade: bool) -> Result<Self, String> {
        if base64.starts_with("${aws:iot:") {
            return Err("the signature's placeholder was not replaced".to_owned());
        }
        let der = BASE64_STANDARD.decode(base64).unwrap_or_default();
        let signature = Signature::from_der(&der)
            .map_err(|_| "signature is not one of ECDSA on P-256, DER in base64")?;
        Ok(Self {
            signature,
            is_downgrade,
        })
    }

    /// Whether one of the device's keys has signed this file.
    ///
    /// # Errors
    /// If the file or a key can't be read.
    pub fn is_of(&self, path: &Path, folder: &Path) -> io::Result<bool> {
        let mut hash = Sha256::new();
        io::copy(&mut File::open(path)?, &mut hash)?;
        if self.is_downgrade {
            hash.update(DOWNGRADE);
        }
        let hash = hash.finalize();
        let mut keys = keys(folder)?.into_iter();
        Ok(keys.any(|key| key.verify_prehash(&hash, &self.signature).is_ok()))
    }
}

/// The keys that there are. One is enough.
fn keys(folder: &Path) -> io::Result<Vec<VerifyingKey>> {
    let paths: Vec<PathBuf> = KEYS.map(|name| folder.join(name)).into();
    let there: Vec<&PathBuf> = paths.iter().filter(|path| path.exists()).collect();
    let read = |path: &PathBuf| {
        let text = fs::read_to_string(path)?;
        let name = path.display();
        VerifyingKey::from_public_key_pem(&text)
            .map_err(|error| io::Error::other(format!("{name} is no public key of P-256: {error}")))
    };
    match there.is_empty() {
        true => Err(io::Error::other(format!(
            "there is no {}",
            paths[0].display()
        ))),
        false => there.into_iter().map(read).collect(),
    }
}
