//! Who wants which messages, and what the server said to our SUBSCRIBE packets (MQTT5, section 3.9.3).

use std::collections::BTreeMap;

use tokio::sync::broadcast;
use tracing::{info, warn};

use super::connect::Limits;
use super::events::Event;
use super::publish::Message;
use super::reason::ReasonCode;
use super::subscriber::{Delivery, Interest, SubscribeError, Subscriber, is_filter};
use crate::text::printable;

/// AWS IoT Core takes at most this many filters in one SUBSCRIBE.
const FILTERS_IN_A_SUBSCRIBE: usize = 8;

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
    /// An invalid filter is not asked for: the server would end the connection over it.
    fn new(filter: &str) -> Self {
        if is_filter(filter) {
            return Self::Wanted;
        }
        Self::Refused(ReasonCode::TOPIC_FILTER_INVALID)
    }
}

/// All subscribers of a connection, and the filters that they have together.
pub(super) struct Subscriptions {
    subscribers: Vec<Subscriber>,
    filters: BTreeMap<String, FilterState>,
    events: broadcast::Sender<Event>,
    /// Messages that nobody wanted.
    unmatched: u64,
}

impl Subscriptions {
    pub fn new(events: broadcast::Sender<Event>) -> Self {
        Self {
            subscribers: Vec::new(),
            filters: BTreeMap::new(),
            events,
            unmatched: 0,
        }
    }

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

    /// What is granted is to be asked for once more.
    pub fn ask_again(&mut self) {
        for state in self.filters.values_mut() {
            if *state == FilterState::Granted {
                *state = FilterState::Wanted;
            }
        }
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

    /// What the server does not offer is not asked for: it would end the connection over it.
    pub fn refuse_unavailable(&mut self, limits: &Limits) {
        if limits.has_wildcards && limits.has_shared_subscriptions {
            return;
        }
        for (filter, state) in &mut self.filters {
            let reason = if !limits.has_shared_subscriptions && filter.starts_with("$share/") {
                ReasonCode::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED
            } else if !limits.has_wildcards && filter.contains(['+', '#']) {
                ReasonCode::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED
            } else {
                continue;
            };
            if *state == FilterState::Wanted {
                *state = FilterState::Refused(reason);
            }
        }
        self.tell_answers();
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
            let is_wanted = is_wanted(&self.subscribers, filter);
            if code.is_error() && !is_wanted {
                self.filters.remove(filter);
                continue;
            } else if code.is_error() {
                let is_worse = *code == ReasonCode::NOT_AUTHORIZED || refused.is_none();
                refused = refused.filter(|_| !is_worse).or(Some((filter, *code)));
                state = FilterState::Refused(*code);
            } else if !is_wanted {
                state = FilterState::Unwanted;
            }
            self.filters.insert(filter.clone(), state);
        }
        self.tell_answers();
        refused.map(|(filter, reason)| SubscribeError {
            filter: filter.clone(),
            reason,
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

    /// Messages may have been missed.
    pub fn tell_new_session(&mut self) {
        for one in &mut self.subscribers {
            one.tell(Delivery::NewSession);
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

    /// Gives a message to everybody who wants it. Returns whether there was anybody.
    pub fn deliver(&mut self, message: &Message) -> bool {
        let topic = &message.topic;
        let is_matched = self.subscribers.iter().any(|one| one.wants(topic));
        let mut is_taken = false;
        for one in &mut self.subscribers {
            let is_for_it = match one.interest {
                Interest::Filters(_) => one.wants(topic),
                Interest::Unmatched => !is_matched,
            };
            is_taken |= is_for_it;
            if is_for_it
                && let Some(dropped) = one.give(message.clone())
                && dropped.is_power_of_two()
            {
                let filters = one.filters().to_vec();
                let names = filters.join(", ");
                let names = printable(&names);
                warn!("a subscriber of {names} does not read: {dropped} messages dropped");
                let _ = self.events.send(Event::Overflow { filters, dropped });
            }
        }
        self.unmatched += u64::from(!is_taken);
        if !is_taken && self.unmatched.is_power_of_two() {
            let (topic, count) = (printable(topic), self.unmatched);
            info!("a message on {topic} matches no subscription: {count} so far");
        }
        is_taken
    }

    /// Tells each subscriber what is new in the server's answers to all of its filters.
    fn tell_answers(&mut self) {
        for one in &mut self.subscribers {
            let answer = answer_to(one, &self.filters);
            if answer.is_some() && one.told != answer {
                one.told.clone_from(&answer);
                match answer {
                    Some(Err(refused)) => one.tell(Delivery::Refused(refused)),
                    _ => one.tell(Delivery::Granted),
                };
            }
        }
    }
}

fn is_wanted(subscribers: &[Subscriber], filter: &str) -> bool {
    let mut filters = subscribers.iter().flat_map(Subscriber::filters);
    filters.any(|one| one == filter)
}

/// Whether all filters are granted, if the server has said so. One that the policy denies is the answer at
/// once, for the server may close the connection over it; another refusal is when all are answered.
fn answer_to(
    subscriber: &Subscriber,
    filters: &BTreeMap<String, FilterState>,
) -> Option<Result<(), SubscribeError>> {
    let mut is_complete = true;
    let mut answer = Ok(());
    for filter in subscriber.filters() {
        match filters.get(filter) {
            Some(FilterState::Granted) => {}
            Some(FilterState::Refused(reason)) => {
                let (filter, reason) = (filter.clone(), *reason);
                let error = SubscribeError { filter, reason };
                if error.is_denied() {
                    return Some(Err(error));
                }
                answer = answer.and(Err(error));
            }
            _ => is_complete = false,
        }
    }
    is_complete.then_some(answer)
}
