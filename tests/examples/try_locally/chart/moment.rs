//! One thing that happened, as the page, the terminal and a recording show it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jobs_mqtt5::text::printable;
use serde::Serialize;
use serde_json::Value;

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
    #[serde(skip_serializing_if = "String::is_empty")]
    pub topic: String,
    /// What there is to say about it, in a few words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// Whether it is bad news.
    #[serde(skip_serializing_if = "is_false")]
    pub bad: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qos: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packet_id: Option<u16>,
    #[serde(skip_serializing_if = "is_false")]
    pub dup: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub retain: bool,
    /// What else the message says: MQTT5's properties, in words.
    #[serde(skip_serializing_if = "String::is_empty")]
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

/// A message, as text, and how long it really is.
#[derive(Debug, Serialize)]
pub struct Payload {
    pub text: String,
    /// In bytes.
    pub size: usize,
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
            bad: false,
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
        for part in [&self.topic, &self.about] {
            if !part.is_empty() {
                line += " ";
                line += part;
            }
        }
        printable(&line).into_owned()
    }
}

/// The point in time as the page counts it.
pub fn milliseconds(at: SystemTime) -> u64 {
    let since_epoch = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}
