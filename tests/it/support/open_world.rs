//! A world with room for more than jobs, and the parts of a device in it.

use jobs_mqtt5::jobs;
use jobs_mqtt5::mqtt::{self, Client, Events, NotGranted, SubscribeError, Subscription};
use local_iot_core::{Limits, Options};

use super::{World, within};

/// Everything is allowed but topics with `secret` in them.
const POLICY: &str = r#"{"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "iot:*", "Resource": "*"},
    {"Effect": "Deny", "Action": "iot:*", "Resource": "*secret*"}]}"#;
/// The other thing of a gateway.
pub const OTHER: &str = "other-thing";

impl World {
    /// A policy that leaves a device free, but for topics with `secret` in them.
    pub fn open_policy() -> &'static str {
        POLICY
    }

    /// A world whose policy leaves a device free, with two things.
    pub async fn open() -> Self {
        Self::open_with(Limits::default()).await
    }

    /// The same, with a server that allows this much.
    pub async fn open_with(limits: Limits) -> Self {
        Self::with(Options {
            limits,
            policy: POLICY.to_owned(),
            more_things: vec![OTHER.to_owned()],
            ..Options::default()
        })
        .await
    }

    /// A connection.
    pub fn connect(&self) -> (Client, Events<mqtt::Event>) {
        mqtt::connect(self.settings().mqtt)
    }

    /// A jobs client on it.
    pub fn jobs_of(&self, thing_name: &str, mqtt: &Client) -> jobs::Client {
        jobs::Client::with_options(mqtt, thing_name, self.settings().jobs)
    }
}

/// The next message, as topic and text.
pub async fn next_message(subscription: &mut Subscription) -> (String, String) {
    let message = within(subscription.next()).await.unwrap();
    let text = String::from_utf8_lossy(&message.payload).into_owned();
    (message.topic, text)
}

/// Why the server refuses a subscription.
pub async fn refusal(subscription: &Subscription) -> SubscribeError {
    match within(subscription.granted().wait()).await {
        Err(NotGranted::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

/// What ended the connection that is to come back.
pub async fn interruption(events: &mut Events<mqtt::Event>) -> mqtt::ConnectionError {
    loop {
        match within(events.next()).await.unwrap() {
            mqtt::Event::Interrupted { error, .. } => return error,
            mqtt::Event::Ended(outcome) => panic!("{outcome:?}"),
            _ => {}
        }
    }
}
