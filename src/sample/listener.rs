//! Hears what comes unasked, and tells it: news of the connection, and of the job that is next.

use super::SampleError;
use crate::advice;
use crate::jobs;
use crate::mqtt::{self, Event, Events};
use crate::story::{Story, tell};
use crate::text::printable;

/// Tells what it hears.
pub(super) struct Listener {
    story: Story,
    jobs: Events<jobs::Event>,
    options: mqtt::Options,
    was_connected: bool,
    /// The cause of a lost connection that was told last.
    trouble: Option<String>,
    /// What was told last about a request.
    said: Option<String>,
}

impl Listener {
    pub fn new(story: Story, jobs: Events<jobs::Event>, options: mqtt::Options) -> Self {
        Self {
            options,
            story,
            jobs,
            was_connected: false,
            trouble: None,
            said: None,
        }
    }

    /// Listens until the connection has ended for good.
    pub async fn listen(&mut self, events: &mut Events<Event>) -> SampleError {
        loop {
            let event = tokio::select! {
                biased;
                event = events.next() => event,
                Some(event) = self.jobs.next() => {
                    self.tell(event);
                    continue;
                }
            };
            match event {
                Some(Event::Connected { .. }) => self.connected(),
                Some(Event::Interrupted { error, .. }) => {
                    self.interrupted(advice::connection(&error, &self.options));
                }
                Some(Event::Ended(Err(error))) => {
                    return SampleError::Connection(advice::connection(&error, &self.options));
                }
                Some(Event::Ended(Ok(()))) | None => return SampleError::Ended,
            }
        }
    }

    /// What the jobs client tells. What is on stderr is for somebody to fix.
    fn tell(&mut self, event: jobs::Event) {
        match event {
            jobs::Event::NextJobExecutionChanged(None) => tell!(
                self.story,
                "Received Next Job Execution Changed event: None. Waiting for further jobs..."
            ),
            jobs::Event::NextJobExecutionChanged(Some(execution)) => tell!(
                self.story,
                "Received Next Job Execution Changed event. job_id:{} job_document:{}",
                printable(&execution.job_id),
                printable(execution.job_document.text())
            ),
            jobs::Event::Trouble(words) => {
                if self.is_new(&words) {
                    tell!(self.story, "{words}");
                }
            }
            jobs::Event::Denied(words) => {
                if self.is_new(&words) {
                    self.story.warn(format_args!("{words} Trying again, with long pauses."));
                }
            }
            jobs::Event::AnotherWorks { job_id } => self.story.warn(format_args!(
                "Somebody else has reported on job_id:{} while this program worked on it: most likely \
                 a second program does the jobs of this thing, and each job is done twice. Stop one.",
                printable(&job_id)
            )),
        }
    }

    /// Whether this was not the last thing said.
    fn is_new(&mut self, words: &str) -> bool {
        let is_new = self.said.as_deref() != Some(words);
        self.said = Some(words.to_owned());
        is_new
    }

    /// The first connection belongs to the story; a later one is news only after a trouble told.
    fn connected(&mut self) {
        if !self.was_connected {
            self.was_connected = true;
            for line in [
                "Lifecycle Connection Success",
                "Connected!",
                "Subscribing to Next Changed events...",
                "Subscribing to Start responses...",
                "Subscribing to Update responses...",
            ] {
                tell!(self.story, "{line}");
            }
        } else if self.trouble.is_some() {
            self.story.warn(format_args!("The connection is back."));
        }
        self.trouble = None;
    }

    /// Each cause is told once, however often it comes back before there is a connection again.
    fn interrupted(&mut self, cause: String) {
        if self.trouble.as_ref() != Some(&cause) {
            self.story
                .warn(format_args!("{cause} Trying again, with growing pauses."));
            self.trouble = Some(cause);
        }
    }
}
