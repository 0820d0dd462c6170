//! What the service tells a device without being asked.

use serde_json::{Map, Value, json};

use super::{
    Books, JobExecution, Jobs, Operation, Status,
    mischief::Recipient,
    replies::{Body, Reply},
    requests::Occasion,
};

/// The most summaries of one state in a `notify` event.
const LONGEST_NOTIFY: usize = 15;

impl Jobs {
    /// NextJobExecutionChanged
    pub(super) fn notify_next(&self, books: &Books) {
        let body = self.next(books.first_in_line());
        let occasion = Occasion {
            operation: Operation::NotifyNext,
            is_progress: false,
        };
        let event = Reply::event(&self.thing_name, "notify-next", Some(occasion), body);
        self.send(0, Recipient::Subscribers, event);
    }

    /// JobExecutionsChanged
    pub(super) fn notify(&self, books: &Books) {
        let mut event = Reply::event(&self.thing_name, "notify", None, Body::default());
        if !self.sessions.has_subscriber(&event.topic()) {
            return;
        }
        let mut jobs = Map::new();
        let mut list = |status: Status, executions: &mut dyn Iterator<Item = &JobExecution>| {
            let summaries = executions.take(LONGEST_NOTIFY);
            let dialect = self.settings.dialect;
            let summaries: Vec<_> = summaries.map(|one| dialect.summary(one)).collect();
            if !summaries.is_empty() {
                jobs.insert(status.name().to_owned(), json!(summaries));
            }
        };
        list(Status::InProgress, &mut books.in_progress());
        list(Status::Queued, &mut books.queued());
        event.body.set("jobs", Value::Object(jobs));
        self.send(0, Recipient::Subscribers, event);
    }
}
