//! Carries out what happens in the cloud and to the service.

use std::collections::BTreeMap;
use std::sync::Arc;

use local_iot_core::{Fault, JobExecution, NewJob, Service, Status, Times};

use crate::happening::{self, Cloud, Pick};
use crate::setting::{THING, policy};
use crate::work::Document;

/// Whoever manages the jobs, and the people who run the service.
pub struct Operator {
    service: Arc<Service>,
    /// The jobs with their documents, in the order in which they were created.
    pub created: Vec<(String, Document)>,
    /// How many commands were published.
    commands: u32,
}

impl Operator {
    pub fn new(service: Arc<Service>) -> Self {
        let created = Vec::new();
        Self {
            service,
            created,
            commands: 0,
        }
    }

    pub fn create(&mut self, document: &Document, timeout_minutes: Option<u64>) {
        let job_id = format!("job-{:02}", self.created.len() + 1);
        self.create_as(&job_id, document, timeout_minutes);
    }

    fn create_as(&mut self, job_id: &str, document: &Document, timeout_minutes: Option<u64>) {
        let text = serde_json::to_string(document).unwrap_or_default();
        let mut job = NewJob::new(job_id, text);
        if let Some(minutes) = timeout_minutes {
            job = job.in_progress_timeout_minutes(minutes);
        }
        self.created.push((job_id.to_owned(), document.clone()));
        self.report(self.service.jobs().create(job));
    }

    /// Carries out what happens in the cloud. What can't be done any more, is not.
    pub fn act(&mut self, cloud: &Cloud) {
        let service = Arc::clone(&self.service);
        let jobs = service.jobs();
        let done = match cloud {
            Cloud::Create {
                document,
                timeout_minutes,
            } => return self.create(document, *timeout_minutes),
            Cloud::RetryAll => {
                let ended =
                    |one: &JobExecution| matches!(one.status, Status::Failed | Status::TimedOut);
                let mut ended = jobs.list().into_iter().filter(ended);
                ended.try_for_each(|one| jobs.retry(&one.job_id))
            }
            Cloud::Cancel(which) => self.with(*which, |id| jobs.cancel_job_by_force(id)),
            Cloud::TimeOut(which) => self.with(*which, |id| jobs.time_out(id)),
            Cloud::TimeOutAndRetry(which) => self.with(*which, |id| {
                jobs.time_out(id)?;
                jobs.retry(id)
            }),
            Cloud::Delete(which) => self.with(*which, |id| jobs.delete_job(id)),
            Cloud::DeleteAndCreate(which, document) => {
                let Some(id) = self.picked(*which) else {
                    return;
                };
                self.create_anew(&id, document)
            }
            Cloud::Touch(which) => self.with(*which, |id| {
                let note = ("note".to_owned(), "from the cloud".to_owned());
                jobs.touch(id, BTreeMap::from([note]))
            }),
            Cloud::Commands(count) => self.command(*count),
            Cloud::ForeignReply(which) => self.with(*which, |id| {
                self.reply_to_nobody(id);
                Ok(())
            }),
        };
        self.report(done);
    }

    pub fn change(&self, service: &happening::Service) {
        use happening::Service as S;
        let core = &self.service;
        match service {
            S::Fault(fault) => {
                let fault: Result<Fault, String> = fault.parse();
                match fault {
                    Ok(fault) => core.faults().add(fault, Times::Once),
                    Err(why) => core.journal().note(format!("no fault: {why}")),
                }
            }
            S::Throttles(operation) => {
                let fault = format!("reject {operation} RequestThrottled");
                if let Ok(fault) = fault.parse() {
                    core.faults().add(fault, Times::Always);
                }
            }
            S::ThrottlesNoMore => core.faults().clear(),
            S::Policy(denial) => self.report(core.set_policy(policy(*denial))),
            S::GoesDown { keeps_sessions } => {
                if !keeps_sessions {
                    core.forget_sessions();
                }
                core.drop_connections();
            }
            S::ComesBack => {}
            S::LosesSessions => {
                core.drop_connections();
                core.forget_sessions();
            }
            S::ForgetsSubscriptions => {
                core.drop_connections();
                core.forget_subscriptions();
            }
            S::Disconnects(code) => core.disconnect(*code),
            S::TurnsClock { seconds } => core.turn_clock(*seconds),
        }
    }

    /// Everything is as it is to be.
    pub fn calm_down(&self) {
        self.service.faults().clear();
        self.change(&happening::Service::Policy(None));
    }

    /// Does something with one of the jobs that are pending, if there is one.
    fn with(
        &self,
        which: Pick,
        act: impl FnOnce(&str) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        self.picked(which).map_or(Ok(()), |id| act(&id))
    }

    fn picked(&self, which: Pick) -> Option<String> {
        let mut pending = self.pending();
        let last = pending.len().checked_sub(1)?;
        Some(pending.swap_remove(which.0.min(last)).job_id)
    }

    fn create_anew(&mut self, job_id: &str, document: &Document) -> std::io::Result<()> {
        self.service.jobs().delete_job(job_id)?;
        self.create_as(job_id, document, None);
        Ok(())
    }

    /// What is pending, in line order.
    pub fn pending(&self) -> Vec<JobExecution> {
        let mut all = self.service.jobs().list();
        all.retain(|one| !one.status.is_terminal());
        all.sort_by_key(|one| one.status != Status::InProgress); // keeps the order otherwise
        all
    }

    fn command(&mut self, count: u32) -> std::io::Result<()> {
        let numbers = self.commands..self.commands + count;
        self.commands += count;
        let mut topics = numbers.map(|number| format!("cmd/{THING}/{number}"));
        topics.try_for_each(|topic| self.service.publish(&topic, "brew"))
    }

    /// What another client of the same thing has asked: the reply goes to all who subscribed.
    fn reply_to_nobody(&self, job_id: &str) {
        let jobs = format!("$aws/things/{THING}/jobs");
        let token = r#""clientToken":"somebody-else""#;
        let document = Document {
            serial: 999_999,
            ..Document::last()
        };
        let document = serde_json::to_string(&document).unwrap_or_default();
        let execution = format!(
            r#"{{"execution":{{"jobId":"not-ours","status":"IN_PROGRESS","versionNumber":2,
            "executionNumber":1,"queuedAt":1790000000,"jobDocument":{document}}},{token}}}"#
        );
        let core = &self.service;
        core.forge(&format!("{jobs}/start-next/accepted"), execution);
        let accepted = format!("{{{token}}}");
        core.forge(&format!("{jobs}/{job_id}/update/accepted"), &accepted);
    }

    fn report(&self, done: std::io::Result<()>) {
        if let Err(why) = done {
            self.service.journal().note(format!("cloud: no: {why}"));
        }
    }
}
