//! Hears what comes unasked: news of the connection, and of the job that is next.

use tokio::sync::{mpsc, watch};

use super::SampleError;
use crate::jobs::{Event, JobExecution};
use crate::story::{Story, tell};
use crate::text::printable;

/// A hint that there may be something to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hint {
    /// None so far, or: nothing is pending.
    None,
    /// This execution is the first in line.
    Next(Which),
    /// Nobody knows: ask.
    AskAgain,
}

/// One execution among all: a job can be tried several times on one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Which {
    job_id: String,
    execution_number: i64,
}

impl Which {
    pub fn of(execution: &JobExecution) -> Self {
        let job_id = execution.job_id.clone();
        Self {
            job_id,
            execution_number: execution.execution_number,
        }
    }
}

/// Returns when there is a new hint of something to start, other than the last one done.
pub(super) async fn hinted(hints: &mut watch::Receiver<Hint>, last: Option<&Which>) {
    while hints.changed().await.is_ok() {
        match &*hints.borrow_and_update() {
            Hint::AskAgain => return,
            Hint::Next(next) if Some(next) != last => return,
            _ => {}
        }
    }
    std::future::pending().await // nobody is left to give a hint
}

/// Tells what it hears, and passes hints on.
pub(super) struct Listener {
    story: Story,
    hint: watch::Sender<Hint>,
    was_connected: bool,
    /// The cause of a lost connection that was told last.
    trouble: Option<String>,
}

impl Listener {
    pub fn new(story: Story, hint: watch::Sender<Hint>) -> Self {
        Self {
            story,
            hint,
            was_connected: false,
            trouble: None,
        }
    }

    /// Listens until the connection has ended for good.
    pub async fn listen(&mut self, events: &mut mpsc::Receiver<Event>) -> SampleError {
        while let Some(event) = events.recv().await {
            match event {
                Event::Connected { .. } => self.connected(),
                Event::Interrupted { failure, .. } => self.interrupted(failure.to_string()),
                Event::NextJobExecutionChanged(None) => {
                    tell!(
                        self.story,
                        "Received Next Job Execution Changed event: None. Waiting for further jobs..."
                    );
                    self.hint.send_replace(Hint::None);
                }
                Event::NextJobExecutionChanged(Some(execution)) => {
                    tell!(
                        self.story,
                        "Received Next Job Execution Changed event. job_id:{} job_document:{}",
                        printable(&execution.job_id),
                        printable(&execution.job_document.to_string())
                    );
                    self.hint.send_replace(Hint::Next(Which::of(&execution)));
                }
                Event::Ended(Err(failure)) => return SampleError::Connection(failure),
                Event::Ended(Ok(())) => break,
            }
        }
        SampleError::Ended
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
