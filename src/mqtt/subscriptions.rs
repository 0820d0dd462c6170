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
#[error("{}", words(filter, reason, *denied))]
pub struct SubscribeError {
    /// The filter that was refused.
    pub filter: String,
    /// The reason code and its name.
    pub reason: String,
    /// Whether the policy is the reason (SUBACK 0x87).
    pub denied: bool,
}

/// SUBACK 0x87 names what is missing in the policy as one would write it there.
fn words(filter: &str, reason: &str, denied: bool) -> String {
    if !is_filter(filter) {
        let filter = cut(filter, 300);
        return format!(
            "'{}' is no topic filter (MQTT5, section 4.7).",
            printable(&filter)
        );
    }
    let filter = printable(filter);
    let what = format!("The server refused the subscription to {filter}: SUBACK {reason}.");
    match denied {
        true => format!(
            "{what} Add to the policy of your certificate: allow iot:Subscribe on \
             arn:aws:iot:REGION:ACCOUNT:topicfilter/{} (policy.json has it for every filter).",
            filter.replace('+', "*")
        ),
        false => what,
    }
}

/// What the server said to the filters of one subscription: nothing yet, yes, or no.
pub(super) type Verdict = Option<Result<(), SubscribeError>>;

/// Where a filter stands in the session under way.
#[derive(Debug, Clone, PartialEq)]
enum Filter {
    /// To be subscribed to.
    Wanted,
    /// In a SUBSCRIBE that has no answer yet.
    Asked,
    Granted,
    Refused(SubscribeError),
}

impl Filter {
    /// Where a filter stands at first: what is no filter is not asked for, for rumqttc would refuse all
    /// that is in the same SUBSCRIBE.
    fn new(filter: &str) -> Self {
        if is_filter(filter) {
            return Self::Wanted;
        }
        Self::Refused(SubscribeError {
            filter: filter.to_owned(),
            reason: reason::of_suback(SubscribeReasonCode::TopicFilterInvalid),
            denied: false,
        })
    }
}

/// Somebody who gets the messages of some filters.
struct Subscriber {
    number: u64,
    filters: Vec<String>,
    to: mpsc::Sender<Message>,
    verdict: watch::Sender<Verdict>,
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
    /// The connection has ended for good.
    ended: bool,
}

impl Subscriptions {
    /// One more subscriber. The number is for [`Self::remove`].
    pub fn add(
        &mut self,
        filters: Vec<String>,
        to: mpsc::Sender<Message>,
        verdict: watch::Sender<Verdict>,
    ) -> u64 {
        if self.ended {
            return 0; // and with `to`, the messages end
        }
        for filter in &filters {
            let new = || Filter::new(filter);
            let state = self.filters.entry(filter.clone()).or_insert_with(new);
            if let Filter::Refused(_) = state {
                *state = new();
            }
        }
        self.last_number += 1;
        self.subscribers.push(Subscriber {
            number: self.last_number,
            filters,
            to,
            verdict,
            missed: 0,
        });
        let new = self.last_number;
        self.tell_verdicts(|one| one.number == new);
        new
    }

    /// One subscriber fewer. Returns the filters that the server need not send any more.
    pub fn remove(&mut self, number: u64) -> Vec<String> {
        self.subscribers.retain(|one| one.number != number);
        let subscribers = &self.subscribers;
        let is_orphan =
            |filter: &String| !subscribers.iter().any(|one| one.filters.contains(filter));
        let orphans: Vec<_> = self
            .filters
            .keys()
            .filter(|f| is_orphan(f))
            .cloned()
            .collect();
        let left = |filter: &String| self.filters.remove(filter) == Some(Filter::Granted);
        orphans.into_iter().filter(left).collect()
    }

    /// Whether there are filters to subscribe to.
    pub fn has_wanted(&self) -> bool {
        self.filters.values().any(|state| *state == Filter::Wanted)
    }

    /// Some filters to subscribe to now; they count as asked for from here on.
    pub fn next_to_ask(&mut self) -> Vec<String> {
        let wanted = self
            .filters
            .iter_mut()
            .filter(|(_, state)| **state == Filter::Wanted);
        let asked = wanted.take(FILTERS_IN_A_SUBSCRIBE).map(|(filter, state)| {
            *state = Filter::Asked;
            filter.clone()
        });
        asked.collect()
    }

    /// The SUBSCRIBE for these filters will have no answer.
    pub fn unanswered(&mut self, filters: &[String]) {
        self.set(filters, |_| Filter::Wanted);
    }

    /// The server has answered; there is one reason code for each filter, in their order. Returns what
    /// it refused, if anything: first of all, what the policy denies.
    pub fn answered(
        &mut self,
        filters: &[String],
        codes: &[SubscribeReasonCode],
    ) -> Option<SubscribeError> {
        let mut codes = codes.iter();
        let mut refused: Option<SubscribeError> = None;
        self.set(filters, |filter| match codes.next() {
            Some(SubscribeReasonCode::Success(_)) => Filter::Granted,
            code => {
                let error = SubscribeError {
                    filter: filter.to_owned(),
                    reason: code.map_or("without a reason code for it".to_owned(), |code| {
                        reason::of_suback(*code)
                    }),
                    denied: code == Some(&SubscribeReasonCode::NotAuthorized),
                };
                if refused
                    .as_ref()
                    .is_none_or(|first| error.denied && !first.denied)
                {
                    refused = Some(error.clone());
                }
                Filter::Refused(error)
            }
        });
        self.tell_verdicts(|one| one.filters.iter().any(|filter| filters.contains(filter)));
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
        let refused = self.filters.iter_mut();
        refused
            .filter(|(_, state)| matches!(state, Filter::Refused(_)))
            .for_each(|(filter, state)| *state = Filter::new(filter));
    }

    /// Whether everybody who wants messages of this topic has room for one more.
    pub fn have_room(&self, topic: &str) -> bool {
        let mut interested = self.subscribers.iter().filter(|one| one.wants(topic));
        interested.all(|one| one.to.capacity() > 0 || one.to.is_closed())
    }

    /// Gives a message to everybody who wants it. Whoever has no room for it misses it.
    pub fn deliver(&mut self, message: &Message) {
        let subscribers = self.subscribers.iter_mut();
        for one in subscribers.filter(|one| one.wants(&message.topic)) {
            match one.to.try_send(message.clone()) {
                Ok(()) => one.missed = 0,
                Err(TrySendError::Full(_)) => {
                    one.missed += 1;
                    if !one.missed.is_power_of_two() {
                        continue; // it may go on like this for hours
                    }
                    let (missed, filters) = (one.missed, one.filters.join(", "));
                    let filters = printable(&filters);
                    warn!("a subscriber of {filters} does not read: {missed} messages left out");
                }
                Err(TrySendError::Closed(_)) => {} // it is about to be removed
            }
        }
    }

    fn set(&mut self, filters: &[String], mut to: impl FnMut(&str) -> Filter) {
        for filter in filters {
            let new = to(filter);
            if let Some(state) = self.filters.get_mut(filter) {
                *state = new; // else nobody wants it any more
            }
        }
    }

    /// Tells each subscriber that it concerns, and whose filters have all been answered.
    fn tell_verdicts(&self, concerns: impl Fn(&Subscriber) -> bool) {
        for one in self.subscribers.iter().filter(|one| concerns(one)) {
            let mut verdict = Some(Ok(()));
            for filter in &one.filters {
                match self.filters.get(filter) {
                    Some(Filter::Granted) => {}
                    Some(Filter::Refused(error)) => {
                        verdict = Some(Err(error.clone()));
                        if error.denied {
                            break;
                        }
                    }
                    _ => {
                        verdict = None;
                        break;
                    }
                }
            }
            if verdict.is_some() {
                one.verdict.send_replace(verdict);
            }
        }
    }
}
