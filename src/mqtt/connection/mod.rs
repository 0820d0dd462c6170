//! One connection, from the CONNACK to its end. Whatever happens on it comes by here: wishes of the
//! clients, packets from the server, and time.

use rumqttc::v5::mqttbytes::QoS as CodecQoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Packet, PingReq, Subscribe, Unsubscribe};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

mod received;

use super::connect::Limits;
use super::decode::Violation;
use super::error::{ConnectionError, PublishError};
use super::failure::Server;
use super::in_flight::Sent;
use super::options::Options;
use super::publish::QoS;
use super::reason::ReasonCode;
use super::session::{Session, ToPublish};
use super::silence::LastHeard;
use super::wire::{TooLarge, Wire, WireError};

/// At most this many publishes are in flight: enough for 100 a second at a round trip of 200 ms.
const MAX_IN_FLIGHT: usize = 20;
/// After so many messages, those who read them get a turn: they have room for 64.
const MESSAGES_AT_ONCE: usize = 32;
/// Whoever got something may answer before anything leaves, so that it leaves together. Some hand it
/// on to another task first.
const TURNS_TO_ANSWER: usize = 3;

/// A connection that the server has accepted.
pub(super) struct Connection<'a> {
    pub options: &'a Options,
    pub session: &'a mut Session,
    pub heard: &'a LastHeard,
    pub wire: Wire,
    pub limits: Limits,
    /// Since when a PINGRESP is awaited.
    pub pinging: Option<Instant>,
    /// Whether anything of ours was acknowledged on this connection.
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

/// What ends a connection.
enum End {
    Error(ConnectionError),
    Violation(Violation),
}

impl From<Violation> for End {
    fn from(fault: Violation) -> Self {
        Self::Violation(fault)
    }
}

impl Connection<'_> {
    /// In a resumed session: what the last connection left without an acknowledgement is sent again.
    pub fn resume(&mut self) {
        let wire = &mut self.wire;
        let again = self.session.in_flight.send_again(|packet| {
            let sent = wire.send(&Packet::Publish(packet.clone()));
            sent.map_err(PublishError::from)
        });
        self.session.rate.record(again);
    }

    /// Runs until no client wants it any longer (`Ok`), or it ends by itself.
    pub async fn run(&mut self) -> Result<(), ConnectionError> {
        let (code, end) = match self.exchange().await {
            Ok(()) => {
                // Nobody will resume a session that the next run begins with a clean start.
                let expiry = self.options.clean_start.then_some(0);
                self.wire.disconnect(ReasonCode(0), expiry).await;
                return Ok(());
            }
            Err(End::Error(error)) => return Err(error),
            Err(End::Violation(fault)) => (fault.code, Server::of(self.options).violation(fault)),
        };
        self.wire.disconnect(code, None).await;
        Err(end)
    }

    async fn exchange(&mut self) -> Result<(), End> {
        loop {
            self.take_packets().await?;
            self.send_what_waits();
            let (at, _) = self.next_timer();
            tokio::select! {
                biased;
                () = sleep_until(at) => self.on_timer()?,
                is_wanted = self.session.next_wish() => if !is_wanted {
                    return Ok(());
                },
                read = self.wire.exchange() => read.map_err(|error| self.lost(error))?,
            }
        }
    }

    /// Takes the packets that have been read whole.
    async fn take_packets(&mut self) -> Result<(), End> {
        let mut taken = 0;
        while let Some(packet) = self.wire.next_read().map_err(|error| self.lost(error))? {
            self.on_packet(packet)?;
            taken += 1;
            if taken % MESSAGES_AT_ONCE == 0 {
                yield_now().await;
            }
        }
        if taken > 0 {
            for _ in 0..TURNS_TO_ANSWER {
                yield_now().await;
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
            self.session.next_publish = None; // whoever asked wants it no longer
        } else if self.may_publish(publish.qos) && self.session.rate.next() <= Instant::now() {
            self.publish();
        }
    }

    /// Whether the window has room for a publish.
    fn may_publish(&self, qos: QoS) -> bool {
        let most = MAX_IN_FLIGHT.min(self.limits.receive_maximum.into());
        qos == QoS::AtMostOnce || self.session.in_flight.publishes() < most
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
        let packet = publish.packet(id);
        let (size, sent) = self.send(Packet::Publish(packet.clone()));
        match (sent, qos) {
            (Err(error), _) => drop(done.send(Err(error.into()))),
            (Ok(()), QoS::AtMostOnce) => drop(done.send(Ok(()))),
            (Ok(()), QoS::AtLeastOnce) => {
                let sent = Sent::Publish { packet, done };
                self.session.in_flight.push(id, sent, size);
            }
        }
        self.session.rate.record(1);
    }

    /// SUBSCRIBE for what is wanted, UNSUBSCRIBE from what is not.
    fn send_subscribes(&mut self) {
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
            let (size, sent) = self.send(Packet::Subscribe(packet));
            if sent.is_err() {
                let codes = vec![ReasonCode::PACKET_TOO_LARGE; filters.len()];
                self.on_suback(&filters, &codes);
                continue;
            }
            let sent = Sent::Subscribe { filters };
            self.session.in_flight.push(id, sent, size);
        }
        loop {
            let filters = self.session.subscriptions.next_to_unsubscribe();
            if filters.is_empty() {
                break;
            }
            let id = self.session.in_flight.next_id();
            let (size, sent) = self.send(Packet::Unsubscribe(Unsubscribe {
                pkid: id,
                filters: filters.clone(),
                properties: None,
            }));
            if sent.is_ok() {
                let sent = Sent::Unsubscribe { filters };
                self.session.in_flight.push(id, sent, size);
            } // else it stays, and what is sent to it is ignored
        }
    }

    fn send(&mut self, packet: Packet) -> (usize, Result<(), TooLarge>) {
        (packet.size(), self.wire.send(&packet))
    }

    /// What is to be done next, and when.
    fn next_timer(&self) -> (Instant, Timer) {
        let keep_alive = self.limits.keep_alive;
        let (wire, heard, session) = (&self.wire, self.heard, &self.session);
        let next = session.next_publish.as_ref();
        let next = next.filter(|next| self.may_publish(next.publish.qos));
        let timers = [
            next.map(|_| (session.rate.next(), Timer::Publish)),
            session.retry_at.map(|at| (at, Timer::RetryRefused)),
            session.in_flight.oldest().map(|(since, packet, more)| {
                let timeout = self.options.ack_timeout + more;
                (heard.deadline(since, timeout), Timer::Overdue(packet))
            }),
            // A dead link takes nothing of what is sent, once its buffers are full.
            (!wire.is_sent()).then(|| (wire.taken_at + keep_alive * 2, Timer::Overdue("PINGREQ"))),
        ];
        // The server wants to hear from us, and we want to know that it is there.
        // Silence amid a packet is asked about sooner: an event may be in it, and everything behind.
        let patience = if wire.is_amid_packet() {
            keep_alive.min(self.options.ack_timeout)
        } else {
            keep_alive
        };
        let ping = match self.pinging {
            Some(since) => (
                heard.deadline(since, keep_alive / 2),
                Timer::Overdue("PINGREQ"),
            ),
            None => (
                (wire.sent_at + keep_alive).min(heard.at() + patience),
                Timer::Ping,
            ),
        };
        let timers = timers.into_iter().flatten();
        timers.fold(
            ping,
            |first, other| if other.0 < first.0 { other } else { first },
        )
    }

    fn on_timer(&mut self) -> Result<(), End> {
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
                self.pinging = Some(Instant::now());
                let _ = self.wire.send(&Packet::PingReq(PingReq)); // it is never too large
            }
            Timer::Overdue(packet) => {
                return Err(End::Error(Server::of(self.options).overdue(packet)));
            }
        }
        Ok(())
    }

    fn lost(&self, error: WireError) -> End {
        let server = Server::of(self.options);
        match error {
            WireError::Closed => End::Error(server.closed()),
            WireError::Io(error) => End::Error(server.broken(error, true)),
            WireError::Violation(fault) => End::Violation(fault),
        }
    }
}

impl From<TooLarge> for PublishError {
    fn from(TooLarge { size, limit }: TooLarge) -> Self {
        Self::TooLarge { size, limit }
    }
}
