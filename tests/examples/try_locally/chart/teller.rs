//! Turns what the service wrote down into what is shown.

use std::time::{SystemTime, UNIX_EPOCH};

use jobs_mqtt5::text::cut;
use local_iot_core::{Action, Console, Entry, Event, JobExecution, Jobs, Policy, Status};
use serde_json::{Value, json};

use super::gist::Gist;
use super::moment::{Check, Kind, Lane, Moment};
use super::payload::Payload;
use super::refusals::Refusals;

/// The most characters of status details in a row.
const LONGEST: usize = 100;

/// Knows what an entry does not say by itself: the policy that is in force, and the books.
pub struct Teller {
    jobs: Jobs,
    /// What the topics of the thing's jobs begin with.
    prefix: String,
    policy: Option<Policy>,
    refusals: Refusals,
}

impl Teller {
    /// `policy` is in force from the beginning.
    pub fn new(jobs: &Jobs, policy: &str) -> Teller {
        Teller {
            jobs: jobs.clone(),
            prefix: format!("$aws/things/{}/", jobs.thing_name()),
            policy: Policy::parse(policy).ok(),
            refusals: Refusals::default(),
        }
    }

    /// None for what another entry tells as well.
    pub fn tell(&mut self, n: usize, entry: &Entry) -> Option<Moment> {
        let moment = match &entry.event {
            Event::Console(Console::Command(line)) => {
                let (command, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
                Moment::new(Kind::Command, command)
                    .way(Lane::Cloud, Lane::Service)
                    .about(rest.trim())
            }
            Event::Console(Console::Refusal(why)) => Moment::new(Kind::Command, "not done")
                .way(Lane::Service, Lane::Cloud)
                .about(why)
                .bad(true),
            Event::Console(Console::Policy(text)) => {
                self.policy = Policy::parse(text).ok();
                Moment {
                    policy: serde_json::from_str(text).ok(),
                    ..Moment::new(Kind::Policy, "another policy is in force")
                }
            }
            Event::StateChange {
                job_id, from, to, ..
            } => self.state_change(job_id, *from, *to),
            Event::Refused { action, resource } => Moment {
                checks: vec![self.checked(*action, resource.clone())?],
                ..Moment::new(Kind::Trouble, "denied")
            }
            .about(format!("{action} {}", self.short(resource)))
            .bad(true),
            event => self.packet(event).or_else(|| trouble(event))?,
        };
        let expected = self.refusals.explain(&moment, &self.jobs);
        let at = (SystemTime::now() - entry.at.elapsed()).duration_since(UNIX_EPOCH);
        let moment = Moment {
            n,
            at: at.unwrap_or_default().as_millis() as u64,
            connection: entry.connection,
            bad: moment.bad && expected.is_none(),
            expected,
            ..moment
        };
        Some(moment.without_signatures())
    }

    /// What went over the connection.
    fn packet(&self, event: &Event) -> Option<Moment> {
        let up = |kind, label: &str| Moment::new(kind, label).way(Lane::Device, Lane::Service);
        let down = |kind, label: &str| Moment::new(kind, label).way(Lane::Service, Lane::Device);
        Some(match event {
            Event::TcpAccepted => Moment::new(Kind::Open, "connection"),
            Event::ConnectionClosed => Moment::new(Kind::Close, "connection closed"),
            Event::TlsDone { version, alpn, .. } => {
                let alpn = alpn.iter().map(|alpn| format!("ALPN {alpn}"));
                let version = version.replace('v', " ").replace('_', ".");
                up(Kind::Message, &version).about(alpn.collect::<String>())
            }
            Event::Connect {
                client_id,
                clean_start,
                keep_alive,
                ..
            } => Moment {
                checks: self.check(Action::Connect, [client_id]),
                ..up(Kind::Message, "CONNECT").about(format!(
                    "{client_id}{}, keep alive {keep_alive} s",
                    if *clean_start { ", clean start" } else { "" }
                ))
            },
            Event::Connack {
                code,
                session_present,
            } => down(Kind::Message, "CONNACK")
                .code(*code)
                .about(match (code, session_present) {
                    (0, true) => "the session goes on".to_owned(),
                    (0, false) => "a new session".to_owned(),
                    _ => format!("0x{code:02x}"),
                }),
            Event::Subscribe { filters, packet_id } => Moment {
                checks: self.check(Action::Subscribe, filters),
                ..up(Kind::Message, "SUBSCRIBE")
                    .about(counted(filters.len()))
                    .packet_id(Some(*packet_id))
            },
            Event::Unsubscribe { filters } => {
                up(Kind::Message, "UNSUBSCRIBE").about(counted(filters.len()))
            }
            Event::Suback { codes } => {
                let written: Vec<_> = codes.iter().map(|code| format!("0x{code:02x}")).collect();
                let worst = codes.iter().copied().max().unwrap_or_default();
                down(Kind::Message, "SUBACK")
                    .about(written.join(" "))
                    .bad(worst >= 0x80)
            }
            Event::Publish {
                topic,
                payload,
                qos,
                dup,
                packet_id,
                retain,
                properties,
                ..
            } => Moment {
                qos: Some(*qos),
                dup: *dup,
                retain: *retain,
                properties: properties.to_string(),
                checks: self.check(Action::Publish, [topic]),
                ..self.message(up(Kind::Message, "PUBLISH"), topic, payload)
            }
            .packet_id(*packet_id),
            Event::Deliver {
                topic,
                packet_id,
                dup,
                payload,
                retain,
                properties,
            } => Moment {
                qos: Some(u8::from(packet_id.is_some())),
                dup: *dup,
                retain: *retain,
                properties: properties.to_string(),
                checks: self.check(Action::Receive, [topic]),
                ..self.message(down(Kind::Message, "PUBLISH"), topic, payload)
            }
            .packet_id(*packet_id),
            Event::Puback { packet_id, code } => down(Kind::Ack, "PUBACK")
                .packet_id(Some(*packet_id))
                .about(format!("0x{code:02x}"))
                .code(*code),
            Event::DeliveryAcked { packet_id } => {
                up(Kind::Ack, "PUBACK").packet_id(Some(*packet_id)).code(0)
            }
            Event::Pingreq => up(Kind::Ping, "PINGREQ"),
            Event::Disconnect { by_client, reason } => if *by_client {
                up(Kind::Message, "DISCONNECT")
            } else {
                down(Kind::Message, "DISCONNECT")
            }
            .about(format!("0x{reason:02x}"))
            .code(*reason),
            _ => return None,
        })
    }

    /// A PUBLISH, in either direction.
    fn message(&self, moment: Moment, topic: &str, payload: &[u8]) -> Moment {
        let short = topic.strip_prefix(&self.prefix);
        let about_jobs = short.and_then(|short| short.strip_prefix("jobs/"));
        let gist = about_jobs.map(|topic| Gist::of(topic, payload));
        let gist = gist.unwrap_or_default();
        Moment {
            payload: Some(Payload::new(payload)),
            token: gist.token,
            ..moment
        }
        .topic(short.unwrap_or(topic))
        .says(gist.says)
        .bad(topic.ends_with("/rejected"))
        .about_job(gist.next_job.or_else(|| about_jobs.and_then(job_id)))
    }

    fn state_change(&self, job_id: &str, from: Option<Status>, to: Status) -> Moment {
        let execution = self.jobs.execution(job_id);
        let details = execution.as_ref().map(|one| &one.status_details);
        let details = details.into_iter().flatten();
        let says = |is_told: fn(&str) -> bool| {
            let told = details.filter(|(name, _)| is_told(name));
            let told: Vec<_> = told
                .map(|(name, value)| format!("{name}: {value}"))
                .collect();
            cut(&told.join(", "), LONGEST).into_owned()
        };
        let (about, says) = match from {
            Some(from) if from == to => (format!("{to}, changed"), says(|_| true)),
            Some(from) => (
                format!("{from} \u{2192} {to}"),
                says(|name| name == "reason"),
            ),
            None => (to.to_string(), String::new()),
        };
        Moment {
            execution: execution.map(|execution| written(&execution, to)),
            ..Moment::new(Kind::State, job_id)
        }
        .about(about)
        .says(says)
        .bad(to.is_terminal() && to != Status::Succeeded)
        .about_job(Some(job_id.to_owned()))
    }

    /// What the policy says to an action on each of these client IDs, topics or topic filters.
    fn check(
        &self,
        action: Action,
        names: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Vec<Check> {
        let check = |name: &str| self.checked(action, action.resource(name));
        let names = names.into_iter();
        names.filter_map(|name| check(name.as_ref())).collect()
    }

    /// None if the policy can't be read, which it could before it was put in force.
    fn checked(&self, action: Action, resource: String) -> Option<Check> {
        let decision = self.policy.as_ref()?.decision(action, &resource);
        Some(Check {
            action: action.name(),
            resource,
            allowed: decision.is_allowed,
            statement: decision.statement,
        })
    }

    /// What an ARN ends with.
    fn short<'a>(&self, resource: &'a str) -> &'a str {
        let (_, name) = resource.split_once('/').unwrap_or(("", resource));
        name.strip_prefix(&self.prefix).unwrap_or(name)
    }
}

/// What went wrong, or was meant to.
fn trouble(event: &Event) -> Option<Moment> {
    let (kind, label, about) = match event {
        Event::Fault(fault) => (Kind::Fault, "fault", fault.clone()),
        Event::TlsFailed(why) => (Kind::Trouble, "TLS failed", why.clone()),
        Event::Dropped(what) => (Kind::Trouble, "not delivered", what.clone()),
        Event::Violation(what) => (Kind::Trouble, "rule broken", what.clone()),
        Event::Will { topic, .. } => (Kind::Trouble, "last will", topic.clone()),
        Event::Note(what) => (Kind::Trouble, "note", what.clone()),
        _ => return None, // a request or a reply: the PUBLISH tells it
    };
    Some(Moment::new(kind, label).about(about).bad(true))
}

fn counted(filters: usize) -> String {
    match filters {
        1 => "1 topic filter".to_owned(),
        count => format!("{count} topic filters"),
    }
}

/// The job in `JOB/update` and the like.
fn job_id(topic: &str) -> Option<String> {
    let (first, rest) = topic.split_once('/')?;
    let is_job = first != "start-next" && first != "get" && first != "$next";
    (is_job && !rest.is_empty()).then(|| first.to_owned())
}

/// An execution, with the state that it came to at this very change.
fn written(execution: &JobExecution, status: Status) -> Value {
    let details = execution.status_details.iter();
    let details = details.map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    json!({
        "status": status.name(),
        "version": execution.version_number,
        "number": execution.execution_number,
        "document": execution.document,
        "details": details.collect::<serde_json::Map<_, _>>(),
    })
}
