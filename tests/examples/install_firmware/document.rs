//! What a job document asks for.

use jobs_mqtt5::jobs::{DetailError, JobExecution, StatusDetails};
use serde::Deserialize;

use super::presigned::check_url;
use super::signature::Signed;

/// The largest firmware that there is room for, in bytes.
const LARGEST: u64 = 64 * 1024 * 1024;

#[derive(Deserialize)]
#[serde(tag = "operation", rename_all = "kebab-case")]
enum Task {
    InstallFirmware(Document),
}

#[derive(Deserialize)]
struct Document {
    product: String,
    version: String,
    url: String,
    size: u64,
    signature: String,
    allow_downgrade: Option<u64>,
}

/// A firmware that is to be installed.
pub struct Firmware {
    /// Its product and version: `thermostat 1.4.2`.
    pub name: String,
    pub url: String,
    /// In bytes.
    pub size: u64,
    pub signature: Signed,
    /// The number of this downgrade, if it is one.
    pub allow_downgrade: Option<u64>,
}

impl Firmware {
    /// What the job document asks for, if that is something that this device does.
    pub fn of(execution: &JobExecution) -> Result<Self, String> {
        let task = execution.job_document.read();
        let Task::InstallFirmware(new) = task.map_err(|error| error.to_string())?;
        check_url(&new.url)?;
        let name = format!("{} {}", new.product, new.version);
        parts(&name).ok_or("product is not one word, or version is not like 1.4.2")?;
        if !(1..=LARGEST).contains(&new.size) {
            return Err("size is 0, or too large".to_owned());
        }
        Ok(Self {
            signature: Signed::read(&new.signature, new.allow_downgrade)?,
            name,
            url: new.url,
            size: new.size,
            allow_downgrade: new.allow_downgrade,
        })
    }

    /// What the job execution shows at this step, when this many bytes have come.
    pub fn details(&self, step: &str, length: u64) -> Result<StatusDetails, DetailError> {
        let percent = (length.min(self.size) * 100 / self.size).to_string();
        let details = [
            ("step", step),
            (
                "version",
                self.name.split(' ').next_back().unwrap_or_default(),
            ),
            ("percent", &percent),
        ];
        StatusDetails::from_pairs(details)
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
