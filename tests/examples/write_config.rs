//! Work that does something real: a job document brings a configuration, which becomes a file.
//! The README's "Make it yours" puts it in the place of `src/work.rs`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use jobs_mqtt5::agent::{Job, Outcome, WorkResult};
use jobs_mqtt5::cli::Flags;
use serde::{Deserialize, Serialize};

/// What every job document for this device says: what is to be done.
#[derive(Deserialize)]
struct Task {
    operation: String,
}

/// A job document for the operation `write-config`.
#[derive(Deserialize)]
struct WriteConfig {
    config: Config,
}

/// The configuration of this device.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Config {
    report_every_seconds: u32,
}

/// Does the job: writes the configuration to `config.json`.
pub async fn work(job: &Job, _flags: &Flags) -> WorkResult {
    write_config(job, Path::new("config.json"))
}

pub fn write_config(job: &Job, path: &Path) -> WorkResult {
    let Task { operation } = job.document()?;
    match operation.as_str() {
        "write-config" => {
            let WriteConfig { config } = job.document()?;
            replace(path, serde_json::to_string_pretty(&config)?.as_bytes())?;
            Ok(Outcome::succeeded())
        }
        // No retry would help: this device does not know how.
        other => Ok(Outcome::rejected(format!("unknown operation '{other}'"))),
    }
}

/// Replaces a file as a whole: whoever reads it finds the old content or the new, also after a
/// power failure. When this returns, the new content is there to stay.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new"); // in the same folder, so the rename is atomic
    let mut file = File::create(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    #[cfg(unix)] // elsewhere, a folder can't be synced
    if let Some(folder) = fs::canonicalize(path)?.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
