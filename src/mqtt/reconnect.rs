//! The task that owns everything, and goes from one connection to the next.

use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::backoff::Backoff;
use super::connect::{introduce, open};
use super::connection::Connection;
use super::error::{ConnectionError, ConnectionErrorKind as Kind};
use super::events::{Event, Status};
use super::options::Options;
use super::session::Session;
use super::silence::LastHeard;
use crate::error_class::ErrorClass;

/// After this many connections in a row that led to nothing, the session is given up: what is in
/// it would end each connection.
const MAX_UNPRODUCTIVE: u32 = 3;

pub(super) struct Task {
    pub options: Options,
    pub backoff: Backoff,
    pub session: Session,
    pub kept: Kept,
    pub heard: LastHeard,
    pub events: broadcast::Sender<Event>,
    pub status: watch::Sender<Status>,
    /// Connections in a row on which the server acknowledged no publish, or soon broke the rules.
    pub unproductive: u32,
}

/// What the server may have kept of our session.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kept {
    Nothing,
    Session,
    /// A CONNECT left, and no answer came. It may have begun a session in place of ours, which the next
    /// CONNACK then calls present, and in which nothing is subscribed to.
    Unknown,
}

impl Task {
    pub async fn run(mut self) {
        let outcome = self.reconnect_loop().await;
        self.emit(Event::Ended(outcome)); // before anybody else can know that it is over
        self.session.in_flight.clear();
    }

    /// Connects again and again, until it is to end (`Ok`) or waiting is of no use.
    async fn reconnect_loop(&mut self) -> Result<(), ConnectionError> {
        let begun = Instant::now();
        loop {
            let ended = self.run_connection().await;
            self.status
                .send_modify(|status| status.is_connected = false);
            let Err(error) = ended else {
                return Ok(());
            };
            let needs_operator = error.class() == ErrorClass::Misconfigured;
            let is_mistake = needs_operator
                && !self.session.has_worked
                && begun.elapsed() >= self.options.patience;
            if is_mistake || error.class() == ErrorClass::Permanent {
                return Err(error);
            }
            let wait = self.backoff.wait(needs_operator && self.session.has_worked);
            let tries = self.backoff.failures();
            if self.options.max_tries.is_some_and(|most| most <= tries) {
                return Err(error.after(tries));
            }
            warn!(?wait, tries, "{error}");
            self.emit(Event::Interrupted { error, wait });
            tokio::select! {
                biased;
                () = self.session.until_disconnect() => return Ok(()),
                () = sleep(wait) => {}
            }
        }
    }

    /// From the connect to the end of one connection: as asked (`Ok`), or why.
    async fn run_connection(&mut self) -> Result<(), ConnectionError> {
        let opened = tokio::select! {
            biased;
            () = self.session.until_disconnect() => return Ok(()),
            opened = open(&self.options, &self.heard) => opened,
        };
        let mut wire = opened?;
        let kept = self.kept;
        if kept == Kept::Session {
            self.kept = Kept::Unknown;
        }
        let clean_start = kept == Kept::Nothing;
        let introduced = tokio::select! {
            biased;
            () = self.session.until_disconnect() => return Ok(()),
            introduced = introduce(&mut wire, &self.options, clean_start, &self.heard) => introduced,
        };
        let (limits, session_present) = introduced.inspect_err(|error| {
            if error.kind() == Kind::Refused {
                self.kept = kept; // it has its answer
            }
        })?;
        if let Some(client_id) = &limits.client_id {
            self.options.client_id.clone_from(client_id);
        }
        self.on_connack(session_present, kept);
        let connected_at = Instant::now();
        let mut connection = Connection {
            options: &self.options,
            session: &mut self.session,
            heard: &self.heard,
            wire,
            limits,
            pinging: None,
            is_answered: false,
        };
        if session_present {
            connection.resume();
        }
        let end = connection.run().await;
        let is_ignored = !connection.is_answered && self.session.in_flight.publishes() > 0;
        self.session.connection_lost();
        let Err(error) = end else {
            return Ok(());
        };
        let is_stable = connected_at.elapsed() >= self.options.stable_after;
        if is_stable {
            self.backoff.reset();
            self.session.has_worked = true;
        }
        if is_ignored || !is_stable && error.kind() == Kind::Violation {
            self.unproductive += 1;
        } else {
            self.unproductive = 0;
        }
        if self.unproductive >= MAX_UNPRODUCTIVE {
            self.unproductive = 0;
            self.kept = Kept::Nothing;
            self.session.begin_anew();
        }
        Err(error)
    }

    /// The server has accepted the connection. `kept` is what we thought that it had of our session.
    fn on_connack(&mut self, session_present: bool, kept: Kept) {
        info!(session_present, "connected");
        let session = &mut self.session;
        let had_session = session.number > 0;
        let is_replaced = session_present && kept == Kept::Unknown;
        if !session_present {
            session.begin_anew();
        } else if is_replaced {
            session.subscriptions.forget(); // to subscribe again does no harm
        }
        if !session_present || is_replaced || !had_session {
            session.number += 1; // one that an earlier run left is new to us as well
            if had_session {
                session.subscriptions.tell_new_session();
            }
        }
        self.kept = Kept::Session;
        let sessions = session.number;
        self.status.send_modify(|status| {
            status.is_connected = true;
            status.connections += 1;
            status.sessions = sessions;
        });
        self.emit(Event::Connected { session_present });
    }

    fn emit(&self, event: Event) {
        let _ = self.events.send(event); // there may be no listener
    }
}
