//! Sends the service's messages, in the ways that it is told to misbehave.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{Jobs, execution::Moment, replies::Reply};
use crate::{
    faults::{Fault, On},
    journal::Event,
    session::Message,
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
    payload: Vec<u8>,
    copies: usize,
    delay: Duration,
    /// A policy would keep the messages of another thing away from the device.
    past_the_policy: bool,
}

impl Jobs {
    pub(super) fn send(&self, connection: u64, to: Recipient, mut reply: Reply) {
        reply
            .body
            .insert("timestamp".into(), self.dialect.time(Moment::now()));
        let fault = reply.operation.and_then(|operation| {
            self.faults.strike(connection, |fault| {
                spoils(fault)
                    .filter(|on| on.covers(operation))
                    .map(|_| fault.clone())
            })
        });
        if !matches!(fault, Some(Fault::LoseReply(_))) {
            self.journal.record(
                connection,
                Event::Reply {
                    topic: reply.topic(),
                    accepted: reply.accepted,
                    code: reply.code.clone(),
                },
            );
            self.deliver(to, spoil(reply, fault));
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
            topic,
            payload: payload.into(),
            qos: 1,
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
                    None => sessions.publish(&message, past_the_policy),
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
        payload: Vec::new(),
        copies: 1,
        delay: Duration::ZERO,
        past_the_policy: false,
    };
    match fault {
        Some(Fault::LateReply(_, delay)) => sending.delay = delay,
        Some(Fault::DoubleReply(_)) => sending.copies = 2,
        Some(Fault::OtherThingReply(_)) => {
            reply.root = format!("$aws/things/{OTHER_THING}/jobs/");
            if let Some(name) = reply
                .body
                .get_mut("execution")
                .and_then(|e| e.get_mut("thingName"))
            {
                *name = json!(OTHER_THING);
            }
            sending.past_the_policy = true;
        }
        Some(Fault::ForeignTokenReply(_)) => {
            reply
                .body
                .insert("clientToken".into(), json!("somebody-else's-token"));
        }
        Some(Fault::NoTokenReply(_)) => drop(reply.body.remove("clientToken")),
        Some(Fault::WrongShapeReply(_)) => {
            let token = |key: &str| key == "clientToken";
            let fields = reply.body.iter_mut().filter(|(key, _)| !token(key));
            fields.for_each(|(_, value)| *value = misshapen(value));
        }
        Some(Fault::HugeReply(_)) => {
            reply
                .body
                .insert("padding".into(), json!("x".repeat(100 * 1024)));
        }
        _ => {}
    }
    sending.topic = reply.topic();
    sending.payload = match fault {
        Some(Fault::NotJsonReply(_)) => b"{\"execution\": \xff<html>".to_vec(),
        _ => reply.payload(),
    };
    sending
}

/// A value of another type.
fn misshapen(value: &Value) -> Value {
    match value {
        Value::Object(_) | Value::Array(_) => json!("neither list nor object"),
        _ => json!([{ "no": ["such", "shape"] }]),
    }
}
