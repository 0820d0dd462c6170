//! How the service answers a device.

use serde_json::{Map, Value, json};

use super::{
    Books, JobExecution, Jobs, JobsTopic, Operation,
    mischief::Recipient,
    replies::{Rejection, Reply, execution_state},
    requests::{Payload, UpdateRequest},
};
use crate::{faults::Fault, journal::Event, options::LARGEST_PAYLOAD};

impl Jobs {
    /// Carries out a request and sends the reply to the client that asked.
    pub(crate) fn answer(&self, connection: u64, client_id: &str, topic: &str, bytes: &[u8]) {
        let Some(JobsTopic {
            thing_name,
            operation,
            job_id,
        }) = JobsTopic::parse(topic)
        else {
            return;
        };
        let payload = Payload::parse(bytes);
        let client_token = payload.client_token.clone();
        if let Some(operation) = operation {
            self.journal.record(
                connection,
                Event::Request {
                    operation,
                    job_id: job_id.map(str::to_owned),
                    client_token: client_token.clone(),
                },
            );
        }
        let carry_out = |books: &mut Books| match operation {
            _ if thing_name != &*self.thing_name => Err(Rejection::not_found(thing_name)),
            None => Err(Rejection::new(
                "InvalidTopic",
                "no operation has this topic",
            )),
            Some(operation) => match self.ordered_rejection(connection, operation, books, job_id) {
                Some(rejection) => Err(rejection),
                None => self.carry_out(books, operation, job_id.unwrap_or_default(), payload),
            },
        };
        let send = |outcome| {
            let mut reply = Reply::to(topic, operation, outcome);
            if let Some(token) = client_token {
                reply.body.insert("clientToken".into(), json!(token));
            }
            self.send(connection, Recipient::Client(client_id), reply);
        };
        self.change(connection, carry_out, send);
    }

    fn carry_out(
        &self,
        books: &mut Books,
        operation: Operation,
        job_id: &str,
        payload: Payload,
    ) -> Result<Map<String, Value>, Rejection> {
        match operation {
            Operation::GetPending => payload.get_pending().map(|()| self.pending(books)),
            Operation::StartNext => {
                let request = payload.start_next()?;
                let started =
                    books.start_next(request.status_details, request.step_timeout_in_minutes);
                Ok(self.dialect.next(&self.thing_name, started))
            }
            Operation::Describe => self.describe(books, job_id, payload),
            Operation::Update => {
                let request = payload.update()?;
                Ok(self.updated(books.update(job_id, &request)?, &request))
            }
            Operation::NotifyNext => Ok(Map::new()), // no topic stands for it
        }
    }

    /// What is pending, as much as fits into one message.
    fn pending(&self, books: &Books) -> Map<String, Value> {
        let mut room = LARGEST_PAYLOAD - 1024;
        let mut summaries = |executions: &mut dyn Iterator<Item = &JobExecution>| {
            let mut list = Vec::new();
            for execution in executions {
                let summary = Value::Object(self.dialect.summary(execution));
                let size = summary.to_string().len() + 1;
                if size > room {
                    break;
                }
                room -= size;
                list.push(summary);
            }
            Value::Array(list)
        };
        let in_progress = summaries(&mut books.in_progress());
        let queued = summaries(&mut books.queued());
        Map::from_iter([
            ("inProgressJobs".into(), in_progress),
            ("queuedJobs".into(), queued),
        ])
    }

    fn describe(
        &self,
        books: &Books,
        job_id: &str,
        payload: Payload,
    ) -> Result<Map<String, Value>, Rejection> {
        let request = payload.describe()?;
        if job_id == "$next" && books.first_in_line().is_none() {
            return Ok(self.dialect.next(&self.thing_name, None));
        }
        let execution = match books.first_in_line() {
            Some(first) if job_id == "$next" => first,
            _ => books.find(job_id, request.execution_number)?,
        };
        if execution.status.is_terminal() && !self.dialect.describes_terminal {
            return Err(Rejection::terminal(execution));
        }
        let with_document = request.include_job_document.unwrap_or(true);
        let execution = self
            .dialect
            .execution(&self.thing_name, execution, with_document);
        Ok(Map::from_iter([("execution".into(), execution)]))
    }

    fn updated(&self, execution: &JobExecution, request: &UpdateRequest) -> Map<String, Value> {
        let mut body = Map::new();
        if request.include_job_execution_state {
            body.insert("executionState".into(), execution_state(execution));
        }
        if request.include_job_document {
            body.insert("jobDocument".into(), execution.document.clone());
        }
        body
    }

    /// The fault `reject`.
    fn ordered_rejection(
        &self,
        connection: u64,
        operation: Operation,
        books: &Books,
        job_id: Option<&str>,
    ) -> Option<Rejection> {
        let code = self.faults.strike(connection, |fault| match fault {
            Fault::Reject(on, code) if on.covers(operation) => Some(code.clone()),
            _ => None,
        })?;
        let rejection = Rejection::new(&code, "the service was told to reject this");
        let execution = job_id.and_then(|id| books.find(id, None).ok());
        Some(match (code.as_str(), execution) {
            ("InvalidStateTransition" | "VersionMismatch", Some(execution)) => {
                rejection.with_state(execution)
            }
            _ => rejection,
        })
    }
}
