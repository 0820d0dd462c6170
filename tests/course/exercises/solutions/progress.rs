//! Report progress: it never waits, and may be called as often as one likes, for at most one is sent in
//! ten seconds, and the latest wins.

use jobs_mqtt5::agent::{Job, Outcome, WorkResult};
use jobs_mqtt5::jobs::StatusDetails;
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
        let percent = (100 * part / parts).to_string();
        job.progress(StatusDetails::from_pairs([("percent", percent)])?);
    }
    Ok(Outcome::succeeded())
}
