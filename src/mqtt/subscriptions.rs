//! Who wants which messages, and what the server said to our SUBSCRIBE packets (MQTT5, section 3.9.3).

use std::collections::BTreeMap;

use bytes::Bytes;
use rumqttc::v5::mqttbytes::v5::SubscribeReasonCode;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tracing::warn;

use super::filter::{is_filter, matches};
use super::reason;
use crate::text::{cut, printable};

/// AWS IoT Core takes at most this many filters in one SUBSCRIBE.
pub(super) const FILTERS_IN_A_SUBSCRIBE: usize = 8;

/// A message that the server delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The topic it was published to.
    pub topic: String,
    /// Whatever was published.
    pub payload: Bytes,
}

/// The server did not grant a topic filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", words(filter, reason))]
pub struct SubscribeError {
    /// The filter that was refused.
    pub filter: String,
    /// The reason code and its name.
    pub reason: String,
    /// Whether the policy is the reason (SUBACK 0x87).
    pub denied: bool,
    /// Whether all filters of the subscription were granted before: then this is no first mistake.
    pub was_granted: bool,
}

impl SubscribeError {
    /// Whether the policy is the reason.
    pub fn is_denied(&self) -> bool {
        self.denied
    }

    /// Whether it passes by itself, or by somebody's hand.
    pub fn class(&self) -> super::ErrorClass {
        if self.denied {
            super::ErrorClass::NeedsOperator
        } else {
            super::ErrorClass::Transient
        }
    }

    fn new(filter: &str, code: Option<&SubscribeReasonCode>) -> Self {
        Self {
            filter: filter.to_owned(),
            reason: code.map_or("without a reason code for it".to_owned(), |code| {
                reason::of(*code)
            }),
            denied: code == Some(&SubscribeReasonCode::NotAuthorized),
            was_granted: false,
        }
    }
}

fn words(filter: &str, reason: &str) -> String {
    let shown = cut(filter, 300);
    let shown = printable(&shown);
    if !is_filter(filter) {
        return format!("'{shown}' is no topic filter (MQTT5, section 4.7)");
    }
    format!("the server refused the subscription to {shown}: SUBACK {reason}")
}

/// What the server said to the filters of one subscription: nothing yet, yes, or no.
pub(super) type Verdict = Option<Result<(), SubscribeError>>;

/// Where a filter stands in the session under way.
#[derive(Debug, PartialEq)]
enum Filter {
    /// To be subscribed to.
    Wanted,
    /// In a SUBSCRIBE that has no answer yet.
    Asked,
    Granted,
    Refused(SubscribeError),
}

impl Filter {
    /// What is no filter is not asked for: rumqttc would refuse all that is in the same SUBSCRIBE.
    fn new(filter: &str) -> Self {
        if is_filter(filter) {
            return Self::Wanted;
        }
        let code = SubscribeReasonCode::TopicFilterInvalid;
        Self::Refused(SubscribeError::new(filter, Some(&code)))
    }
}

/// Somebody who gets the messages of some filters.
struct Subscriber {
    number: u64,
    filters: Vec<String>,
    to: mpsc::Sender<Message>,
    verdict: watch::Sender<Verdict>,
    was_granted: bool,
    /// Messages that it was too slow for, since it last was not.
    missed: u64,
}

impl Subscriber {
    fn wants(&self, topic: &str) -> bool {
        self.filters.iter().any(|filter| matches(filter, topic))
    }
}

/// All subscribers of a connection, and the filters that they have together.
#[derive(Default)]
pub(super) struct Subscriptions {
    subscribers: Vec<Subscriber>,
    filters: BTreeMap<String, Filter>,
    last_number: u64,
    ended: bool,
}

impl Subscriptions {
    /// One more subscriber; its number is for [`Self::remove`].
    pub fn add(
        &mut self,
        filters: Vec<String>,
        to: mpsc::Sender<Message>,
        verdict: watch::Sender<Verdict>,
    ) -> u64 {
        self.last_number += 1;
        if self.ended {
            return self.last_number;
        }
        for filter in &filters {
            let new = || Filter::new(filter);
            let state = self.filters.entry(filter.clone()).or_insert_with(new);
            if let Filter::Refused(_) = state {
                *state = new();
            }
        }
        self.subscribers.push(Subscriber {
            number: self.last_number,
            filters,
            to,
            verdict,
            was_granted: false,
            missed: 0,
        });
        self.tell_verdicts();
        self.last_number
    }

    /// One subscriber fewer. Returns the filters that the server need not send any more.
    pub fn remove(&mut self, number: u64) -> Vec<String> {
        self.subscribers.retain(|one| one.number != number);
        let mut orphans = Vec::new();
        self.filters.retain(|filter, state| {
            let is_wanted = self
                .subscribers
                .iter()
                .any(|one| one.filters.contains(filter));
            if !is_wanted && *state == Filter::Granted {
                orphans.push(filter.clone());
            }
            is_wanted
        });
        orphans
    }

    /// Whether there are filters to subscribe to.
    pub fn has_wanted(&self) -> bool {
        self.filters.values().any(|state| *state == Filter::Wanted)
    }

    /// Some filters to subscribe to now; they count as asked for from here on.
    pub fn next_to_ask(&mut self) -> Vec<String> {
        let all = self.filters.iter_mut();
        all.filter(|(_, state)| **state == Filter::Wanted)
            .take(FILTERS_IN_A_SUBSCRIBE)
            .map(|(filter, state)| {
                *state = Filter::Asked;
                filter.clone()
            })
            .collect()
    }

    /// The SUBSCRIBE for these filters will have no answer.
    pub fn unanswered(&mut self, filters: &[String]) {
        filters
            .iter()
            .for_each(|filter| self.set(filter, Filter::Wanted));
    }

    /// The server has answered; there is one reason code for each filter, in their order. Returns what
    /// it refused, if anything: rather what the policy denies.
    pub fn answered(
        &mut self,
        filters: &[String],
        codes: &[SubscribeReasonCode],
    ) -> Option<SubscribeError> {
        let mut refused = None;
        for (nth, filter) in filters.iter().enumerate() {
            let state = match codes.get(nth) {
                Some(SubscribeReasonCode::Success(_)) => Filter::Granted,
                code => {
                    let error = SubscribeError::new(filter, code);
                    if error.denied || refused.is_none() {
                        refused = Some(error.clone());
                    }
                    Filter::Refused(error)
                }
            };
            self.set(filter, state);
        }
        self.tell_verdicts();
        refused
    }

    /// In a new session, everything is to be asked for again; what was refused is as well.
    pub fn forget(&mut self) {
        let all = self.filters.iter_mut();
        all.for_each(|(filter, state)| *state = Filter::new(filter));
    }

    /// The connection has ended for good: so do the messages.
    pub fn end(&mut self) {
        self.ended = true;
        self.subscribers.clear();
        self.filters.clear();
    }

    /// What was refused is to be asked for again.
    pub fn retry_refused(&mut self) {
        let all = self.filters.iter_mut();
        all.filter(|(_, state)| matches!(state, Filter::Refused(_)))
            .for_each(|(filter, state)| *state = Filter::new(filter));
    }

    /// Gives a message to everybody who wants it. Whoever has no room for it misses it.
    pub fn deliver(&mut self, message: &Message) {
        let all = self.subscribers.iter_mut();
        for one in all.filter(|one| one.wants(&message.topic)) {
            if let Err(TrySendError::Full(_)) = one.to.try_send(message.clone()) {
                one.missed += 1;
                if one.missed.is_power_of_two() {
                    let (missed, filters) = (one.missed, one.filters.join(", "));
                    let filters = printable(&filters);
                    warn!("a subscriber of {filters} does not read: {missed} messages left out");
                }
            } else {
                one.missed = 0;
            }
        }
    }

    fn set(&mut self, filter: &str, to: Filter) {
        if let Some(state) = self.filters.get_mut(filter) {
            *state = to; // else nobody wants it any more
        }
    }

    /// Tells each subscriber what is new in the server's answers to all of its filters.
    fn tell_verdicts(&mut self) {
        for one in &mut self.subscribers {
            let mut verdict = Some(Ok(()));
            for filter in &one.filters {
                match self.filters.get(filter) {
                    Some(Filter::Granted) => {}
                    Some(Filter::Refused(error)) if error.denied || verdict.is_some() => {
                        verdict = Some(Err(SubscribeError {
                            was_granted: one.was_granted,
                            ..error.clone()
                        }));
                        if error.denied {
                            break; // whatever the others are, the server may close the connection
                        }
                    }
                    _ => verdict = None,
                }
            }
            one.was_granted |= verdict == Some(Ok(()));
            if verdict.is_some() && *one.verdict.borrow() != verdict {
                one.verdict.send_replace(verdict);
            }
        }
    }
}
