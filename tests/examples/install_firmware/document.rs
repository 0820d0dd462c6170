//! What a job document asks for, and whether it is from the maker: signed with ECDSA on P-256 over the
//! SHA-256 of the file, as `openssl dgst -sha256 -sign` does it, and AWS's Signer.

use std::fs::File;
use std::io;
use std::path::Path;

use base64::{Engine, prelude::BASE64_STANDARD};
use jobs_mqtt5::jobs::{DetailError, JobExecution, StatusDetails};
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::DecodePublicKey;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::durable::Folder;
use super::presigned::check_url;

/// The public keys on the device: the one that signs today, and the one that will when that is lost or
/// retired. A firmware brings the one after that along.
const KEYS: [&str; 2] = ["signing-key-1.pem", "signing-key-2.pem"];
/// The largest firmware that there is room for, in bytes.
const LARGEST: u64 = 64 * 1024 * 1024;

#[derive(Deserialize)]
#[serde(tag = "operation", rename_all = "kebab-case")]
enum Task {
    InstallFirmware(Firmware),
}

/// A firmware that is to be installed.
#[derive(Deserialize)]
pub struct Firmware {
    product: String,
    version: String,
    pub url: String,
    /// In bytes.
    pub size: u64,
    signature: Signed,
    /// The number of this downgrade, if it is one.
    pub allow_downgrade: Option<u64>,
}

/// A signature: DER, in base64.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub struct Signed(Signature);

impl TryFrom<String> for Signed {
    type Error = &'static str;

    fn try_from(base64: String) -> Result<Self, Self::Error> {
        if base64.starts_with("${aws:iot:") {
            return Err("the signature's placeholder was not replaced");
        }
        let der = BASE64_STANDARD.decode(base64).unwrap_or_default();
        let signature = Signature::from_der(&der);
        let wrong = |_| "signature is not one of ECDSA on P-256, DER in base64";
        signature.map(Self).map_err(wrong)
    }
}

impl Firmware {
    /// What the job document asks for, if that is something that this device does.
    pub fn of(execution: &JobExecution) -> Result<Self, String> {
        let task = execution.job_document.read();
        let Task::InstallFirmware(new) = task.map_err(|error| error.to_string())?;
        check_url(&new.url)?;
        parts(&new.name()).ok_or("product is not one word, or version is not like 1.4.2")?;
        if !(1..=LARGEST).contains(&new.size) {
            return Err("size is 0, or too large".to_owned());
        }
        Ok(new)
    }

    /// Its product and version: `thermostat 1.4.2`.
    pub fn name(&self) -> String {
        format!("{} {}", self.product, self.version)
    }

    /// Whether it is in this file: one of the device's keys has signed that and, behind it, the number of
    /// the downgrade, if it is one. So whoever creates jobs can't make a downgrade of the signature for an
    /// update, nor use that of a downgrade once more on a device that remembers its number. An error: the
    /// file or the keys can't be read.
    pub fn is_in(&self, path: &Path, folder: &Folder) -> io::Result<bool> {
        let mut hash = Sha256::new();
        io::copy(&mut File::open(path)?, &mut hash)?;
        if let Some(number) = self.allow_downgrade {
            hash.update(format!("allow_downgrade={number}"));
        }
        let hash = hash.finalize();
        let is_by = |key: VerifyingKey| key.verify_prehash(&hash, &self.signature.0).is_ok();
        Ok(keys(folder)?.into_iter().any(is_by))
    }

    /// What the job execution shows at this step, when this many bytes have come.
    pub fn details(&self, step: &str, length: u64) -> Result<StatusDetails, DetailError> {
        let percent = (length.min(self.size) * 100 / self.size).to_string();
        StatusDetails::from_pairs([
            ("step", step),
            ("version", &self.version),
            ("percent", &percent),
        ])
    }
}

/// The keys that can be used. One is enough: with it comes the update that mends the other.
fn keys(folder: &Folder) -> io::Result<Vec<VerifyingKey>> {
    let (mut keys, mut problem) = (Vec::new(), "there is no signing key".to_owned());
    for name in KEYS {
        let read = |it: String| VerifyingKey::from_public_key_pem(&it).map_err(io::Error::other);
        match folder
            .read(name)
            .and_then(|text| text.map(read).transpose())
        {
            Ok(key) => keys.extend(key),
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

/// What tells this execution from every other, in one word. (A job can be tried several times, or be
/// deleted and created anew.)
pub fn key(execution: &JobExecution) -> String {
    let (job_id, number) = (&execution.job_id, execution.execution_number);
    let queued_at = execution.queued_at.map_or(0, |at| at.seconds());
    format!("{job_id}/{number}/{queued_at}")
}

/// The product, and the three numbers of the version, of a name such as `thermostat 1.4.2`.
pub fn parts(name: &str) -> Option<(&str, [u32; 3])> {
    let (product, version) = name.split_once(' ')?;
    let is_word = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let is_digit = |c: char| c.is_ascii_digit() || c == '.'; // (`+1` would be a number as well)
    if product.is_empty() || !product.chars().all(is_word) || !version.chars().all(is_digit) {
        return None;
    }
    let numbers: Option<Vec<u32>> = version.split('.').map(|part| part.parse().ok()).collect();
    Some((product, numbers?.try_into().ok()?))
}
