//! Nothing is reported that the service does not want.

use std::collections::{BTreeMap, BTreeSet};

use local_iot_core::{Entry, Event, Operation};
use tokio::time::Instant;

use crate::run::Run;
use crate::setting::THING;
use crate::work::Work;

/// An update is refused only if the device could not know better: the cloud has changed the
/// execution, or the reply to the update before had not come, or of that several copies were sent and
/// the device had its answer to another, or the update is one that MQTT repeats, or the policy keeps from
/// the device what it needs.
pub fn nothing_unwanted(run: &Run) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut seen = Seen::new(run);
    for entry in &run.journal {
        if let Event::Reply {
            topic,
            code: Some(code),
            accepted: false,
            ..
        } = &entry.event
            && topic.contains("/update/")
            && is_about_the_execution(code)
            && !seen.is_excused
        {
            let at = Instant::from_std(entry.at) - run.seen.begun;
            wrong.push(format!(
                "{topic}: {code} at {at:?}, and nothing had happened"
            ));
        }
        seen.follow(entry);
    }
    wrong
}

fn is_about_the_execution(code: &str) -> bool {
    matches!(
        code,
        "VersionMismatch" | "InvalidStateTransition" | "ResourceNotFound" | "TerminalStateReached"
    )
}

/// An update, over all its tries: job and token.
type Update = (String, String);

/// What has happened so far, as far as it excuses an update that is refused.
struct Seen<'a> {
    run: &'a Run,
    changed_by_the_cloud: BTreeSet<String>,
    /// How many updates of a job have a reply that the device does not have, by job and token.
    unanswered: BTreeMap<Update, u32>,
    /// How many copies of an update were sent.
    copies: BTreeMap<Update, u32>,
    /// The update that the service has accepted last, by job.
    accepted: BTreeMap<String, Update>,
    /// Replies to updates that are on their way: connection and packet id; the update, and the payload.
    on_the_way: BTreeMap<(u64, u16), (Update, Vec<u8>)>,
    /// The replies that the device has had: one that comes twice answers nothing more.
    heard: BTreeSet<Vec<u8>>,
    /// When the device had the reply to the last update of a job.
    answered: BTreeMap<String, Instant>,
    /// Whether the last publish is one that MQTT repeats.
    is_repeated: bool,
    is_denied: bool,
    /// The topic filters of the last SUBSCRIBE on a connection.
    asked: BTreeMap<u64, Vec<String>>,
    /// The topic filters that were refused last: whoever may not have one of them from the first
    /// takes no reply, ends before long, and tries again now and then.
    refused: BTreeSet<String>,
    /// Whether the update that came last may be refused.
    is_excused: bool,
}

impl<'a> Seen<'a> {
    fn new(run: &'a Run) -> Self {
        Self {
            run,
            changed_by_the_cloud: BTreeSet::new(),
            unanswered: BTreeMap::new(),
            copies: BTreeMap::new(),
            accepted: BTreeMap::new(),
            on_the_way: BTreeMap::new(),
            heard: BTreeSet::new(),
            answered: BTreeMap::new(),
            is_repeated: false,
            is_denied: false,
            asked: BTreeMap::new(),
            refused: BTreeSet::new(),
            is_excused: false,
        }
    }

    fn follow(&mut self, entry: &Entry) {
        let (connection, now) = (entry.connection, Instant::from_std(entry.at));
        match &entry.event {
            Event::StateChange { job_id, from, .. } if connection == 0 && from.is_some() => {
                self.changed_by_the_cloud.insert(job_id.clone());
            }
            Event::Publish {
                dup,
                topic,
                payload,
                ..
            } => {
                self.is_repeated = *dup;
                if let Some((job_id, "")) = update_topic(topic) {
                    let update = (job_id.to_owned(), token(payload));
                    *self.copies.entry(update).or_default() += 1;
                }
            }
            Event::Reply {
                topic,
                accepted: true,
                payload,
                ..
            } => {
                if let Some((job_id, _)) = update_topic(topic) {
                    let update = (job_id.to_owned(), token(payload));
                    self.accepted.insert(job_id.to_owned(), update);
                }
            }
            Event::Note(what) if what.starts_with("service: the policy") => {
                self.is_denied = what.contains("denies");
            }
            Event::Subscribe { filters, .. } => {
                self.asked.insert(connection, filters.clone());
            }
            Event::Suback { codes } => {
                for (filter, code) in self.asked.remove(&connection).iter().flatten().zip(codes) {
                    if *code >= 0x80 {
                        self.refused.insert(filter.clone());
                    } else {
                        self.refused.remove(filter);
                    }
                }
            }
            Event::Request {
                operation: Operation::Update,
                job_id: Some(job_id),
                client_token,
            } => {
                let takes_no_reply = self.is_denied || !self.refused.is_empty();
                self.is_excused = self.is_repeated
                    || takes_no_reply
                    || self.changed_by_the_cloud.contains(job_id)
                    || self.has_unanswered(job_id)
                    || self.has_accepted_one_of_several(job_id)
                    || self.was_decided_before_the_answer(job_id, now);
                let token = client_token.clone().unwrap_or_default();
                let unanswered = self.unanswered.entry((job_id.clone(), token));
                *unanswered.or_default() += if takes_no_reply { 2 } else { 1 };
            }
            Event::Deliver {
                topic,
                packet_id: Some(id),
                payload,
                ..
            } => {
                if let Some((job_id, "/accepted" | "/rejected")) = update_topic(topic) {
                    let answers = (job_id.to_owned(), token(payload));
                    let reply = (answers, payload.to_vec());
                    self.on_the_way.insert((connection, *id), reply);
                }
            }
            Event::DeliveryAcked { packet_id } => {
                if let Some((update, reply)) = self.on_the_way.remove(&(connection, *packet_id))
                    && self.heard.insert(reply)
                    && let Some(unanswered) = self.unanswered.get_mut(&update)
                {
                    *unanswered = unanswered.saturating_sub(1);
                    self.answered.insert(update.0, now);
                }
            }
            _ => {}
        }
    }

    fn has_unanswered(&self, job_id: &str) -> bool {
        let mut all = self.unanswered.iter();
        all.any(|((job, _), unanswered)| job == job_id && *unanswered > 0)
    }

    fn has_accepted_one_of_several(&self, job_id: &str) -> bool {
        let update = self.accepted.get(job_id);
        let copies = update.and_then(|update| self.copies.get(update));
        copies.is_some_and(|copies| *copies > 1)
    }

    /// Whether the work was done before the device had the reply to the last progress: its report
    /// does not wait for that.
    fn was_decided_before_the_answer(&self, job_id: &str, now: Instant) -> bool {
        let is_it = |work: &&Work| work.job_id == job_id && work.begun <= now;
        let work = self.run.work.iter().rev().find(is_it);
        let done = work.and_then(|work| work.done);
        let answered = self.answered.get(job_id);
        done.zip(answered)
            .is_some_and(|((done, _), answered)| done <= *answered)
    }
}

/// The job of our thing whose update is asked for on this topic, or answered; and what is behind `update`.
fn update_topic(topic: &str) -> Option<(&str, &str)> {
    let rest = topic.strip_prefix("$aws/things/")?.strip_prefix(THING)?;
    let (job_id, rest) = rest.strip_prefix("/jobs/")?.split_once('/')?;
    Some((job_id, rest.strip_prefix("update")?))
}

/// The `clientToken` of a reply; empty if it has none.
fn token(payload: &[u8]) -> String {
    let reply: Option<serde_json::Value> = serde_json::from_slice(payload).ok();
    let token = reply.and_then(|reply| Some(reply["clientToken"].as_str()?.to_owned()));
    token.unwrap_or_default()
}
