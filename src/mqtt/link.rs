//! The task that owns the connection, and goes from one to the next.
//!
//! rumqttc's `EventLoop::poll` must not be cancelled while it works, so it has this task to itself.
//! What rumqttc leaves to us is here: backoff, time limits for acknowledgements and PINGRESP, and a
//! tidy queue for the next connection.

use std::sync::Arc;
use std::time::Duration;

use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::v5::{ConnAck, Packet, Publish};
use rumqttc::v5::{AsyncClient, ConnectionError, EventLoop, Request};
use tokio::sync::{broadcast, watch};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, info, warn};

use super::failure::{is_hopeless, is_unreadable, no_answer};
use super::outbox::Outbox;
use super::pace::Pace;
use super::setup::{SHORTEST_KEEP_ALIVE, new_session};
use super::{Backoff, Event, Failure, Message, Options, Status, SubscribeError};

/// A DISCONNECT that can't be sent in this time is left unsaid.
const FAREWELL_LIMIT: Duration = Duration::from_secs(1);
/// After this many short connections in a row that were in vain, the session is given up: its packets
/// would end each connection, for ever.
const IN_VAIN_LIMIT: u32 = 3;

pub(super) struct Link {
    options: Options,
    requests: AsyncClient,
    event_loop: EventLoop,
    outbox: Arc<Outbox>,
    pace: Arc<Pace>,
    events: broadcast::Sender<Event>,
    status: watch::Sender<Status>,
    stop: watch::Receiver<bool>,
    /// When the connection under way was accepted.
    connected_at: Option<Instant>,
    /// Since when a PINGRESP is awaited.
    pinging: Option<Instant>,
    /// Since when a DISCONNECT waits to be sent.
    leaving: Option<Instant>,
    /// Short connections in a row that ended with a packet that can't be read, or before anything of
    /// ours was acknowledged.
    in_vain: u32,
    /// The waits before filters that were refused are asked for again, and the one under way: what
    /// several SUBACKs refuse is asked for together, or the waits would multiply.
    refusals: Backoff,
    asking_again: Option<JoinHandle<()>>,
}

impl Link {
    pub fn new(
        options: Options,
        events: broadcast::Sender<Event>,
        status: watch::Sender<Status>,
        stop: watch::Receiver<bool>,
        pace: Arc<Pace>,
    ) -> (Self, Arc<Outbox>) {
        let (requests, event_loop) = new_session(&options);
        let outbox = Arc::new(Outbox::new(requests.clone()));
        let link = Self {
            refusals: options.backoff.clone(),
            asking_again: None,
            options,
            requests,
            event_loop,
            outbox: Arc::clone(&outbox),
            pace,
            events,
            status,
            stop,
            connected_at: None,
            pinging: None,
            leaving: None,
            in_vain: 0,
        };
        (link, outbox)
    }

    /// Connects, and connects again, until it is over.
    pub async fn run(mut self) {
        let outcome = self.keep_up().await;
        self.tell(Event::Ended(outcome)); // before anybody else can know that it is over
        self.outbox.forget(self.requests.clone(), None);
        self.outbox.subscriptions(|all| all.end());
    }

    async fn keep_up(&mut self) -> Result<(), Failure> {
        let mut backoff = self.options.backoff.clone();
        let mut has_worked = false;
        loop {
            let Err(failure) = self.one_connection().await else {
                return Ok(()); // as asked
            };
            let was_stable = self.is_stable();
            self.connected_at = None;
            self.status.send_modify(|status| status.online = false);
            has_worked |= was_stable || self.outbox.has_worked();
            if !failure.is_passing(has_worked) {
                return Err(failure);
            }
            if was_stable {
                backoff.reset();
            }
            let wait = backoff.wait(failure.wants_long_waits());
            let tries = backoff.failures();
            if self.options.tries.is_some_and(|most| most <= tries) {
                return Err(failure.after(tries));
            }
            warn!(?wait, tries, "{failure}");
            self.tell(Event::Interrupted { failure, wait });
            tokio::select! {
                () = sleep(wait) => {}
                _ = self.stop.wait_for(|stop| *stop) => return Ok(()),
            }
        }
    }

    /// From the connect to the end of one connection: as asked, or of itself.
    async fn one_connection(&mut self) -> Result<(), Failure> {
        let end = loop {
            let deadline = self.deadline();
            let event = tokio::select! {
                event = self.event_loop.poll() => event,
                // From here on, each branch gives this connection up, or is about to: so it does no
                // harm that it cancels `poll`.
                packet = overdue(deadline) => match self.leaving {
                    Some(_) => break Ok(()),
                    None => break Err(no_answer(packet, &self.options)),
                },
                _ = self.stop.wait_for(|stop| *stop), if self.leaving.is_none() => {
                    if self.connected_at.is_none() || self.requests.try_disconnect().is_err() {
                        break Ok(());
                    }
                    self.leaving = Some(Instant::now());
                    continue;
                }
            };
            match event {
                Ok(rumqttc::v5::Event::Outgoing(Outgoing::Disconnect))
                    if self.leaving.is_some() =>
                {
                    break Ok(());
                }
                Ok(event) => self.take(event).await,
                Err(error) => break self.fail(error).await,
            }
        };
        self.outbox.close();
        self.tidy_up();
        end
    }

    /// When the first answer that is waited for is overdue, and the packet that it should answer.
    fn deadline(&self) -> Option<(Instant, &'static str)> {
        let keep_alive = self.event_loop.options.keep_alive();
        let after = |since: Option<Instant>, limit, packet| since.map(|at| (at + limit, packet));
        // `poll` returns once per keep alive, unless a dead link takes nothing of what it has to send.
        let polled = self.connected_at.map(|_| Instant::now());
        let (sent, packet) = self.outbox.oldest().unzip();
        [
            after(polled, keep_alive * 2, "PINGREQ"),
            after(self.leaving, FAREWELL_LIMIT, "DISCONNECT"),
            after(self.pinging, keep_alive / 2, "PINGREQ"),
            after(sent, self.options.ack_limit, packet.unwrap_or_default()),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Takes what happened on the connection.
    async fn take(&mut self, event: rumqttc::v5::Event) {
        use rumqttc::v5::Event::{Incoming, Outgoing as Sent};
        match event {
            Incoming(Packet::ConnAck(connack)) => self.welcome(&connack),
            Incoming(Packet::SubAck(suback)) => match self.outbox.subscribed(&suback) {
                None => self.refusals.reset(),
                Some(refused) => self.ask_again_later(&refused),
            },
            Incoming(Packet::UnsubAck(unsuback)) => self.outbox.unsubscribed(unsuback.pkid),
            Incoming(Packet::PubAck(puback)) => self.outbox.published(puback.pkid, puback.reason),
            Incoming(Packet::PingResp(_)) => self.pinging = None,
            Incoming(Packet::Publish(publish)) => self.deliver(publish).await,
            Sent(Outgoing::Publish(id) | Outgoing::Subscribe(id) | Outgoing::Unsubscribe(id)) => {
                self.outbox.sent(id);
            }
            Sent(Outgoing::PingReq) => self.pinging = Some(Instant::now()),
            _ => {}
        }
    }

    /// CONNACK: from here on, packets leave; in a new session, the SUBSCRIBE is the first.
    fn welcome(&mut self, connack: &ConnAck) {
        let session_present = connack.session_present;
        info!(session_present, "connected");
        self.connected_at = Some(Instant::now());
        self.pinging = None;
        self.event_loop.options.set_clean_start(false); // from now on, we have a session to resume
        let limits = connack.properties.as_ref();
        if limits.and_then(|limits| limits.server_keep_alive) == Some(0) {
            // The server wants no keep alive. rumqttc would take that for a ping without pause.
            let keep_alive = self.options.keep_alive.max(SHORTEST_KEEP_ALIVE);
            self.event_loop.options.set_keep_alive(keep_alive);
        }
        let mut status = *self.status.borrow();
        (status.online, status.connections) = (true, status.connections + 1);
        if session_present {
            self.pace.spend(self.event_loop.pending.len() as u32);
        } else {
            let receive_maximum = limits.and_then(|limits| limits.receive_max);
            self.outbox.forget(self.requests.clone(), receive_maximum);
            status.sessions += 1;
        }
        self.outbox
            .open(limits.and_then(|limits| limits.max_packet_size));
        self.status.send_replace(status);
        self.tell(Event::Connected { session_present });
    }

    /// A filter was refused: it is asked for again, in a while if somebody has to change the policy.
    fn ask_again_later(&mut self, refused: &SubscribeError) {
        let under_way = self.asking_again.as_ref();
        if under_way.is_some_and(|waiting| !waiting.is_finished()) {
            return;
        }
        let wait = self.refusals.wait(refused.denied);
        warn!(?wait, "{refused}");
        let outbox = Arc::clone(&self.outbox);
        self.asking_again = Some(tokio::spawn(async move {
            sleep(wait).await;
            outbox.subscriptions(|all| all.retry_refused());
        }));
    }

    /// A message for somebody.
    async fn deliver(&mut self, publish: Publish) {
        let Ok(topic) = String::from_utf8(publish.topic.to_vec()) else {
            debug!("ignored a message whose topic is not UTF-8");
            return;
        };
        let payload = publish.payload;
        self.outbox.deliver(&Message { topic, payload });
        yield_now().await; // more may come at once, and those who read shall have room for it
    }

    fn tell(&self, event: Event) {
        let _ = self.events.send(event); // there may be no listener
    }

    /// Takes the error that ends this connection, after what still came before it.
    async fn fail(&mut self, error: ConnectionError) -> Result<(), Failure> {
        while let Some(event) = self.event_loop.state.events.pop_front() {
            self.take(event).await;
        }
        if self.leaving.is_some() {
            return Ok(());
        }
        let online = self.connected_at.is_some();
        if online {
            let in_vain = is_unreadable(&error) || self.outbox.is_ignored();
            self.in_vain = match in_vain && !self.is_stable() {
                true => self.in_vain + 1,
                false => 0,
            };
        }
        if is_hopeless(&error) || self.in_vain >= IN_VAIN_LIMIT {
            // To resume this session would fail in the same way, so a new one is begun.
            self.in_vain = 0;
            (self.requests, self.event_loop) = new_session(&self.options);
            self.outbox.forget(self.requests.clone(), None);
        }
        Err(Failure::of(&error, &self.options, online))
    }

    /// Whether the connection under way has lasted long enough.
    fn is_stable(&self) -> bool {
        let stable_after = self.options.stable_after;
        self.connected_at
            .is_some_and(|since| since.elapsed() >= stable_after)
    }

    /// Leaves rumqttc's queue as the next connection needs it: first what was sent and not
    /// acknowledged, marked as a duplicate (MQTT5, section 4.4), then what was never sent.
    fn tidy_up(&mut self) {
        self.pinging = None;
        self.event_loop.clean();
        let pending = self.event_loop.pending.drain(..);
        // (A SUBSCRIBE is made anew where it is needed.)
        let (again, first_time): (Vec<_>, Vec<_>) = pending
            .filter_map(|request| match request {
                Request::Publish(publish) => Some(publish),
                _ => None,
            })
            .partition(|publish| publish.pkid != 0);
        let again = again.into_iter().map(|publish| Publish {
            dup: true,
            ..publish
        });
        let all = again.chain(first_time).map(Request::Publish);
        self.event_loop.pending = all.collect();
    }
}

/// Waits for the deadline, for ever without one; returns the packet that was not answered.
async fn overdue(deadline: Option<(Instant, &'static str)>) -> &'static str {
    match deadline {
        Some((at, packet)) => {
            sleep_until(at).await;
            packet
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::failure::tests::options;

    #[tokio::test]
    async fn a_connection_that_takes_nothing_is_given_up_after_two_keep_alives() {
        let (events, status) = (broadcast::channel(1).0, watch::Sender::default());
        let (_stop, stopped) = watch::channel(false);
        let pace = Arc::new(Pace::new());
        let (mut link, _) = Link::new(options("localhost"), events, status, stopped, pace);
        assert_eq!(link.deadline(), None); // the connect has a limit of its own
        let now = Instant::now();
        link.connected_at = Some(now);
        let (at, packet) = link.deadline().unwrap();
        assert_eq!(packet, "PINGREQ");
        assert!(at >= now + link.options.keep_alive * 2);
        link.pinging = Some(now);
        let (at, _) = link.deadline().unwrap();
        assert_eq!(at, now + link.options.keep_alive / 2);
    }
}
