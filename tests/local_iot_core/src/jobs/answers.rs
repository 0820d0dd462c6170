//! How the service answers a device.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::{
    Books, JobExecution, Jobs, JobsTopic, Operation,
    document::{Keywords, presigned},
    mischief::Recipient,
    replies::{Body, Rejection, Reply, execution_state},
    requests::{Occasion, Payload, UpdateRequest},
    rewrite::rewritten,
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
        let occasion = operation.map(|operation| payload.occasion(operation));
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
        let carry_out = |books: &mut Books| match occasion {
            _ if thing_name != &*self.thing_name => Err(Rejection::not_found(thing_name)),
            None => Err(Rejection::new(
                "InvalidTopic",
                "no operation has this topic",
            )),
            Some(occasion) => match self.ordered_rejection(connection, occasion, books, job_id) {
                Some(rejection) => Err(rejection),
                None => {
                    let job_id = job_id.unwrap_or_default();
                    self.carry_out(books, occasion.operation, job_id, payload)
                }
            },
        };
        let send = |outcome| {
            let mut reply = Reply::to(topic, occasion, outcome);
            if let Some(token) = client_token {
                reply.body.set("clientToken", token);
            }
            self.send(connection, Recipient::Client(client_id), reply);
        };
        self.change(connection, occasion, carry_out, send);
    }

    fn carry_out(
        &self,
        books: &mut Books,
        operation: Operation,
        job_id: &str,
        payload: Payload,
    ) -> Result<Body, Rejection> {
        match operation {
            Operation::GetPending => payload.get_pending().map(|()| self.pending(books)),
            Operation::StartNext => {
                let request = payload.start_next()?;
                let started =
                    books.start_next(request.status_details, request.step_timeout_in_minutes);
                Ok(self.next(started))
            }
            Operation::Describe => self.describe(books, job_id, payload),
            Operation::Update => {
                let request = payload.update()?;
                let version_first = self.settings.dialect.version_first;
                let updated = books.update(job_id, &request, version_first)?;
                Ok(self.updated(updated, &request))
            }
            Operation::NotifyNext => Ok(Body::default()), // no topic stands for it
        }
    }

    /// What is pending, as much of it as the service lists, and as fits into one message.
    fn pending(&self, books: &Books) -> Body {
        let mut room = LARGEST_PAYLOAD - 1024;
        let mut left = self.settings.listed_executions;
        let mut summaries = |executions: &mut dyn Iterator<Item = &JobExecution>| {
            let mut list = Vec::new();
            for execution in executions {
                let summary = Value::Object(self.settings.dialect.summary(execution));
                let size = summary.to_string().len() + 1;
                if left == 0 || size > room {
                    break;
                }
                left -= 1;
                room -= size;
                list.push(summary);
            }
            Value::Array(list)
        };
        let mut body = Body::of("inProgressJobs", summaries(&mut books.in_progress()));
        body.set("queuedJobs", summaries(&mut books.queued()));
        body
    }

    fn describe(&self, books: &Books, job_id: &str, payload: Payload) -> Result<Body, Rejection> {
        let request = payload.describe()?;
        if job_id == "$next" && books.first_in_line().is_none() {
            return Ok(self.next(None));
        }
        let execution = match books.first_in_line() {
            Some(first) if job_id == "$next" => first,
            _ => books.find(job_id, request.execution_number)?,
        };
        if execution.status.is_terminal() && !self.settings.dialect.describes_terminal {
            return Err(Rejection::terminal());
        }
        let mut body = self.next(Some(execution));
        if request.include_job_document == Some(false) {
            body.document = None;
        }
        Ok(body)
    }

    /// A body whose one field is this execution, if there is one.
    pub(super) fn next(&self, execution: Option<&JobExecution>) -> Body {
        let settings = &self.settings;
        let Some(execution) = execution else {
            return match settings.dialect.empty_execution {
                true => Body::of("execution", json!({})),
                false => Body::default(),
            };
        };
        let written = settings
            .dialect
            .execution(&self.thing_name, execution, settings.minute);
        Body {
            document: Some(self.document(execution, false)),
            ..Body::of("execution", written)
        }
    }

    /// The document as it is sent this time. AWS escapes more of it in the reply to an update.
    fn document(&self, execution: &JobExecution, is_update: bool) -> String {
        let keywords = Keywords {
            thing_name: &self.thing_name,
            job_id: &execution.job_id,
            execution_number: execution.execution_number,
        };
        let document = presigned(&execution.document, &keywords, || {
            1 + self.signatures.fetch_add(1, Ordering::Relaxed)
        });
        match self.settings.dialect.rewrites_documents {
            true => rewritten(&document, is_update),
            false => document,
        }
    }

    fn updated(&self, execution: &JobExecution, request: &UpdateRequest) -> Body {
        let mut body = Body::default();
        if request.include_job_execution_state {
            body.set("executionState", execution_state(execution));
        }
        if request.include_job_document {
            body.document = Some(self.document(execution, true));
        }
        body
    }

    /// The fault `reject`.
    fn ordered_rejection(
        &self,
        connection: u64,
        occasion: Occasion,
        books: &Books,
        job_id: Option<&str>,
    ) -> Option<Rejection> {
        let code = self.faults.strike(connection, |fault| match fault {
            Fault::Reject(on, code) if on.covers(occasion) => Some(code.clone()),
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
