//! The task that owns the connection, and goes from one to the next.
//!
//! rumqttc's `EventLoop::poll` must not be cancelled while it works, so it has this task to itself.
//! What rumqttc leaves to us is here: backoff, time limits for acknowledgements and PINGRESP, the
//! SUBSCRIBE of a new session, and a tidy state for the next connection.

use std::sync::Arc;
use std::time::Duration;

use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::v5::{ConnAck, Filter, Packet, Publish, SubAck};
use rumqttc::v5::mqttbytes::{Error as CodecError, QoS};
use rumqttc::v5::{AsyncClient, ConnectionError, EventLoop, Request, StateError};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, info, warn};

use super::outbox::Outbox;
use super::pace::Pace;
use super::setup::{SHORTEST_KEEP_ALIVE, new_session};
use super::{Event, Failure, Options, Status, subscription};

/// A DISCONNECT that can't be sent in this time is left unsaid.
const FAREWELL_LIMIT: Duration = Duration::from_secs(1);

pub(super) struct Link {
    options: Options,
    requests: AsyncClient,
    event_loop: EventLoop,
    outbox: Arc<Outbox>,
    pace: Arc<Pace>,
    events: mpsc::Sender<Event>,
    status: watch::Sender<Status>,
    stop: watch::Receiver<bool>,
    /// When the connection under way was accepted.
    connected_at: Option<Instant>,
    /// Whether the server has granted the filters in the session that it keeps for us.
    subscribed: bool,
    /// How many sessions the server has begun for us.
    sessions: u64,
    /// The largest packet that the server takes, in bytes. `None`: any.
    max_packet_size: Option<u32>,
    /// Since when a SUBACK is awaited.
    subscribing: Option<Instant>,
    /// Since when a PINGRESP is awaited.
    pinging: Option<Instant>,
    /// Since when a DISCONNECT waits to be sent.
    leaving: Option<Instant>,
}

/// How a connection ended.
enum End {
    /// As asked.
    Stopped,
    /// Of itself.
    Failed(Failure),
}

impl Link {
    pub fn new(
        options: Options,
        events: mpsc::Sender<Event>,
        status: watch::Sender<Status>,
        stop: watch::Receiver<bool>,
        pace: Arc<Pace>,
    ) -> (Self, Arc<Outbox>) {
        let (requests, event_loop) = new_session(&options);
        let outbox = Arc::new(Outbox::new(requests.clone()));
        let link = Self {
            options,
            requests,
            event_loop,
            outbox: Arc::clone(&outbox),
            pace,
            events,
            status,
            stop,
            connected_at: None,
            subscribed: false,
            sessions: 0,
            max_packet_size: None,
            subscribing: None,
            pinging: None,
            leaving: None,
        };
        (link, outbox)
    }

    /// Connects, and connects again, until it is over.
    pub async fn run(mut self) {
        let outcome = self.keep_up().await;
        self.outbox.forget(self.requests.clone()); // nobody waits for what can't come any more
        let _ = self.events.send(Event::Ended(outcome)).await;
    }

    async fn keep_up(&mut self) -> Result<(), Failure> {
        let mut backoff = self.options.backoff.clone();
        let mut was_connected = false;
        loop {
            let end = self.one_connection().await;
            let lasted = self.connected_at.take().map(|since| since.elapsed());
            self.status.send_modify(|status| status.online = false);
            let failure = match end {
                End::Stopped => return Ok(()),
                End::Failed(failure) => failure,
            };
            was_connected |= lasted.is_some() && self.subscribed;
            if !failure.is_passing(was_connected) {
                return Err(failure);
            }
            if lasted.is_some_and(|lasted| lasted >= self.options.stable_after) {
                backoff.reset();
            }
            let wait = backoff.next_wait();
            if self
                .options
                .tries
                .is_some_and(|tries| tries <= backoff.failures())
            {
                let tries = backoff.failures();
                return Err(Failure::lasting(format!(
                    "{failure} Given up after {tries} tries."
                )));
            }
            warn!(?wait, tries = backoff.failures(), "{failure}");
            if self
                .events
                .send(Event::Interrupted { failure, wait })
                .await
                .is_err()
            {
                return Ok(()); // nobody is interested any more
            }
            tokio::select! {
                () = sleep(wait) => {}
                _ = self.stop.wait_for(|stop| *stop) => return Ok(()),
            }
        }
    }

    /// From the connect to the loss of one connection.
    async fn one_connection(&mut self) -> End {
        let end = loop {
            let deadline = self.deadline();
            let event = tokio::select! {
                event = self.event_loop.poll() => event,
                // From here on, each branch gives this connection up, or is about to: so it does no
                // harm that it cancels `poll`.
                failure = overdue(deadline, &self.options) => match self.leaving {
                    Some(_) => break End::Stopped,
                    None => break End::Failed(failure),
                },
                _ = self.stop.wait_for(|stop| *stop), if self.leaving.is_none() => {
                    if self.connected_at.is_none() || self.requests.try_disconnect().is_err() {
                        break End::Stopped;
                    }
                    self.leaving = Some(Instant::now());
                    continue;
                }
            };
            let end = match event {
                Ok(event) => self.take(event).await,
                Err(error) => Some(self.fail(error).await),
            };
            if let Some(end) = end {
                break end;
            }
        };
        self.outbox.close();
        self.tidy_up();
        end
    }

    /// When the first answer that is waited for is overdue.
    fn deadline(&self) -> Option<(Instant, Overdue)> {
        let options = &self.options;
        let half_a_keep_alive = self.event_loop.options.keep_alive() / 2;
        [
            self.leaving
                .map(|since| (since + FAREWELL_LIMIT, Overdue::Disconnect)),
            self.pinging
                .map(|since| (since + half_a_keep_alive, Overdue::Pingresp)),
            self.subscribing
                .map(|since| (since + options.ack_limit, Overdue::Suback)),
            self.outbox
                .oldest()
                .map(|since| (since + options.ack_limit, Overdue::Puback)),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|(at, _)| *at)
    }

    /// Takes what happened on the connection. `Some` if it is the end of it.
    async fn take(&mut self, event: rumqttc::v5::Event) -> Option<End> {
        use rumqttc::v5::Event::{Incoming, Outgoing as Sent};
        match event {
            Incoming(Packet::ConnAck(connack)) => return self.welcome(&connack).await,
            Incoming(Packet::SubAck(suback)) => return self.subscribed(&suback),
            Incoming(Packet::PubAck(puback)) => {
                self.outbox.acknowledged(puback.pkid, puback.reason);
                self.release(puback.pkid);
            }
            Incoming(Packet::PingResp(_)) => self.pinging = None,
            Incoming(Packet::Publish(publish)) => return self.deliver(publish).await,
            Sent(Outgoing::Publish(packet_id)) => self.outbox.sent(packet_id),
            Sent(Outgoing::AwaitAck(_)) => self.outbox.held_back(),
            Sent(Outgoing::PingReq) => self.pinging = Some(Instant::now()),
            Sent(Outgoing::Disconnect) if self.leaving.is_some() => return Some(End::Stopped),
            _ => {}
        }
        None
    }

    /// A publish that rumqttc holds back until this packet id is free: it forgets to send it when
    /// the PUBACK is a refusal.
    fn release(&mut self, packet_id: u16) {
        let collision = &mut self.event_loop.state.collision;
        if let Some(mut held) = collision.take_if(|held| held.pkid == packet_id) {
            held.pkid = 0;
            self.event_loop.pending.push_front(Request::Publish(held));
            self.outbox.unhold();
        }
    }

    /// CONNACK: subscribes if the session is a new one, and opens the outbox.
    async fn welcome(&mut self, connack: &ConnAck) -> Option<End> {
        let session_present = connack.session_present;
        info!(session_present, "connected");
        self.connected_at = Some(Instant::now());
        self.pinging = None;
        self.event_loop.options.set_clean_start(false); // from now on, we have a session to resume
        let properties = connack.properties.as_ref();
        if properties.and_then(|limits| limits.server_keep_alive) == Some(0) {
            // The server wants no keep alive. rumqttc would take that for a ping without pause.
            let keep_alive = self.options.keep_alive.max(SHORTEST_KEEP_ALIVE);
            self.event_loop.options.set_keep_alive(keep_alive);
        }
        if session_present {
            self.pace.spend(self.event_loop.pending.len() as u32);
        } else {
            self.outbox.forget(self.requests.clone());
            self.subscribed = false;
        }
        if !self.subscribed {
            let filters = self
                .options
                .filters
                .iter()
                .map(|path| Filter::new(path, QoS::AtLeastOnce));
            if !self.options.filters.is_empty() && self.requests.try_subscribe_many(filters).is_ok()
            {
                self.subscribing = Some(Instant::now());
            }
        }
        self.max_packet_size = properties.and_then(|limits| limits.max_packet_size);
        if !session_present || self.sessions == 0 {
            self.sessions += 1;
        }
        // With so few packet ids in use, rumqttc would give the one of our SUBSCRIBE to a PUBLISH.
        let few_ids = properties
            .and_then(|limits| limits.receive_max)
            .is_some_and(|max| max < 3);
        if self.subscribing.is_none() || !few_ids {
            self.open_outbox();
        }
        self.tell(Event::Connected { session_present }).await
    }

    /// From here on, publishes leave.
    fn open_outbox(&mut self) {
        self.outbox.open(self.max_packet_size);
        let sessions = self.sessions;
        self.status.send_replace(Status {
            online: true,
            sessions,
        });
    }

    /// SUBACK: one reason code for each filter, in their order.
    fn subscribed(&mut self, suback: &SubAck) -> Option<End> {
        self.subscribing = None;
        let granted = subscription::check(&suback.return_codes, &self.options);
        self.subscribed = granted.is_ok();
        if self.subscribed {
            self.open_outbox();
        }
        granted.err().map(End::Failed)
    }

    /// A message for us.
    async fn deliver(&mut self, publish: Publish) -> Option<End> {
        match String::from_utf8(publish.topic.to_vec()) {
            Ok(topic) => {
                self.tell(Event::Message {
                    topic,
                    payload: publish.payload,
                })
                .await
            }
            Err(_) => {
                debug!("ignored a message whose topic is not UTF-8");
                None
            }
        }
    }

    async fn tell(&mut self, event: Event) -> Option<End> {
        // Without a listener, there is nobody to keep a connection for.
        self.events.send(event).await.err().map(|_| End::Stopped)
    }

    /// Takes the error that ends this connection, after what still came before it.
    async fn fail(&mut self, error: ConnectionError) -> End {
        while let Some(event) = self.event_loop.state.events.pop_front() {
            match self.take(event).await {
                Some(End::Stopped) => return End::Stopped,
                Some(End::Failed(failure)) if !failure.is_passing(false) => {
                    return End::Failed(failure); // it says more than what came after it
                }
                _ => {}
            }
        }
        if self.leaving.is_some() {
            return End::Stopped;
        }
        let failure = Failure::of(&error, &self.options, self.connected_at.is_some());
        if let ConnectionError::MqttState(
            StateError::Unsolicited(_)
            | StateError::CollisionTimeout
            | StateError::OutgoingPacketTooLarge { .. }
            | StateError::Deserialization(CodecError::OutgoingPacketTooLarge { .. })
            | StateError::InvalidState
            | StateError::InvalidAlias { .. },
        ) = error
        {
            // The books of the two sides differ, or hold a packet that can't be sent. To resume this
            // session would fail in the same way, so a new one is begun.
            (self.requests, self.event_loop) = new_session(&self.options);
            self.outbox.forget(self.requests.clone());
            self.subscribed = false;
        }
        End::Failed(failure)
    }

    /// Leaves rumqttc's queue as the next connection needs it: first what was sent and not
    /// acknowledged, marked as a duplicate (MQTT5, section 4.4), then what was never sent.
    fn tidy_up(&mut self) {
        self.subscribing = None;
        self.pinging = None;
        self.event_loop.clean();
        let mut again = Vec::new();
        let mut first_time = Vec::new();
        if let Some(mut held) = self.event_loop.state.collision.take() {
            // rumqttc would hold this one back for ever, and all others with it.
            held.pkid = 0;
            first_time.push(Request::Publish(held));
            self.outbox.unhold();
        }
        for request in self.event_loop.pending.drain(..) {
            match request {
                Request::Publish(publish) if publish.pkid == 0 => {
                    first_time.push(Request::Publish(publish));
                }
                Request::Publish(mut publish) => {
                    publish.dup = true;
                    again.push(Request::Publish(publish));
                }
                _ => {} // a SUBSCRIBE is made anew where it is needed
            }
        }
        again.append(&mut first_time);
        self.event_loop.pending = again.into();
    }
}

/// An answer that did not come in time.
#[derive(Clone, Copy)]
enum Overdue {
    Disconnect,
    Pingresp,
    Suback,
    Puback,
}

/// Waits for the deadline; for ever without one.
async fn overdue(deadline: Option<(Instant, Overdue)>, options: &Options) -> Failure {
    let Some((at, what)) = deadline else {
        return std::future::pending().await;
    };
    sleep_until(at).await;
    let packet = match what {
        Overdue::Disconnect | Overdue::Pingresp => "PINGREQ",
        Overdue::Suback => "SUBSCRIBE",
        Overdue::Puback => "PUBLISH",
    };
    Failure::passing(format!(
        "{} did not answer a {packet} in time, so the connection is given up for a new one.",
        options.address()
    ))
}
