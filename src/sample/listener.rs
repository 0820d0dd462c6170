//! Hears what comes unasked: news of the connection, and of the job that is next.

use tokio::sync::mpsc;

use super::SampleError;
use crate::jobs::{Event, JobExecution};
use crate::story::{Story, tell};
use crate::text::printable;

/// A hint that there may be something to start.
#[derive(Debug)]
pub(super) enum Hint {
    /// This execution is the first in line.
    Next(ExecutionId),
    /// Nobody knows: ask.
    AskAgain,
}

/// One execution among all: a job can be tried several times on one thing, and a job that was deleted
/// can come again under its old name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ExecutionId {
    job_id: String,
    execution_number: i64,
    queued_at_second: Option<u64>,
}

impl ExecutionId {
    pub fn of(execution: &JobExecution) -> Self {
        Self {
            job_id: execution.job_id.clone(),
            execution_number: execution.execution_number,
            queued_at_second: execution.queued_at.map(|time| time.seconds()),
        }
    }
}

/// Returns when there is a hint of something to start, other than the last one done.
pub(super) async fn hinted(hints: &mut mpsc::UnboundedReceiver<Hint>, last: Option<&ExecutionId>) {
    while let Some(hint) = hints.recv().await {
        match hint {
            Hint::Next(next) if Some(&next) == last => {}
            Hint::Next(_) | Hint::AskAgain => return,
        }
    }
    std::future::pending().await // nobody is left to give a hint
}

/// Forgets the hints so far: what they hint at is in line before the next start is asked for.
pub(super) fn forget(hints: &mut mpsc::UnboundedReceiver<Hint>) {
    while hints.try_recv().is_ok() {}
}

/// Tells what it hears, and passes hints on.
pub(super) struct Listener {
    story: Story,
    hint: mpsc::UnboundedSender<Hint>,
    was_connected: bool,
    /// The cause of a lost connection that was told last.
    trouble: Option<String>,
}

impl Listener {
    pub fn new(story: Story, hint: mpsc::UnboundedSender<Hint>) -> Self {
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
                }
                Event::NextJobExecutionChanged(Some(execution)) => {
                    tell!(
                        self.story,
                        "Received Next Job Execution Changed event. job_id:{} job_document:{}",
                        printable(&execution.job_id),
                        printable(&execution.job_document.to_string())
                    );
                    let _ = self.hint.send(Hint::Next(ExecutionId::of(&execution)));
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn execution(job_id: &str, queued_at: u64) -> ExecutionId {
        ExecutionId {
            job_id: job_id.to_owned(),
            execution_number: 1,
            queued_at_second: Some(queued_at),
        }
    }

    async fn is_hinted(hints: Vec<Hint>, last: &ExecutionId) -> bool {
        let (hint, mut receiver) = mpsc::unbounded_channel();
        hints.into_iter().for_each(|one| hint.send(one).unwrap());
        let hinted = hinted(&mut receiver, Some(last));
        tokio::time::timeout(Duration::from_millis(10), hinted)
            .await
            .is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_hint_at_the_last_job_hides_none_at_the_next() {
        let (last, next) = (execution("a", 1), execution("b", 2));
        assert!(is_hinted(vec![Hint::Next(next), Hint::Next(last.clone())], &last).await);
        assert!(is_hinted(vec![Hint::AskAgain, Hint::Next(last.clone())], &last).await);
        assert!(!is_hinted(vec![Hint::Next(last.clone())], &last).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_that_comes_again_under_its_old_name_is_another_one() {
        let last = execution("hello", 1);
        assert!(is_hinted(vec![Hint::Next(execution("hello", 60))], &last).await);
    }
}
