//! Enforces the policy that is in force, and writes down what it refuses.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use crate::{
    journal::{Event, Journal},
    policy::{Action, Policy},
};

/// Whoever wants to do something asks here. Clones enforce the same policy.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    policy: Arc<RwLock<Policy>>,
    /// The policies of connections whose certificate has one of its own.
    own: Arc<RwLock<BTreeMap<u64, Policy>>>,
    journal: Journal,
}

impl Guard {
    pub(crate) fn new(policy: Policy, journal: Journal) -> Guard {
        Guard {
            policy: Arc::new(RwLock::new(policy)),
            own: Arc::default(),
            journal,
        }
    }

    /// `name` is a client id, a topic or a topic filter.
    pub(crate) fn allows(&self, connection: u64, action: Action, name: &str) -> bool {
        let resource = action.resource(name);
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
        let general = self.policy.read().unwrap_or_else(PoisonError::into_inner);
        let policy = own.get(&connection).unwrap_or(&general);
        let allowed = policy.allows(action, &resource);
        if !allowed {
            self.journal
                .record(connection, Event::Refused { action, resource });
        }
        allowed
    }

    /// From now on, this connection may do what its own policy says; with `None`, what all may.
    pub(crate) fn set_own_policy(&self, connection: u64, policy: Option<Policy>) {
        let mut own = self.own.write().unwrap_or_else(PoisonError::into_inner);
        match policy {
            Some(policy) => drop(own.insert(connection, policy)),
            None => drop(own.remove(&connection)),
        }
    }

    pub(crate) fn set_policy(&self, policy: Policy) {
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = policy;
    }
}
