//! The task that owns everything, and goes from one connection to the next.

use std::mem::replace;

use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::connect::connect;
use super::connection::Connection;
use super::error::{ConnectionError, ConnectionErrorKind as Kind};
use super::events::{Event, Status};
use super::options::Options;
use super::reason::ReasonCode;
use super::session::Session;
use super::silence::LastHeard;
use crate::error_class::ErrorClass;

/// After this many short connections in a row that led to nothing, the session is given up: what is in
/// it would end each connection.
const MAX_FUTILE: u32 = 3;

pub(super) struct Task {
    pub options: Options,
    pub session: Session,
    pub heard: LastHeard,
    pub events: broadcast::Sender<Event>,
    pub status: watch::Sender<Status>,
    /// Whether there is a session to resume.
    pub has_session: bool,
    /// Whether a CONNECT left since the last CONNACK came: it may have begun a session in place of ours,
    /// which the next CONNACK then calls present, and in which nothing is subscribed to.
    pub is_in_doubt: bool,
    /// Short connections in a row on which the server broke the rules, or acknowledged nothing.
    pub futile: u32,
}

impl Task {
    pub async fn run(mut self) {
        let outcome = self.reconnect_loop().await;
        self.emit(Event::Ended(outcome)); // before anybody else can know that it is over
        self.session.in_flight.clear();
    }

    async fn reconnect_loop(&mut self) -> Result<(), ConnectionError> {
        let (begun, mut backoff) = (Instant::now(), self.options.backoff.clone());
        loop {
            let Err((error, was_stable)) = self.run_connection().await else {
                return Ok(()); // as asked
            };
            self.status.send_modify(|status| status.online = false);
            self.session.has_worked |= was_stable;
            let may_pass = match error.class() {
                ErrorClass::Transient => true,
                ErrorClass::Misconfigured => {
                    self.session.has_worked || begun.elapsed() < self.options.patience
                }
                ErrorClass::Permanent => false,
            };
            if !may_pass {
                return Err(error);
            }
            if was_stable {
                backoff.reset();
            }
            let wait = backoff.wait(error.needs_operator() && self.session.has_worked);
            let tries = backoff.failures();
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

    /// From the connect to the end of one connection: as asked, or why, and whether it was stable.
    async fn run_connection(&mut self) -> Result<(), (ConnectionError, bool)> {
        let connected = tokio::select! {
            biased;
            () = self.session.until_disconnect() => return Ok(()),
            connected = connect(
                &self.options,
                !self.has_session,
                &self.heard,
                &mut self.is_in_doubt,
            ) => connected,
        };
        let (wire, limits, session_present) = connected.map_err(|error| (error, false))?;
        self.on_connack(session_present);
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
        let is_answered = connection.is_answered;
        self.session.connection_lost();
        end.map_err(|error| {
            let was_stable = connected_at.elapsed() >= self.options.stable_after;
            self.judge_session(&error, was_stable, is_answered);
            (error, was_stable)
        })
    }

    fn on_connack(&mut self, session_present: bool) {
        info!(session_present, "connected");
        let mut status = *self.status.borrow();
        let is_in_doubt = replace(&mut self.is_in_doubt, false);
        if !session_present {
            self.session.begin_anew();
        } else if is_in_doubt {
            self.session.subscriptions.forget(); // to subscribe again does no harm
        }
        if !session_present || is_in_doubt || status.sessions == 0 {
            status.sessions += 1; // one that an earlier run left is new to us as well
        }
        self.has_session = true;
        (status.online, status.connections) = (true, status.connections + 1);
        self.status.send_replace(status);
        self.emit(Event::Connected { session_present });
    }

    /// Gives the session up if what is in it ends every connection: at once where the server says so,
    /// else after a few that led to nothing.
    fn judge_session(&mut self, error: &ConnectionError, was_stable: bool, is_answered: bool) {
        let is_ignored = !self.session.in_flight.is_empty() && !is_answered;
        if !was_stable && (error.kind() == Kind::Violation || is_ignored) {
            self.futile += 1;
        } else {
            self.futile = 0;
        }
        if self.futile >= MAX_FUTILE || poisons_session(error) {
            self.futile = 0;
            self.has_session = false;
            self.session.begin_anew();
        }
    }

    fn emit(&self, event: Event) {
        let _ = self.events.send(event); // there may be no listener
    }
}

/// Whether the server does not take a packet of ours: in this session, it would be sent forever.
fn poisons_session(error: &ConnectionError) -> bool {
    use ReasonCode as R;
    error.kind() == Kind::Disconnected
        && matches!(
            error.reason_code(),
            Some(
                R::MALFORMED_PACKET
                    | R::PROTOCOL_ERROR
                    | R::TOPIC_NAME_INVALID
                    | R::PACKET_TOO_LARGE
                    | R::PAYLOAD_FORMAT_INVALID
            )
        )
}
