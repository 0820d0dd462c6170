//! What somebody did to the service, other than a device by MQTT.

use std::fmt;

use super::{Event, Journal};

/// Something that came from outside of MQTT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// Somebody gave a command, in these words. What it leads to stands behind it.
    Command(String),
    /// The last command could not be carried out, for this reason.
    Refusal(String),
    /// This policy is in force from here on, its placeholders filled in.
    Policy(String),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::Command(line) => write!(f, "command: {line}"),
            Note::Refusal(why) => write!(f, "not done: {why}"),
            Note::Policy(_) => write!(f, "another policy is in force"),
        }
    }
}

impl Journal {
    /// Writes down that somebody gives a command, in their words.
    pub fn record_command(&self, line: &str) {
        self.record(0, Event::Note(Note::Command(line.to_owned())));
    }

    /// Writes down that what was commanded last can't be done, and why.
    pub fn record_refusal(&self, why: &str) {
        self.record(0, Event::Note(Note::Refusal(why.to_owned())));
    }
}
