//! Something that is asked of both services, step by step.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::normal;
use super::services::Service;

/// Something that is done, whose consequences are compared.
pub enum Step {
    /// Creates a job with this document and, perhaps, a timeout in minutes.
    Create(&'static str, &'static str, Option<u64>),
    Cancel(&'static str),
    CancelByForce(&'static str),
    Delete(&'static str),
    /// Publishes a payload to a topic of the thing's jobs.
    Ask(String, String),
    Wait(Duration),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Create(job, document, None) => write!(f, "create {job} {document}"),
            Step::Create(job, document, Some(minutes)) => {
                write!(f, "create {job} {document}, timeout {minutes}")
            }
            Step::Cancel(job) => write!(f, "cancel {job}"),
            Step::CancelByForce(job) => write!(f, "cancel {job} by force"),
            Step::Delete(job) => write!(f, "delete {job}"),
            Step::Ask(topic, payload) => {
                let shown: String = payload.chars().take(120).collect();
                let dots = if shown.len() < payload.len() {
                    "…"
                } else {
                    ""
                };
                write!(f, "{topic} {shown}{dots}")
            }
            Step::Wait(time) => write!(f, "wait {} s", time.as_secs()),
        }
    }
}

/// Some steps, with a thing of their own.
pub struct Scenario {
    pub name: &'static str,
    pub steps: Vec<Step>,
}

impl Scenario {
    /// Does the steps, and returns the messages that each one brought.
    pub async fn play(&self, service: &Service<'_>) -> Result<Vec<Vec<String>>, Box<dyn Error>> {
        // Job ids belong to the whole account, and a run that failed leaves some behind.
        let prefix = format!("{}-{:x}-", service.thing_name(), std::process::id());
        let mut device = service.connect().await?;
        let mut all = Vec::new();
        for step in &self.steps {
            let id = |job: &str| format!("{prefix}{job}");
            let done = match step {
                Step::Create(job, document, timeout) => {
                    Some(service.create(&id(job), document, *timeout).await?)
                }
                Step::Cancel(job) => Some(service.cancel(&id(job), false).await?),
                Step::CancelByForce(job) => Some(service.cancel(&id(job), true).await?),
                Step::Delete(job) => Some(service.delete(&id(job)).await?),
                Step::Ask(topic, payload) => {
                    let topic = match topic.split_once('/') {
                        Some((job, rest)) if job != "$next" => format!("{}/{rest}", id(job)),
                        _ => topic.clone(),
                    };
                    device.publish(&topic, payload).await?;
                    None
                }
                Step::Wait(time) => {
                    tokio::time::sleep(*time).await;
                    None
                }
            };
            let mut said: Vec<String> = Vec::new();
            if done == Some(false) {
                said.push("refused".to_owned());
            }
            for (topic, payload) in device.messages().await? {
                let thing = service.thing_name();
                said.push(normal::line(&topic, &payload, thing, &prefix));
            }
            all.push(said);
        }
        drop(device);
        for step in &self.steps {
            if let Step::Create(job, ..) = step {
                // Twice means that it is gone already.
                service.delete(&format!("{prefix}{job}")).await?;
            }
        }
        service.close().await?;
        Ok(all)
    }
}
