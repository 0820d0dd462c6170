//! What somebody did to the service at a console: everything but MQTT.

use std::fmt;

use super::{Event, Journal};

/// Something that was done at a console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Console {
    /// Somebody gave a command, in these words. What it leads to stands behind it.
    Command(String),
    /// The last command could not be carried out, for this reason.
    Refusal(String),
    /// This policy is in force from here on, its placeholders filled in.
    Policy(String),
}

impl fmt::Display for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Console::Command(line) => write!(f, "command: {line}"),
            Console::Refusal(why) => write!(f, "not done: {why}"),
            Console::Policy(_) => write!(f, "another policy is in force"),
        }
    }
}

impl Journal {
    /// Writes down that somebody gives a command, in their words.
    pub fn record_command(&self, line: &str) {
        self.record(0, Event::Console(Console::Command(line.to_owned())));
    }

    /// Writes down that what was commanded last can't be done, and why.
    pub fn record_refusal(&self, why: &str) {
        self.record(0, Event::Console(Console::Refusal(why.to_owned())));
    }

    /// Writes down that this policy is in force.
    pub(crate) fn record_policy(&self, text: String) {
        self.record(0, Event::Console(Console::Policy(text)));
    }
}
