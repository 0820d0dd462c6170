//! Work that does something real: a job document brings a configuration, which becomes a file.
//! The README's "Make it yours" puts it in place of the simulated work.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use jobs_mqtt5::jobs::JobExecution;
use serde::{Deserialize, Serialize};

/// What this device can be asked to do. Whatever else a document asks for is refused.
#[derive(Deserialize)]
#[serde(tag = "operation", rename_all = "kebab-case", deny_unknown_fields)]
enum Task {
    WriteConfig { config: Config },
}

/// The configuration of this device.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Config {
    report_every_seconds: u32,
}

/// Does the job: writes the configuration to the file at `path`.
pub fn write_config(execution: &JobExecution, path: &Path) -> Result<(), String> {
    let Task::WriteConfig { config } = Task::deserialize(&execution.job_document)
        .map_err(|error| format!("the job document is not as expected: {error}"))?;
    let text = serde_json::to_string_pretty(&config).map_err(|error| error.to_string())?;
    replace(path, text.as_bytes())
        .map_err(|error| format!("{} can't be written: {error}", path.display()))
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
