//! Looks names up, and remembers what came of it.

use std::collections::HashMap;
use std::io;
use std::mem::replace;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::text::panic_message;

/// Finds the addresses of a name, and may block for as long as it takes.
type Resolve = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// A name whose addresses are remembered gets so long to be looked up, before those are tried.
const LOOKUP_FIRST: Duration = Duration::from_millis(250);

/// The names that were looked up.
///
/// A resolver can't be interrupted, and takes as long as its own settings say: 30 seconds and more. So it
/// has a thread of its own, which is one at most for each name. What it brings late serves the next try.
pub(super) struct Names {
    resolve: Arc<Resolve>,
    known: Mutex<HashMap<(String, u16), watch::Sender<Known>>>,
}

/// What is known of a name.
#[derive(Default)]
struct Known {
    /// Its addresses, by the last look-up that found some.
    addresses: Vec<SocketAddr>,
    /// Why the last one found none.
    error: Option<String>,
    is_looking: bool,
}

impl Known {
    fn answered(&mut self, answer: io::Result<Vec<SocketAddr>>) {
        self.is_looking = false;
        match answer {
            Ok(found) => (self.addresses, self.error) = (found, None),
            Err(error) => self.error = Some(error.to_string()),
        }
    }
}

impl Names {
    pub fn resolved_by(resolve: Arc<Resolve>) -> Self {
        let known = Mutex::default();
        Self { resolve, known }
    }

    /// The addresses of a host: those that it has; if that can't be told soon, those that it had.
    ///
    /// # Errors
    /// If it never had any that we know of, and none are found within the limit.
    pub async fn addresses(
        &self,
        host: &str,
        port: u16,
        limit: Duration,
    ) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let name = self.look_up(host, port);
        let is_known = !name.borrow().addresses.is_empty();
        let limit = if is_known { LOOKUP_FIRST } else { limit };
        let mut answer = name.subscribe();
        let _ = timeout(limit, answer.wait_for(|known| !known.is_looking)).await;
        let known = name.borrow();
        match &known.error {
            _ if !known.addresses.is_empty() => {}
            _ if known.is_looking => return Err(io::Error::other("no name server answered")),
            Some(error) => return Err(io::Error::other(error.clone())),
            None => {} // it has none
        }
        Ok(known.addresses.clone())
    }

    /// Begins to look a name up, unless somebody does already.
    fn look_up(&self, host: &str, port: u16) -> watch::Sender<Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let name = known.entry((host.to_owned(), port)).or_default().clone();
        drop(known);
        let begins = name.send_if_modified(|known| !replace(&mut known.is_looking, true));
        if begins {
            let (resolve, answer) = (Arc::clone(&self.resolve), name.clone());
            let host = host.to_owned();
            let looking = move || {
                let found = catch_unwind(AssertUnwindSafe(|| resolve(&host, port)));
                let found = found.unwrap_or_else(|panic| {
                    Err(io::Error::other(panic_message(&*panic).to_string()))
                });
                answer.send_modify(|known| known.answered(found));
            };
            // (tokio's own look-up panics where the system has no thread to give.)
            if let Err(error) = thread::Builder::new().spawn(looking) {
                let error = format!("the system has no thread to look it up ({error})");
                name.send_modify(|known| known.answered(Err(io::Error::other(error))));
            }
        }
        name
    }
}
