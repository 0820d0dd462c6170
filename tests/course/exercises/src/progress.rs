//! Report progress: an update in many parts takes long, and until its end nobody in the cloud can tell
//! whether the device works or hangs. After each part, report the status detail `percent`.

use jobs_mqtt5::agent::{Job, Outcome, WorkResult};
use serde::Deserialize;

use crate::progress::Installer;

#[derive(Deserialize)]
struct Update {
    parts: u32,
}

pub async fn work(job: &Job, installer: &Installer) -> WorkResult {
    let Update { parts } = job.document()?;
    for part in 1..=parts {
        installer.install(part).await;
    }
    Ok(Outcome::succeeded())
}
