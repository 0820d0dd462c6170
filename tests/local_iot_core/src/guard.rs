//! Enforces the policy that is in force, and writes down what it refuses.

use std::sync::{Arc, PoisonError, RwLock};

use crate::{
    journal::{Event, Journal},
    policy::{Action, Policy},
};

/// Whoever wants to do something asks here. Clones enforce the same policy.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    policy: Arc<RwLock<Policy>>,
    journal: Journal,
}

impl Guard {
    pub(crate) fn new(policy: Policy, journal: Journal) -> Guard {
        Guard {
            policy: Arc::new(RwLock::new(policy)),
            journal,
        }
    }

    /// `name` is a client id, a topic or a topic filter.
    pub(crate) fn allows(&self, connection: u64, action: Action, name: &str) -> bool {
        let resource = action.resource(name);
        let policy = self.policy.read().unwrap_or_else(PoisonError::into_inner);
        let allowed = policy.allows(action, &resource);
        if !allowed {
            self.journal
                .record(connection, Event::Refused { action, resource });
        }
        allowed
    }

    pub(crate) fn set_policy(&self, policy: Policy) {
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = policy;
    }
}
