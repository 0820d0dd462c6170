//! One connection, from the CONNACK to its end: handles what the clients want, packets from the server,
//! and timers.

use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS as CodecQoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Packet, PingReq, Subscribe, Unsubscribe};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until, timeout};

mod received;

use super::connect::{Limits, lost};
use super::error::{ConnectionError, ConnectionErrorKind as Kind, PublishError};
use super::in_flight::Sent;
use super::options::Options;
use super::publish::{Publish, QoS};
use super::reason::ReasonCode;
use super::session::{Session, ToPublish};
use super::silence::{LastHeard, SECOND_LOOK};
use super::wire::{Wire, WireError};

/// At most this many publishes are in flight: enough for 100 a second at a round trip of 200 ms.
const MAX_IN_FLIGHT: usize = 20;
/// After so many packets that concern nobody, the others on this thread get a turn.
const MOST_IN_A_ROW: usize = 64;
/// What is overdue is looked for among what comes for so long, and no longer.
const LOOK_FOR: Duration = Duration::from_secs(1);

/// A connection that the server has accepted.
pub(super) struct Connection<'a> {
    pub options: &'a Options,
    pub session: &'a mut Session,
    pub heard: &'a LastHeard,
    pub wire: Wire,
    pub limits: Limits,
    /// Since when a PINGRESP is awaited.
    pub pinging: Option<Instant>,
    /// Whether any publish of ours was acknowledged on this connection.
    pub is_answered: bool,
}

/// What is to be done at some time.
#[derive(Debug, Clone, Copy)]
enum Timer {
    Publish,
    Ping,
    RetryRefused,
    /// The answer to this packet is overdue.
    Overdue(&'static str),
}

impl Connection<'_> {
    /// In a resumed session: what the last connection left without an acknowledgement is sent again.
    pub fn resume(&mut self) {
        let wire = &mut self.wire;
        let in_flight = &mut self.session.in_flight;
        let again = in_flight.send_again(|packet| wire.send(&Packet::Publish(packet.clone())));
        self.session.rate.record(again);
    }

    /// Runs until no client wants it any longer (`Ok`), or it ends by itself.
    pub async fn run(&mut self) -> Result<(), ConnectionError> {
        let end = self.exchange().await;
        match &end {
            Ok(()) => {
                // Nobody will resume a session that the next run begins with a clean start.
                let expiry = self.options.clean_start.then_some(0);
                self.wire.disconnect(ReasonCode(0), expiry).await;
            }
            Err(error) if error.kind() == Kind::Violation => {
                let code = error.reason_code().unwrap_or(ReasonCode::PROTOCOL_ERROR);
                self.wire.disconnect(code, None).await;
            }
            Err(_) => {}
        }
        end
    }

    async fn exchange(&mut self) -> Result<(), ConnectionError> {
        loop {
            self.take_packets().await?;
            self.send_what_waits();
            let (at, _) = self.next_timer();
            tokio::select! {
                biased;
                () = sleep_until(at) => self.on_timer().await?,
                is_wanted = self.session.next_command() => if !is_wanted {
                    return Ok(());
                },
                read = self.wire.exchange() => read.map_err(|error| self.lost(error))?,
            }
        }
    }

    /// Takes the packets that have been read whole. Whoever got something may answer before anything
    /// leaves, so that it leaves together; and what a reply brings about is told before an event that
    /// came after it.
    async fn take_packets(&mut self) -> Result<(), ConnectionError> {
        let mut in_a_row = 0;
        while let Some(packet) = self.wire.next_read().map_err(|error| self.lost(error))? {
            let concerns_somebody = self.on_packet(packet)?;
            in_a_row += 1;
            if concerns_somebody || in_a_row == MOST_IN_A_ROW {
                yield_now().await;
                in_a_row = 0;
            }
        }
        Ok(())
    }

    /// Hands over to the wire what may leave now.
    fn send_what_waits(&mut self) {
        self.send_subscribes();
        let Some(ToPublish { publish, done }) = &self.session.next_publish else {
            return;
        };
        if done.is_closed() {
            self.session.next_publish = None; // the caller no longer waits for it
        } else if self.may_publish(publish.qos) && self.session.rate.next() <= Instant::now() {
            self.publish();
        }
    }

    /// Whether the wire and the window have room for a publish.
    fn may_publish(&self, qos: QoS) -> bool {
        let most = MAX_IN_FLIGHT.min(self.limits.receive_maximum.into());
        let is_within = qos == QoS::AtMostOnce || self.session.in_flight.publishes() < most;
        is_within && self.wire.has_room()
    }

    fn publish(&mut self) {
        let Some(ToPublish { publish, done }) = self.session.next_publish.take() else {
            return;
        };
        let qos = publish.qos;
        let id = match qos {
            QoS::AtMostOnce => 0,
            QoS::AtLeastOnce => self.session.in_flight.next_id(),
        };
        let sent = self.is_available(&publish).and_then(|()| {
            let packet = publish.packet(id);
            let sent = self.wire.send(&Packet::Publish(packet.clone()));
            sent.map(|size| (packet, size))
        });
        match (sent, qos) {
            (Err(error), _) => drop(done.send(Err(error))),
            (Ok(_), QoS::AtMostOnce) => drop(done.send(Ok(self.session.number))),
            (Ok((packet, size)), QoS::AtLeastOnce) => {
                let sent = Sent::Publish { packet, done };
                self.session.in_flight.push(id, sent, size);
            }
        }
        self.session.rate.record(1);
    }

    /// Whether the server takes a message like this at all.
    fn is_available(&self, publish: &Publish) -> Result<(), PublishError> {
        let what = if publish.retain && !self.limits.has_retain {
            "to be retained"
        } else if publish.qos == QoS::AtLeastOnce && !self.limits.has_qos_1 {
            "at QoS 1"
        } else {
            return Ok(());
        };
        Err(PublishError::NotAvailable { what })
    }

    /// SUBSCRIBE for what is wanted, UNSUBSCRIBE from what is not.
    fn send_subscribes(&mut self) {
        self.session.subscriptions.refuse_unavailable(&self.limits);
        loop {
            let filters = self.session.subscriptions.next_to_subscribe();
            if filters.is_empty() {
                break;
            }
            let id = self.session.in_flight.next_id();
            let paths = filters.iter();
            let paths = paths.map(|path| Filter::new(path, CodecQoS::AtLeastOnce));
            let mut packet = Subscribe::new_many(paths, None);
            packet.pkid = id;
            let Ok(size) = self.wire.send(&Packet::Subscribe(packet)) else {
                let codes = vec![ReasonCode::PACKET_TOO_LARGE; filters.len()];
                self.on_suback(&filters, &codes);
                continue;
            };
            let sent = Sent::Subscribe { filters };
            self.session.in_flight.push(id, sent, size);
        }
        loop {
            let filters = self.session.subscriptions.next_to_unsubscribe();
            if filters.is_empty() {
                break;
            }
            let id = self.session.in_flight.next_id();
            let packet = Packet::Unsubscribe(Unsubscribe {
                pkid: id,
                filters: filters.clone(),
                properties: None,
            });
            if let Ok(size) = self.wire.send(&packet) {
                let sent = Sent::Unsubscribe { filters };
                self.session.in_flight.push(id, sent, size);
            } // else it stays, and what is sent to it is ignored
        }
    }

    /// What is to be done next, and when.
    fn next_timer(&self) -> (Instant, Timer) {
        let keep_alive = self.limits.keep_alive;
        let (wire, heard, session) = (&self.wire, self.heard, &self.session);
        let next = session.next_publish.as_ref();
        let next = next.filter(|next| self.may_publish(next.publish.qos));
        let for_bytes = session.in_flight.time_for_bytes();
        let overdue = |since, timeout: Duration, packet| {
            let deadline = heard.deadline(since, timeout.saturating_add(for_bytes));
            (deadline, Timer::Overdue(packet))
        };
        let oldest = session.in_flight.oldest();
        let timers = [
            next.map(|_| (session.rate.next(), Timer::Publish)),
            session.retry_at.map(|at| (at, Timer::RetryRefused)),
            oldest.map(|(since, packet)| overdue(since, self.options.ack_timeout, packet)),
            self.pinging
                .map(|since| overdue(since, keep_alive / 2, "PINGREQ")),
            // A dead link takes nothing of what is sent, once its buffers are full.
            (!wire.is_sent()).then(|| (wire.taken_at + keep_alive * 2, Timer::Overdue("PINGREQ"))),
        ];
        // The server wants to hear from us, and we want to know that it is there. Silence in the middle
        // of a packet is asked about sooner: an event may be in it, and everything behind.
        let patience = if wire.has_partial_packet() {
            keep_alive.min(self.options.ack_timeout)
        } else {
            keep_alive
        };
        let mut ping_at = wire.sent_at + keep_alive;
        if self.pinging.is_none() {
            ping_at = ping_at.min(heard.at() + patience);
        }
        let timers = timers.into_iter().flatten();
        timers.fold((ping_at, Timer::Ping), |first, other| {
            if other.0 < first.0 { other } else { first }
        })
    }

    async fn on_timer(&mut self) -> Result<(), ConnectionError> {
        let (at, timer) = self.next_timer();
        if at > Instant::now() {
            return Ok(()); // something has been heard meanwhile
        }
        match timer {
            Timer::Publish => {} // leaves next
            Timer::RetryRefused => {
                self.session.retry_at = None;
                self.session.subscriptions.retry_refused();
            }
            Timer::Ping => {
                self.pinging.get_or_insert_with(Instant::now);
                self.wire.sent_at = Instant::now(); // to a server that takes no packet at all, too
                let _ = self.wire.send(&Packet::PingReq(PingReq));
            }
            Timer::Overdue(packet) => {
                let begun = Instant::now();
                while begun.elapsed() < LOOK_FOR
                    && let Ok(read) = timeout(SECOND_LOOK, self.wire.exchange()).await
                {
                    read.map_err(|error| self.lost(error))?;
                    self.take_packets().await?;
                    let (at, timer) = self.next_timer();
                    if at > begun || !matches!(timer, Timer::Overdue(_)) {
                        return Ok(());
                    }
                }
                let what = format!(
                    "{} did not answer a {packet} in time",
                    self.options.address()
                );
                return Err(ConnectionError::new(Kind::Overdue, what));
            }
        }
        Ok(())
    }

    fn lost(&self, error: WireError) -> ConnectionError {
        lost(self.options, error, true)
    }
}
