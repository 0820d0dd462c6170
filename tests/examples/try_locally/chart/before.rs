//! What came before the first moment that is kept.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::moment::{Kind, Moment};
use super::presigned::json_without_signatures;

/// How things stood when the first moment that is kept happened.
#[derive(Debug, Clone, Serialize)]
pub struct Before {
    /// How many moments were let go.
    pub gone: usize,
    /// The policy that was in force, its placeholders filled in.
    pub policy: Value,
    /// The connections that were open.
    pub open: BTreeSet<u64>,
    /// The job executions, by job ID.
    pub jobs: BTreeMap<String, Value>,
}

impl Before {
    /// Nothing has happened yet.
    pub fn new(policy: &str) -> Before {
        Before {
            gone: 0,
            policy: json_without_signatures(&serde_json::from_str(policy).unwrap_or_default()),
            open: BTreeSet::new(),
            jobs: BTreeMap::new(),
        }
    }

    /// Keeps what a moment that is let go leaves behind.
    pub fn take(&mut self, moment: &Moment) {
        self.gone += 1;
        match moment.kind {
            Kind::Open => {
                self.open.insert(moment.connection);
            }
            Kind::Close => {
                self.open.remove(&moment.connection);
            }
            Kind::Policy => self.policy = moment.policy.clone().unwrap_or_default(),
            Kind::State => {
                let Some(job_id) = &moment.job_id else { return };
                match &moment.execution {
                    Some(execution) if execution["status"] != "REMOVED" => {
                        self.jobs.insert(job_id.clone(), execution.clone());
                    }
                    _ => drop(self.jobs.remove(job_id)),
                }
            }
            _ => {}
        }
    }
}
