//! Hears what comes unasked: news of the connection, and of the job that is next.

use tokio::sync::{mpsc, watch};

use super::SampleError;
use crate::jobs::Event;
use crate::story::Story;
use crate::text::printable;

/// A hint that there may be something to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hint {
    /// None so far, or: nothing is pending.
    None,
    /// This execution (job id and execution number) is the first in line.
    Next((String, i64)),
    /// Nobody knows: ask.
    AskAgain,
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
                    self.story.tell(format_args!(
                        "Received Next Job Execution Changed event: None. Waiting for further jobs..."
                    ));
                    self.hint.send_replace(Hint::None);
                }
                Event::NextJobExecutionChanged(Some(execution)) => {
                    self.story.tell(format_args!(
                        "Received Next Job Execution Changed event. job_id:{} job_document:{}",
                        printable(&execution.job_id),
                        printable(&execution.job_document.to_string())
                    ));
                    self.hint
                        .send_replace(Hint::Next((execution.job_id, execution.execution_number)));
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
                self.story.tell(format_args!("{line}"));
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
