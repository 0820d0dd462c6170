//! What the service tells a device without being asked.

use serde_json::{Map, Value, json};

use super::{Books, JobExecution, Jobs, Operation, Status, mischief::Recipient, replies::Reply};

/// The most summaries in a `notify` event.
const LONGEST_NOTIFY: usize = 15;

impl Jobs {
    /// NextJobExecutionChanged
    pub(super) fn notify_next(&self, books: &Books) {
        let body = self.dialect.next(&self.thing_name, books.first_in_line());
        let event = Reply::event(&self.thing_name, "notify-next", body);
        let event = Reply {
            operation: Some(Operation::NotifyNext),
            ..event
        };
        self.send(0, Recipient::Subscribers, event);
    }

    /// JobExecutionsChanged
    pub(super) fn notify(&self, books: &Books) {
        let mut event = Reply::event(&self.thing_name, "notify", Map::new());
        if !self.sessions.has_subscriber(&event.topic()) {
            return;
        }
        let mut jobs = Map::new();
        let mut list = |status: Status, executions: &mut dyn Iterator<Item = &JobExecution>| {
            let summaries = executions.take(LONGEST_NOTIFY);
            let summaries: Vec<_> = summaries.map(|one| self.dialect.summary(one)).collect();
            if !summaries.is_empty() {
                jobs.insert(status.name().to_owned(), json!(summaries));
            }
        };
        list(Status::InProgress, &mut books.in_progress());
        list(Status::Queued, &mut books.queued());
        event.body.insert("jobs".into(), Value::Object(jobs));
        self.send(0, Recipient::Subscribers, event);
    }
}
