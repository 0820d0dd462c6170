//! What can be typed, in the terminal or by a click on the page: both come here.

mod catalogue;
mod faults;
mod jobs;
mod policy;
mod publish;
#[cfg(test)]
mod tests;
mod words;

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use local_iot_core::LocalIotCore;
use tokio::sync::broadcast;

use super::chart::{Chart, recording};
pub use catalogue::catalogue;
pub use jobs::{READY, list};
pub use policy::{PRODUCT, read as read_policy};
use words::first_word;

const HELP: &str = "\
create-job ID [timeout=MINUTES] JSON
                       queue a job, for instance: create-job hello {\"operation\": \"greet\"}
cancel-job ID [force]  cancel it; by force if it is IN_PROGRESS
delete-job ID          delete it; its ID is free again
time-out ID            let it run out of time at once
certify ID KEY-JOB     queue a job ID that brings a certificate for the key that KEY-JOB had made
                       (the example `rotate_certificate`)
list                   the jobs: where they stand, their documents and status details
cut                    drop the connection now
fault NAME [xN]        misbehave once, or N times
faults                 the names of the faults, and the operations that they take
armed                  the faults that are still to strike
clear-faults           disarm them
policy [FILE]          show the policy that is in force; or put one in force: a file's, the `sample`'s
                       (policy.json), or a `product`'s (more: dt/THING/*, cmd/THING/*, shadows)
publish [OPTION...] TOPIC TEXT
                       send a message to whoever subscribed. Options: qos=0, retain, response=TOPIC,
                       correlation=TEXT, type=MIME, expiry=SECONDS, property=NAME:VALUE
record FILE [no-payloads]
                       write what happened so far as a page that needs nothing but itself
quiet                  show nothing of what happens, or show it again
verbose                show all that happens, acknowledgements and the keep-alive too, or less again
help                   this
quit                   end";

/// Whether a command begins with this word.
pub fn is_command(word: &str) -> bool {
    let mut lines = HELP.lines();
    !word.is_empty() && lines.any(|line| first_word(line).0 == word)
}

/// The commands without arguments.
const STANDS_ALONE: [&str; 9] = [
    "list",
    "cut",
    "faults",
    "armed",
    "clear-faults",
    "quiet",
    "verbose",
    "help",
    "quit",
];

/// What a line leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// This is to be said.
    Say(String),
    /// What happens is shown no longer, or again.
    Quiet,
    /// All that happens is shown, or no longer.
    Verbose,
    /// The end.
    Quit,
}

/// Who gives a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The user, at the terminal or on the command line.
    Terminal,
    /// The page. It has no business with the user's files.
    Page,
}

impl Origin {
    /// Refuses the page what is for the terminal alone.
    ///
    /// # Errors
    /// If it is the page that asks.
    fn at_terminal(self) -> Result<(), Box<dyn Error>> {
        match self {
            Origin::Terminal => Ok(()),
            Origin::Page => Err("That is for the terminal.".into()),
        }
    }
}

/// Takes commands for a service.
pub struct Desk {
    pub core: LocalIotCore,
    pub chart: Arc<Chart>,
    /// The text of the policy that is in force.
    policy: Mutex<String>,
    /// What was clicked on the page and what came of it, for the terminal.
    pub clicked: broadcast::Sender<String>,
}

impl Desk {
    /// `policy` is the text of the one that the service was started with.
    pub fn new(core: LocalIotCore, policy: &str) -> Desk {
        Desk {
            chart: Arc::new(Chart::new(&core, policy)),
            policy: Mutex::new(policy.to_owned()),
            clicked: broadcast::Sender::new(16),
            core,
        }
    }

    /// Does what a line says. What changes something is written down before it is done.
    ///
    /// # Errors
    /// If it can't be done, with a sentence that says why.
    pub fn obey(&self, line: &str, from: Origin) -> Result<Answer, Box<dyn Error>> {
        let line = line.trim();
        let (command, rest) = first_word(line);
        let is_question = match command {
            "policy" => rest.is_empty(),
            "" | "help" | "list" | "faults" | "armed" | "record" => true,
            "quiet" | "verbose" | "quit" => true, // for the terminal alone
            _ => false,
        };
        if !is_question {
            self.core.journal().record_command(line);
        }
        let answer = self.carry_out(command, rest, from);
        if let Err(error) = &answer
            && !is_question
        {
            self.core.journal().record_refusal(&error.to_string());
        }
        answer
    }

    fn carry_out(&self, command: &str, rest: &str, from: Origin) -> Result<Answer, Box<dyn Error>> {
        let core = &self.core;
        if matches!(command, "quiet" | "verbose" | "quit" | "record") {
            from.at_terminal()?;
        }
        if STANDS_ALONE.contains(&command) {
            words::none(command, rest)?;
        }
        Ok(Answer::Say(match command {
            "" => String::new(),
            "help" => HELP.to_owned(),
            "quiet" => return Ok(Answer::Quiet),
            "verbose" => return Ok(Answer::Verbose),
            "quit" => return Ok(Answer::Quit),
            "list" => list(core.jobs()),
            "create-job" => jobs::create(core.jobs(), rest)?,
            "cancel-job" => jobs::cancel(core.jobs(), rest)?,
            "delete-job" => {
                let job_id = words::job_id(command, rest)?;
                core.jobs().delete_job(job_id)?;
                format!("{job_id} is deleted")
            }
            "time-out" => {
                let job_id = words::job_id(command, rest)?;
                core.jobs().time_out(job_id)?;
                format!("{job_id} is TIMED_OUT")
            }
            "certify" => jobs::certify(core, rest)?,
            "cut" => {
                core.drop_connections();
                "every connection is dropped".to_owned()
            }
            "faults" => faults::list(),
            "fault" => faults::arm(core.faults(), rest)?,
            "armed" => faults::armed(core.faults()),
            "clear-faults" => {
                core.faults().clear();
                "no faults are armed".to_owned()
            }
            "policy" => self.policy(rest, from)?,
            "publish" => {
                let message = publish::read(rest)?;
                let answer = format!("published to {}", message.topic);
                core.publish_message(message)?;
                answer
            }
            "record" => self.record(rest)?,
            other => return Err(format!("'{other}' is not known; `help` lists what is").into()),
        }))
    }

    fn policy(&self, which: &str, from: Origin) -> Result<String, Box<dyn Error>> {
        let mut in_force = self.policy.lock().unwrap_or_else(PoisonError::into_inner);
        if which.is_empty() {
            return Ok(policy::shown(&in_force));
        }
        let text = policy::read(which, from)?;
        self.core.set_policy(&text)?;
        *in_force = text;
        Ok("the policy is in force".to_owned())
    }

    fn record(&self, rest: &str) -> Result<String, Box<dyn Error>> {
        let words: Vec<_> = rest.split_whitespace().collect();
        let (file, payloads) = match words[..] {
            [file] if file != "no-payloads" => (file, true),
            [file, "no-payloads"] => (file, false),
            _ => {
                return Err(
                    "record needs the name of a file, without blanks, and perhaps no-payloads"
                        .into(),
                );
            }
        };
        recording::write(&self.chart, Path::new(file), payloads)
            .map_err(|error| format!("{file} can't be written: {error}"))?;
        Ok(format!("written to {file}"))
    }
}
