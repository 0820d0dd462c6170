//! What a job document asks for.

use jobs_mqtt5::jobs::{DetailError, JobExecution, StatusDetails};
use serde::Deserialize;

use super::download::check_url;
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
    version: String,
    url: String,
    size: u64,
    signature: String,
    #[serde(default)]
    allow_downgrade: bool,
}

/// A firmware that is to be installed.
pub struct Firmware {
    pub version: String,
    pub url: String,
    /// In bytes.
    pub size: u64,
    pub signature: Signed,
    pub allow_downgrade: bool,
}

impl Firmware {
    /// What the job document asks for, if that is something that this device does.
    pub fn of(execution: &JobExecution) -> Result<Self, String> {
        let task = execution.job_document.read();
        let Task::InstallFirmware(new) = task.map_err(|error| error.to_string())?;
        check_url(&new.url)?;
        if numbers(&new.version).is_none() {
            return Err("version is not like 1.4.2".to_owned());
        }
        if !(1..=LARGEST).contains(&new.size) {
            return Err("size is 0, or too large".to_owned());
        }
        Ok(Self {
            signature: Signed::read(&new.signature, new.allow_downgrade)?,
            version: new.version,
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
            ("version", &self.version),
            ("percent", &percent),
        ];
        StatusDetails::from_pairs(details)
    }
}

/// What tells this execution from every other, in one word. (A job can be tried several times, or be
/// deleted and created anew.)
pub fn key(execution: &JobExecution) -> String {
    let queued_at = execution.queued_at.map_or(0, |at| at.seconds());
    format!(
        "{}/{}/{queued_at}",
        execution.job_id, execution.execution_number
    )
}

/// The three numbers of a version such as 1.4.2.
pub fn numbers(version: &str) -> Option<[u32; 3]> {
    let numbers: Option<Vec<u32>> = version.split('.').map(|part| part.parse().ok()).collect();
    numbers?.try_into().ok()
}
