//! Locks for one thread.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes a lock. Who panicked while holding it has failed the run anyway.
pub fn lock<T: ?Sized>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
