//! One thing that happened, as the page, the terminal and a recording show it.

use std::time::{Duration, UNIX_EPOCH};

use jobs_mqtt5::text::printable;
use serde::Serialize;
use serde_json::Value;

use super::payload::Payload;
use super::presigned::{json_without_signatures, without_signatures};

/// Where a message comes from and where it goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// The program.
    Device,
    /// AWS IoT Core.
    Service,
    /// Whoever manages the jobs.
    Cloud,
}

/// What kind of thing happened. Each is drawn in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A TCP connection came in.
    Open,
    /// It is closed.
    Close,
    /// A message that goes from lane to lane.
    Message,
    /// An acknowledgement of one.
    Ack,
    /// The keep-alive.
    Ping,
    /// A command of whoever manages the jobs.
    Command,
    /// A job execution changed.
    State,
    /// The service misbehaves as it was told to.
    Fault,
    /// Something was refused, or went wrong.
    Trouble,
    /// Another policy is in force.
    Policy,
}

/// One thing that happened. What does not apply is left out.
#[derive(Debug, Serialize)]
pub struct Moment {
    /// Its place in the journal.
    pub n: usize,
    /// Milliseconds since the epoch.
    pub at: u64,
    /// The connection; 0 for what happened in the cloud.
    pub connection: u64,
    pub kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub way: Option<(Lane, Lane)>,
    /// What it is, in a word or two.
    pub label: String,
    /// The topic without what all topics of the thing's jobs begin with.
    pub topic: String,
    /// What there is to say about it, in a few words.
    pub about: String,
    /// What its payload says, in a few words.
    pub says: String,
    /// Whether it is bad news.
    #[serde(skip_serializing_if = "is_false")]
    pub bad: bool,
    /// Why it is none, although it looks like it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qos: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packet_id: Option<u16>,
    #[serde(skip_serializing_if = "is_false")]
    pub dup: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub retain: bool,
    /// The same in a request and its reply, and in no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<u32>,
    /// What else the message says: MQTT5's properties, in words.
    pub properties: String,
    /// The reason code of an acknowledgement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u8>,
    /// The message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Payload>,
    /// What the policy says to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// The job that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// The job execution after the change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution: Option<Value>,
    /// The policy that is in force from here on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Value>,
}

/// What the policy says to an action.
#[derive(Debug, Serialize)]
pub struct Check {
    pub action: &'static str,
    pub resource: String,
    pub allowed: bool,
    /// The index of the statement that decides. None if none is about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<usize>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Moment {
    pub fn new(kind: Kind, label: impl Into<String>) -> Moment {
        Moment {
            n: 0,
            at: 0,
            connection: 0,
            kind,
            way: None,
            label: label.into(),
            topic: String::new(),
            about: String::new(),
            says: String::new(),
            token: None,
            bad: false,
            expected: None,
            qos: None,
            packet_id: None,
            dup: false,
            retain: false,
            properties: String::new(),
            code: None,
            payload: None,
            checks: Vec::new(),
            job_id: None,
            execution: None,
            policy: None,
        }
    }

    pub fn way(mut self, from: Lane, to: Lane) -> Moment {
        self.way = Some((from, to));
        self
    }

    pub fn topic(mut self, topic: impl Into<String>) -> Moment {
        self.topic = topic.into();
        self
    }

    pub fn about(mut self, about: impl Into<String>) -> Moment {
        self.about = about.into();
        self
    }

    pub fn says(mut self, says: impl Into<String>) -> Moment {
        self.says = says.into();
        self
    }

    pub fn bad(mut self, bad: bool) -> Moment {
        self.bad = bad;
        self
    }

    pub fn packet_id(mut self, packet_id: Option<u16>) -> Moment {
        self.packet_id = packet_id;
        self
    }

    pub fn code(mut self, code: u8) -> Moment {
        self.code = Some(code);
        self.bad |= code >= 0x80;
        self
    }

    pub fn about_job(mut self, job_id: Option<String>) -> Moment {
        self.job_id = job_id;
        self
    }

    /// How many bytes it takes in memory, about.
    pub fn weight(&self) -> usize {
        let payload = self.payload.iter();
        let payload = payload.flat_map(|payload| payload.text.iter().chain(&payload.hex));
        let checks = self.checks.iter().map(|check| &check.resource);
        let texts = [
            &self.label,
            &self.topic,
            &self.about,
            &self.says,
            &self.properties,
        ];
        let texts = texts.into_iter().chain(payload).chain(checks);
        let document = self.execution.iter();
        let document = document.filter_map(|execution| execution["document"].as_str());
        let lengths = texts.map(|text| text.len() + 40).sum::<usize>();
        size_of::<Moment>() + lengths + document.map(str::len).sum::<usize>()
    }

    /// The same without presigned URLs, wherever in it they stand.
    pub fn without_signatures(self) -> Moment {
        let text = |text: String| without_signatures(&text).into_owned();
        let json = |value: Value| json_without_signatures(&value);
        // Each field by name, so that none that is added later slips by.
        let Moment {
            n,
            at,
            connection,
            kind,
            way,
            label,
            topic,
            about,
            says,
            token,
            bad,
            expected,
            qos,
            packet_id,
            dup,
            retain,
            properties,
            code,
            payload, // cut to size, which takes the signatures out before
            checks,
            job_id,
            execution,
            policy,
        } = self;
        let check = |check: Check| Check {
            resource: text(check.resource),
            ..check
        };
        Moment {
            n,
            at,
            connection,
            kind,
            way,
            label: text(label),
            topic: text(topic),
            about: text(about),
            says: text(says),
            token,
            bad,
            expected: expected.map(text),
            qos,
            packet_id,
            dup,
            retain,
            properties: text(properties),
            code,
            payload,
            checks: checks.into_iter().map(check).collect(),
            job_id: job_id.map(text),
            execution: execution.map(json),
            policy: policy.map(json),
        }
    }

    /// In one line, with its time (UTC), for a terminal.
    pub fn line(&self) -> String {
        let at = UNIX_EPOCH + Duration::from_millis(self.at);
        let at = humantime::format_rfc3339_millis(at).to_string();
        let time = &at["1970-01-01T".len()..at.len() - "Z".len()];
        let arrow = match self.way {
            Some((Lane::Device, _)) => "->",
            Some((_, Lane::Device)) => "<-",
            _ => "--",
        };
        let mut line = format!("{time} {arrow} {}", self.label);
        let expected = self.expected.as_ref();
        let expected = expected.map(|why| format!("(as it should be: {why})"));
        let parts = [&self.topic, &self.about, &self.says];
        for part in parts.into_iter().chain(&expected) {
            if !part.is_empty() {
                line += " ";
                line += part;
            }
        }
        printable(&line).into_owned()
    }
}
