//! Commands about jobs.

use std::error::Error;

use base64::{Engine, prelude::BASE64_STANDARD};
use jobs_mqtt5::text::{cut, printable};
use local_iot_core::{JobExecution, Jobs, LocalIotCore, NewJob, Status};
use serde_json::json;

use super::super::chart::without_signatures;
use super::words::{self, first_word, number};

/// The most characters of a job document or of a status detail in a list.
const SHOWN: usize = 300;

/// Jobs for a click: what each is, an id (a number comes behind it), and the rest of the command.
pub const READY: &[(&str, &str, &str)] = &[
    ("Greet", "greet", r#"{"operation": "greet"}"#),
    (
        "Install firmware 1.4.2",
        "firmware",
        r#"{"operation": "install-firmware", "version": "1.4.2", "url": "${aws:iot:s3-presigned-url:https://s3.us-east-1.amazonaws.com/firmware/1.4.2.bin}"}"#,
    ),
    (
        "Report every minute",
        "configure",
        r#"{"operation": "configure", "reportIntervalSeconds": 60}"#,
    ),
    (
        "Restart, within a minute",
        "restart",
        r#"timeout=1 {"operation": "restart", "services": ["sensors"]}"#,
    ),
];

pub fn create(jobs: &Jobs, rest: &str) -> Result<String, Box<dyn Error>> {
    let (job_id, rest) = first_word(rest);
    let (word, after) = first_word(rest);
    let (minutes, document) = match word.strip_prefix("timeout=") {
        Some(minutes) => (Some(minutes), after),
        None => (None, rest),
    };
    if document.is_empty() {
        return Err("create-job needs an ID and a JSON document".into());
    }
    if document.starts_with(['\'', '"']) {
        return Err("no shell reads this: the document stands without quotes around it".into());
    }
    let mut job = NewJob::new(job_id, document);
    if let Some(minutes) = minutes {
        job = job.in_progress_timeout_minutes(number(minutes, "minutes")?);
    }
    jobs.create(job)?;
    Ok(format!("{job_id} is QUEUED"))
}

/// The second job of a rotation: the certificate for the request that the first was answered with.
pub fn certify(core: &LocalIotCore, rest: &str) -> Result<String, Box<dyn Error>> {
    let (job_id, key_job) = first_word(rest);
    if key_job.is_empty() || key_job.contains(char::is_whitespace) {
        return Err(
            "certify needs two job IDs: a new one, and that of the job that made the key".into(),
        );
    }
    let done = core.jobs().execution(key_job);
    let csr = done.and_then(|done| done.status_details.get("csr").cloned());
    let csr = csr.ok_or_else(|| format!("'{key_job}' has no status detail csr"))?;
    let csr = BASE64_STANDARD.decode(csr)?;
    let certificate = core.pki().certificate_from_csr(&csr, 2020)?;
    let document = json!({"operation": "install-certificate", "certificate": certificate});
    core.jobs().create_job(job_id, document)?;
    Ok(format!("{job_id} is QUEUED"))
}

pub fn cancel(jobs: &Jobs, rest: &str) -> Result<String, Box<dyn Error>> {
    let (job_id, force) = first_word(rest);
    words::job_id("cancel-job", job_id)?;
    match force {
        "" => jobs
            .cancel_job(job_id)
            .map_err(|error| hint(jobs, job_id, error))?,
        "force" | "--force" => jobs.cancel_job_by_force(job_id)?,
        more => return Err(format!("cancel-job takes an ID and `force`, without '{more}'").into()),
    }
    Ok(format!("{job_id} is CANCELED"))
}

/// What is to be typed for a job that can be canceled by force only.
fn hint(jobs: &Jobs, job_id: &str, error: std::io::Error) -> String {
    let status = jobs.execution(job_id).map(|execution| execution.status);
    match status {
        Some(Status::InProgress) => format!("{error}: cancel-job {job_id} force"),
        _ => error.to_string(),
    }
}

pub fn list(jobs: &Jobs) -> String {
    let lines: Vec<_> = jobs.list().iter().map(described).collect();
    if lines.is_empty() {
        return "no jobs".to_owned();
    }
    lines.join("\n")
}

/// A job with its document and what the device said about it.
fn described(job: &JobExecution) -> String {
    let short = |text: &str| printable(&cut(&without_signatures(text), SHOWN)).into_owned();
    let mut text = format!(
        "{} {} (version {}, execution {})\n    document: {}",
        job.job_id,
        job.status,
        job.version_number,
        job.execution_number,
        short(&job.document)
    );
    for (name, value) in &job.status_details {
        text += &format!("\n    {}: {}", short(name), short(value));
    }
    text
}
