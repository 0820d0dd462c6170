//! Faults: what the service can be told to do wrong.

mod breach;
mod names;
mod on;
mod parse;

use std::sync::{Arc, Mutex, PoisonError};

pub use breach::{Breach, breaches};
pub use names::{Fault, names};
pub use on::{On, Times, operations};

use crate::journal::{Event, Journal};

/// The faults that are still to strike. Clones are handles to the same list.
#[derive(Debug, Clone)]
pub struct Faults {
    armed: Arc<Mutex<Vec<(Fault, Times)>>>,
    journal: Journal,
}

impl Faults {
    pub(crate) fn new(journal: Journal) -> Faults {
        Faults {
            armed: Arc::default(),
            journal,
        }
    }

    /// Tells the service to misbehave, the next time that there is an occasion for it.
    pub fn add(&self, fault: Fault, times: Times) {
        self.with_armed(|armed| armed.push((fault, times)));
    }

    /// Tells the service to behave again.
    pub fn clear(&self) {
        self.with_armed(Vec::clear);
    }

    /// The faults that are still to strike.
    pub fn armed(&self) -> Vec<(Fault, Times)> {
        self.with_armed(|armed| armed.clone())
    }

    /// This is an occasion for some faults. `pick` turns each of them into what is to be done;
    /// the first one that is armed strikes, and is used up by one.
    pub(crate) fn strike<T>(
        &self,
        connection: u64,
        pick: impl Fn(&Fault) -> Option<T>,
    ) -> Option<T> {
        let (fault, picked) = self.with_armed(|armed| {
            let mut candidates = armed.iter().enumerate();
            let (index, picked) =
                candidates.find_map(|(index, (fault, _))| Some((index, pick(fault)?)))?;
            let fault = armed[index].0.clone();
            match &mut armed[index].1 {
                Times::Always => {}
                Times::Count(left) if *left > 1 => *left -= 1,
                Times::Once | Times::Count(_) => drop(armed.remove(index)),
            }
            Some((fault, picked))
        })?;
        self.journal
            .record(connection, Event::Fault(fault.to_string()));
        Some(picked)
    }

    /// As [`strike`](Self::strike), for an occasion that fits only this one fault.
    pub(crate) fn strikes(&self, connection: u64, fault: &Fault) -> bool {
        self.strike(connection, |armed| (armed == fault).then_some(()))
            .is_some()
    }

    fn with_armed<T>(&self, act: impl FnOnce(&mut Vec<(Fault, Times)>) -> T) -> T {
        act(&mut self.armed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_used_up() {
        let faults = Faults::new(Journal::new());
        let struck = || faults.strikes(1, &Fault::NoPuback);
        assert!(!struck());
        faults.add(Fault::NoSuback, Times::Always);
        faults.add(Fault::NoPuback, Times::Once);
        faults.add(Fault::NoPuback, Times::Count(2));
        assert!(struck() && struck() && struck());
        assert!(!struck());
        assert_eq!(faults.armed(), [(Fault::NoSuback, Times::Always)]);
        assert_eq!(faults.journal.len(), 3);
        faults.clear();
        assert!(faults.armed().is_empty());
    }
}
