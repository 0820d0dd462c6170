//! Who wants which messages, and what the server said to our SUBSCRIBE packets (MQTT5, section 3.9.3).

use std::collections::BTreeMap;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use super::error::SubscribeError;
use super::filter::{is_filter, matches};
use super::publish::Message;
use super::reason::ReasonCode;
use crate::text::printable;

/// AWS IoT Core takes at most this many filters in one SUBSCRIBE.
const FILTERS_IN_A_SUBSCRIBE: usize = 8;

/// What the server said to all filters of one subscription.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    None,
    Granted,
    Refused(SubscribeError),
}

/// Where a filter stands in the session under way.
#[derive(Debug, PartialEq)]
enum FilterState {
    /// To be subscribed to.
    Wanted,
    /// In a SUBSCRIBE that has no answer yet.
    Asked,
    Granted,
    Refused(ReasonCode),
    /// Nobody wants it: to be unsubscribed from.
    Unwanted,
    /// In an UNSUBSCRIBE that has no answer yet.
    Leaving,
}

impl FilterState {
    /// What is no filter is not asked for: the server would end the connection over it.
    fn new(filter: &str) -> Self {
        if is_filter(filter) {
            return Self::Wanted;
        }
        Self::Refused(ReasonCode::TOPIC_FILTER_INVALID)
    }
}

/// What a subscriber wants.
pub(super) enum Wish {
    Filters(Vec<String>),
    /// The messages that match nobody's filter.
    Unmatched,
}

/// Somebody who gets messages.
pub(super) struct Subscriber {
    number: u64,
    wish: Wish,
    to: mpsc::Sender<Message>,
    answer: watch::Sender<Answer>,
    was_granted: bool,
    /// Messages that it was too slow for, since it last was not.
    missed: u64,
}

impl Subscriber {
    pub fn new(
        number: u64,
        wish: Wish,
        to: mpsc::Sender<Message>,
        answer: watch::Sender<Answer>,
    ) -> Self {
        Self {
            number,
            wish,
            to,
            answer,
            was_granted: false,
            missed: 0,
        }
    }

    fn filters(&self) -> &[String] {
        match &self.wish {
            Wish::Filters(filters) => filters,
            Wish::Unmatched => &[],
        }
    }

    fn wants(&self, topic: &str) -> bool {
        self.filters().iter().any(|filter| matches(filter, topic))
    }

    /// Gives it a message. If it has no room, it misses it.
    fn give(&mut self, message: &Message) {
        if let Err(TrySendError::Full(_)) = self.to.try_send(message.clone()) {
            self.missed += 1;
            if self.missed.is_power_of_two() {
                let (missed, filters) = (self.missed, self.filters().join(", "));
                let filters = printable(&filters);
                warn!("a subscriber of {filters} does not read: {missed} messages dropped");
            }
        } else {
            self.missed = 0;
        }
    }
}

/// All subscribers of a connection, and the filters that they have together.
#[derive(Default)]
pub(super) struct Subscriptions {
    subscribers: Vec<Subscriber>,
    filters: BTreeMap<String, FilterState>,
    /// Messages that nobody wanted.
    unmatched: u64,
}

impl Subscriptions {
    pub fn add(&mut self, subscriber: Subscriber) {
        for filter in subscriber.filters() {
            let new = || FilterState::new(filter);
            let state = self.filters.entry(filter.clone()).or_insert_with(new);
            match state {
                FilterState::Refused(_) => *state = new(),
                FilterState::Unwanted => *state = FilterState::Granted,
                _ => {} // one that is being unsubscribed from is asked for again afterwards
            }
        }
        self.subscribers.push(subscriber);
        self.tell_answers();
    }

    /// One subscriber fewer. What nobody else has is to be unsubscribed from.
    pub fn remove(&mut self, number: u64) {
        self.subscribers.retain(|one| one.number != number);
        let subscribers = &self.subscribers;
        self.filters.retain(|filter, state| {
            if is_wanted(subscribers, filter) {
                return true;
            }
            if *state == FilterState::Granted {
                *state = FilterState::Unwanted;
            }
            // (One that is asked for is seen to be unwanted when the answer comes.)
            !matches!(state, FilterState::Wanted | FilterState::Refused(_))
        });
    }

    /// Some filters to subscribe to now; they count as asked for from here on.
    pub fn next_to_subscribe(&mut self) -> Vec<String> {
        self.advance(&FilterState::Wanted, || FilterState::Asked)
    }

    /// Some filters to unsubscribe from now.
    pub fn next_to_unsubscribe(&mut self) -> Vec<String> {
        self.advance(&FilterState::Unwanted, || FilterState::Leaving)
    }

    fn advance(&mut self, from: &FilterState, to: impl Fn() -> FilterState) -> Vec<String> {
        let all = self.filters.iter_mut();
        all.filter(|(_, state)| *state == from)
            .take(FILTERS_IN_A_SUBSCRIBE)
            .map(|(filter, state)| {
                *state = to();
                filter.clone()
            })
            .collect()
    }

    /// The server has answered a SUBSCRIBE; there is one reason code for each filter, in their order.
    /// Returns what it refused, if anything: rather what the policy denies.
    pub fn subscribed(
        &mut self,
        filters: &[String],
        codes: &[ReasonCode],
    ) -> Option<SubscribeError> {
        let mut refused = None;
        for (filter, code) in filters.iter().zip(codes) {
            let mut state = FilterState::Granted;
            if code.is_error() {
                let is_worse = *code == ReasonCode::NOT_AUTHORIZED || refused.is_none();
                refused = refused.filter(|_| !is_worse).or(Some((filter, *code)));
                state = FilterState::Refused(*code);
            } else if !is_wanted(&self.subscribers, filter) {
                state = FilterState::Unwanted;
            }
            self.filters.insert(filter.clone(), state);
        }
        self.tell_answers();
        refused.map(|(filter, reason)| SubscribeError {
            filter: filter.clone(),
            reason,
            was_granted: false,
        })
    }

    /// The server has answered an UNSUBSCRIBE.
    pub fn unsubscribed(&mut self, filters: &[String]) {
        for filter in filters {
            self.filters.remove(filter);
            if is_wanted(&self.subscribers, filter) {
                let state = FilterState::new(filter);
                self.filters.insert(filter.clone(), state);
            }
        }
    }

    /// Nobody will answer what was asked on the connection that is gone: it is to be asked again.
    pub fn unanswered(&mut self) {
        for state in self.filters.values_mut() {
            match state {
                FilterState::Asked => *state = FilterState::Wanted,
                FilterState::Leaving => *state = FilterState::Unwanted,
                _ => {}
            }
        }
    }

    /// In a new session, everything that is wanted is to be asked for; what was refused is as well.
    pub fn forget(&mut self) {
        let subscribers = &self.subscribers;
        self.filters.retain(|filter, state| {
            *state = FilterState::new(filter);
            is_wanted(subscribers, filter)
        });
    }

    /// What was refused is to be asked for again.
    pub fn retry_refused(&mut self) {
        let all = self.filters.iter_mut();
        all.filter(|(_, state)| matches!(state, FilterState::Refused(_)))
            .for_each(|(filter, state)| *state = FilterState::new(filter));
    }

    /// Gives a message to everybody who wants it.
    pub fn deliver(&mut self, message: &Message) {
        let mut is_matched = false;
        for one in &mut self.subscribers {
            if one.wants(&message.topic) {
                is_matched = true;
                one.give(message);
            }
        }
        if is_matched {
            return;
        }
        for one in &mut self.subscribers {
            if let Wish::Unmatched = one.wish {
                is_matched = true;
                one.give(message);
            }
        }
        self.unmatched += u64::from(!is_matched);
        if !is_matched && self.unmatched.is_power_of_two() {
            let (topic, count) = (printable(&message.topic), self.unmatched);
            info!("a message on {topic} matches no subscription: {count} so far");
        }
    }

    /// Tells each subscriber what is new in the server's answers to all of its filters.
    fn tell_answers(&mut self) {
        for one in &mut self.subscribers {
            let answer = answer_to(one, &self.filters);
            one.was_granted |= answer == Answer::Granted;
            if answer != Answer::None && *one.answer.borrow() != answer {
                one.answer.send_replace(answer);
            }
        }
    }
}

fn is_wanted(subscribers: &[Subscriber], filter: &str) -> bool {
    let mut filters = subscribers.iter().flat_map(Subscriber::filters);
    filters.any(|one| one == filter)
}

/// Whether all filters are granted. One that the policy denies is the answer at once, for the server may
/// close the connection over it; another refusal is when all are answered.
fn answer_to(subscriber: &Subscriber, filters: &BTreeMap<String, FilterState>) -> Answer {
    let mut is_complete = true;
    let mut refused = None;
    for filter in subscriber.filters() {
        match filters.get(filter) {
            Some(FilterState::Granted) => {}
            Some(FilterState::Refused(reason)) => {
                let error = SubscribeError {
                    filter: filter.clone(),
                    reason: *reason,
                    was_granted: subscriber.was_granted,
                };
                if error.is_denied() {
                    return Answer::Refused(error);
                }
                refused = refused.or(Some(error));
            }
            _ => is_complete = false,
        }
    }
    match refused {
        _ if !is_complete => Answer::None,
        Some(error) => Answer::Refused(error),
        None => Answer::Granted,
    }
}
