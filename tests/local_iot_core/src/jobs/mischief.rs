//! Sends the service's messages, in the ways that it is told to misbehave.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{
    Jobs, Operation,
    replies::{Body, Reply},
};
use crate::{
    faults::{Fault, On},
    journal::Event,
    message::Message,
};

/// The name of a thing that is not ours.
const OTHER_THING: &str = "some-other-thing";

/// Who gets a message.
#[derive(Debug, Clone, Copy)]
pub(super) enum Recipient<'a> {
    /// The client that asked, by its id.
    Client(&'a str),
    /// Everybody who subscribed.
    Subscribers,
}

/// How a message leaves.
struct Sending {
    topic: String,
    payload: Arc<[u8]>,
    copies: usize,
    delay: Duration,
    /// A policy would keep the messages of another thing away from the device.
    past_the_policy: bool,
}

impl Jobs {
    pub(super) fn send(&self, connection: u64, to: Recipient, mut reply: Reply) {
        let now = self.settings.dialect.time(self.clock.now());
        reply.body.set("timestamp", now);
        self.break_execution(connection, &mut reply);
        let fault = reply.occasion.and_then(|occasion| {
            self.faults.strike(connection, |fault| {
                spoils(fault)
                    .filter(|on| on.covers(occasion))
                    .map(|_| fault.clone())
            })
        });
        if !matches!(fault, Some(Fault::LoseReply(_))) {
            let (topic, accepted, code) = (reply.topic(), reply.accepted, reply.code.clone());
            let sending = spoil(reply, fault);
            self.journal.record(
                connection,
                Event::Reply {
                    topic,
                    accepted,
                    code,
                    payload: Arc::clone(&sending.payload),
                },
            );
            self.deliver(to, sending);
        }
    }

    /// The fault `broken-execution`.
    fn break_execution(&self, connection: u64, reply: &mut Reply) {
        use Operation::{Describe, NotifyNext, StartNext};
        let shows_one = |operation| matches!(operation, Describe | NotifyNext | StartNext);
        if !reply.occasion.is_some_and(|at| shows_one(at.operation)) {
            return;
        }
        let Some(job_id) = reply.body.fields.get("execution").map(|one| &one["jobId"]) else {
            return;
        };
        let field = self.faults.strike(connection, |fault| match fault {
            Fault::BrokenExecution(job, field) if job_id == job => Some(field.clone()),
            _ => None,
        });
        if let Some(field) = field {
            break_field(&mut reply.body, &field);
        }
    }

    fn deliver(&self, to: Recipient, sending: Sending) {
        let Sending {
            topic,
            payload,
            copies,
            delay,
            past_the_policy,
        } = sending;
        let message = Message {
            payload,
            ..Message::new(topic, [])
        };
        let client_id = match to {
            Recipient::Client(id) => Some(id.to_owned()),
            Recipient::Subscribers => None,
        };
        let sessions = Arc::clone(&self.sessions);
        let send = move || {
            for _ in 0..copies {
                match &client_id {
                    Some(client_id) => sessions.reply(client_id, &message, past_the_policy),
                    None => sessions.publish(message.clone(), past_the_policy),
                }
            }
        };
        if delay.is_zero() {
            send();
        } else {
            self.runtime.spawn(async move {
                tokio::time::sleep(delay).await;
                send();
            });
        }
    }
}

/// Whether a fault concerns a message on its way out, and which ones.
fn spoils(fault: &Fault) -> Option<On> {
    match fault {
        Fault::LoseReply(on)
        | Fault::LateReply(on, _)
        | Fault::DoubleReply(on)
        | Fault::OtherThingReply(on)
        | Fault::ForeignTokenReply(on)
        | Fault::NoTokenReply(on)
        | Fault::NotJsonReply(on)
        | Fault::WrongShapeReply(on)
        | Fault::HugeReply(on) => Some(*on),
        _ => None,
    }
}

fn spoil(mut reply: Reply, fault: Option<Fault>) -> Sending {
    let mut sending = Sending {
        topic: String::new(),
        payload: Arc::default(),
        copies: 1,
        delay: Duration::ZERO,
        past_the_policy: false,
    };
    match fault {
        Some(Fault::LateReply(_, delay)) => sending.delay = delay,
        Some(Fault::DoubleReply(_)) => sending.copies = 2,
        Some(Fault::OtherThingReply(_)) => {
            reply.root = format!("$aws/things/{OTHER_THING}/jobs/");
            let execution = reply.body.fields.get_mut("execution");
            if let Some(name) = execution.and_then(|one| one.get_mut("thingName")) {
                *name = json!(OTHER_THING);
            }
            sending.past_the_policy = true;
        }
        Some(Fault::ForeignTokenReply(_)) => {
            reply.body.set("clientToken", "somebody-else's-token");
        }
        Some(Fault::NoTokenReply(_)) => drop(reply.body.fields.remove("clientToken")),
        Some(Fault::WrongShapeReply(_)) => {
            let token = |key: &str| key == "clientToken";
            let fields = reply.body.fields.iter_mut().filter(|(key, _)| !token(key));
            fields.for_each(|(_, value)| *value = misshapen(value));
            reply.body.document = None;
        }
        Some(Fault::HugeReply(_)) => {
            reply.body.set("padding", "x".repeat(100 * 1024));
        }
        _ => {}
    }
    sending.topic = reply.topic();
    sending.payload = match fault {
        Some(Fault::NotJsonReply(_)) => b"{\"execution\": \xff<html>".as_slice().into(),
        _ => reply.payload().into(),
    };
    sending
}

/// Leaves a field of an execution out if it is written as `-FIELD`, otherwise spoils its type.
/// Without a name, it is the version number.
fn break_field(body: &mut Body, field: &str) {
    let Some(Value::Object(execution)) = body.fields.get_mut("execution") else {
        return;
    };
    let field = if field.is_empty() {
        "versionNumber"
    } else {
        field
    };
    match field.strip_prefix('-') {
        Some("jobDocument") => body.document = None,
        Some(field) => drop(execution.remove(field)),
        None => {
            let value = misshapen(execution.get(field).unwrap_or(&Value::Null));
            execution.insert(field.to_owned(), value);
        }
    }
}

/// A value of another type.
fn misshapen(value: &Value) -> Value {
    match value {
        Value::Object(_) | Value::Array(_) => json!("neither list nor object"),
        _ => json!([{ "no": ["such", "shape"] }]),
    }
}
