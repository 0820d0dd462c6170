//! The service without its door: no TCP, no TLS. It serves any stream of bytes, on tokio's clock.

#[cfg(test)]
mod tests;

use std::{
    io,
    sync::{Arc, OnceLock, PoisonError, RwLock},
    time::SystemTime,
};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    Faults, Jobs, Journal, Limits, Options, Policy, fill_policy,
    gateway::{self, Gateway},
    guard::Guard,
    jobs::{Clock, Settings},
    line::Line,
    message::Message,
    pki::Pki,
    provisioning::Provisioning,
    session::{Order, Sessions},
    tamper::Tamper,
    topic,
};

/// AWS IoT Core without a port: whoever has a stream to a client lets it be
/// [served](Service::serve). Until it is dropped.
///
/// Its time is tokio's, the time of day included, and nothing in it is left to chance: where
/// that time is paused and one thread does everything, the same is to happen every time.
pub struct Service {
    pub(crate) gateway: Arc<Gateway>,
    clock: Clock,
}

impl Service {
    /// The service with these options, as far as they are not about TCP and TLS. It must be
    /// called within a tokio runtime.
    ///
    /// # Errors
    /// If the policy can't be read.
    pub fn new(options: Options) -> io::Result<Service> {
        let mut things = vec![options.thing_name];
        things.extend(options.more_things);
        let policy = policy_for(&options.policy, &things)?;
        let journal = Journal::new();
        let faults = Faults::new(journal.clone());
        let guard = Guard::new(policy, journal.clone());
        let sessions = Arc::new(Sessions::new(guard.clone(), faults.clone()));
        let clock = Clock::set_to(options.time_of_day.unwrap_or_else(SystemTime::now));
        let settings = Settings {
            dialect: options.dialect,
            minute: options.minute,
            listed_executions: options.listed_executions,
        };
        let jobs = things.iter().map(|thing_name| {
            let (sessions, clock) = (Arc::clone(&sessions), clock.clone());
            let (faults, journal) = (faults.clone(), journal.clone());
            Jobs::new(thing_name, settings, clock, sessions, faults, journal)
        });
        let jobs = jobs.collect();
        let gateway = Arc::new(Gateway {
            provisioning: OnceLock::new(),
            line: Line::new(options.latency, options.bytes_per_second),
            packet_forms: options.packet_forms,
            tamper: RwLock::default(),
            limits: RwLock::new(options.limits),
            guard,
            sessions,
            jobs,
            faults,
            journal,
            connections: Default::default(),
        });
        Ok(Service { gateway, clock })
    }

    /// Has clients be known by certificates of this authority, and new ones provisioned.
    pub(crate) fn provision(&self, pki: Pki) -> Provisioning {
        let sessions = Arc::clone(&self.gateway.sessions);
        let provisioning = Provisioning::new(pki, self.clock.clone(), sessions);
        self.gateway
            .provisioning
            .get_or_init(|| provisioning)
            .clone()
    }

    /// Serves a client over this stream, without TLS, until one side closes it.
    pub fn serve(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        gateway::serve_plain(Arc::clone(&self.gateway), stream)
    }

    /// The thing whose jobs [`jobs`](Self::jobs) gives.
    pub fn thing_name(&self) -> &str {
        self.jobs().thing_name()
    }

    /// The Jobs service of the first thing.
    pub fn jobs(&self) -> &Jobs {
        &self.gateway.jobs[0]
    }

    /// The Jobs service of one of several things.
    pub fn jobs_of(&self, thing_name: &str) -> Option<&Jobs> {
        let mut all = self.gateway.jobs.iter();
        all.find(|jobs| jobs.thing_name() == thing_name)
    }

    /// Publishes a message at QoS 1 to every client that subscribed to its topic.
    ///
    /// # Errors
    /// If the topic is not valid, or reserved.
    pub fn publish(&self, topic: &str, payload: impl AsRef<[u8]>) -> io::Result<()> {
        self.publish_message(Message::new(topic, payload))
    }

    /// As [`publish`](Self::publish), with QoS, RETAIN and properties.
    ///
    /// # Errors
    /// If the topic is not valid, or reserved.
    pub fn publish_message(&self, message: Message) -> io::Result<()> {
        check(&message)?;
        self.gateway.sessions.publish(message, false);
        Ok(())
    }

    /// Sends a message to one client, whether it subscribed to the topic or not.
    ///
    /// # Errors
    /// If the topic is not valid, or reserved, or the client is not connected.
    pub fn send_direct_message(&self, client_id: &str, message: Message) -> io::Result<()> {
        check(&message)?;
        if self.gateway.sessions.send_direct(client_id, message) {
            return Ok(());
        }
        let why = format!("'{client_id}' is not connected");
        Err(io::Error::new(io::ErrorKind::NotConnected, why))
    }

    /// As [`publish`](Self::publish), to any topic: a message that only the services of AWS may
    /// send, such as the reply to a request that nobody made.
    pub fn forge(&self, topic: &str, payload: impl AsRef<[u8]>) {
        self.forge_message(Message::new(topic, payload));
    }

    /// The same with properties, whatever is in them.
    pub fn forge_message(&self, message: Message) {
        self.gateway.sessions.publish(message, false);
    }

    /// What is to go wrong.
    pub fn faults(&self) -> &Faults {
        &self.gateway.faults
    }

    /// What has happened.
    pub fn journal(&self) -> &Journal {
        &self.gateway.journal
    }

    /// Closes every connection without a word. The sessions stay.
    pub fn drop_connections(&self) {
        self.gateway.connections.order(&Order::Drop);
    }

    /// Forgets the sessions: whoever connects next finds none. Connections stay.
    pub fn forget_sessions(&self) {
        self.gateway.sessions.forget_all();
    }

    /// Forgets what the clients have subscribed to, and keeps their sessions: whoever connects next is
    /// told that its session is present.
    pub fn forget_subscriptions(&self) {
        self.gateway.sessions.forget_subscriptions();
    }

    /// Sends DISCONNECT with this reason code to every client and closes the connections.
    pub fn disconnect(&self, reason_code: u8) {
        self.gateway
            .connections
            .order(&Order::Disconnect(reason_code));
    }

    /// Sends these bytes to every client, between two packets, whatever they are.
    pub fn send_bytes(&self, bytes: &[u8]) {
        self.gateway.connections.order(&Order::Send(bytes.into()));
    }

    /// Has all that is sent from now on changed on its way into TLS; with `None`, no longer.
    pub fn set_tamper(&self, tamper: Option<Arc<dyn Tamper>>) {
        *self
            .gateway
            .tamper
            .write()
            .unwrap_or_else(PoisonError::into_inner) = tamper;
    }

    /// Turns the service's clock forward by so many seconds, or back if the number is negative.
    /// Timers don't heed it.
    pub fn turn_clock(&self, seconds: i64) {
        self.clock.turn(seconds);
    }

    /// Enforces another policy from now on, for open connections too. Placeholders are
    /// filled in.
    ///
    /// # Errors
    /// If the policy can't be read. The one before stays in force.
    pub fn set_policy(&self, policy: impl AsRef<str>) -> io::Result<()> {
        let things = self.gateway.jobs.iter().map(Jobs::thing_name);
        let text = policy.as_ref();
        let policy = policy_for(text, things)?;
        self.gateway.guard.set_policy(policy);
        self.journal()
            .record_policy(fill_policy(text, self.thing_name()));
        Ok(())
    }

    /// Allows clients this much, from their next connection on.
    pub fn set_limits(&self, limits: Limits) {
        *self
            .gateway
            .limits
            .write()
            .unwrap_or_else(PoisonError::into_inner) = limits;
    }
}

/// May anybody publish to it?
fn check(message: &Message) -> io::Result<()> {
    let (topic, response) = (&message.topic, &message.properties.response_topic);
    let why = match response {
        _ if !topic::is_valid_name(topic) || topic.starts_with('$') => {
            format!("'{topic}' is no topic to publish to")
        }
        Some(response) if !topic::is_valid_name(response) => {
            format!("'{response}' is no topic to respond to")
        }
        _ => return Ok(()),
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, why))
}

/// A policy, filled in for each of these things.
fn policy_for(text: &str, things: impl IntoIterator<Item = impl AsRef<str>>) -> io::Result<Policy> {
    let filled = things
        .into_iter()
        .map(|thing_name| Policy::parse(&fill_policy(text, thing_name.as_ref())));
    Ok(Policy::all_of(filled.collect::<io::Result<Vec<_>>>()?))
}

impl Drop for Service {
    fn drop(&mut self) {
        self.drop_connections();
    }
}
