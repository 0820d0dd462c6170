//! AWS IoT Core on the reader's own machine, as far as a device that runs Jobs needs it.
//!
//! Real where it matters: TLS with client certificates, MQTT5, the policy, and the Jobs
//! service with its states, versions, events and errors. Strict: what AWS IoT Core refuses,
//! it refuses. And it misbehaves when it is told to, so that a device can be tested against
//! what a bad day brings.
//!
//! ```
//! use local_iot_core::{LocalIotCore, Options};
//! use serde_json::json;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let core = LocalIotCore::start(Options::default()).await?;
//! core.jobs().create_job("reboot-1", json!({"operation": "reboot"}))?;
//! println!("connect to {}:{}", core.endpoint(), core.port());
//! # Ok(())
//! # }
//! ```
//!
//! A packet's way through the modules: `gateway` (TCP, the `line`, `tls`, then MQTT), which
//! asks `guard` whether the `policy` allows it, keeps what has to outlive the connection in
//! `session`, and hands requests to `jobs`. `journal` writes everything down; `faults` says
//! what is to go wrong.
//!
//! Not here, because a Jobs device needs none of it: the other services with reserved topics,
//! a will that is delayed, MQTT 3.1.1, and WebSockets. Shared subscriptions are taken, but
//! every member of a group gets every message, and No Local makes no difference.

mod faults;
mod gateway;
mod guard;
mod jobs;
mod journal;
mod line;
mod message;
mod options;
mod pki;
mod policy;
mod port;
mod session;
mod tamper;
mod tls;
mod topic;

#[cfg(test)]
mod end_to_end;

use std::{
    io,
    sync::{Arc, PoisonError, RwLock},
};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

pub use faults::{
    Breach, Fault, Faults, On, Times, breaches, names as fault_names,
    operations as fault_operations,
};
pub use jobs::{Books, Dialect, JobExecution, Jobs, Moment, NewJob, Operation, Status, TimeFormat};
pub use journal::{Entry, Event, Journal};
pub use message::{Message, Properties};
pub use options::{
    ACCOUNT, Limits, Options, PacketForms, REGION, ServerCertificate, TlsVersions, fill_policy,
};
pub use pki::{Files, Identity, KeyForm, Pki};
pub use policy::{Action, Policy};
pub use tamper::Tamper;

use gateway::Gateway;
use guard::Guard;
use jobs::Settings;
use line::Line;
use port::Port;
use session::{Order, Sessions};

/// The service, up and running until it is dropped.
pub struct LocalIotCore {
    gateway: Arc<Gateway>,
    pki: Pki,
    port: Port,
}

impl LocalIotCore {
    /// Starts the service on 127.0.0.1, on the runtime that this is called on.
    ///
    /// # Errors
    /// If the policy can't be read, or the port is taken.
    pub async fn start(options: Options) -> io::Result<LocalIotCore> {
        let mut things = vec![options.thing_name];
        things.extend(options.more_things);
        let policy = policy_for(&options.policy, &things)?;
        let pki = Pki::new()?;
        let tls = tls::server_config(&pki, options.server_certificate, options.tls_versions)?;
        let journal = Journal::new();
        let faults = Faults::new(journal.clone());
        let guard = Guard::new(policy, journal.clone());
        let sessions = Arc::new(Sessions::new(guard.clone(), faults.clone()));
        let settings = Settings {
            dialect: options.dialect,
            minute: options.minute,
            listed_executions: options.listed_executions,
        };
        let jobs = things.iter().map(|thing_name| {
            let (faults, journal) = (faults.clone(), journal.clone());
            Jobs::new(thing_name, settings, Arc::clone(&sessions), faults, journal)
        });
        let jobs = jobs.collect();
        let gateway = Arc::new(Gateway {
            tls: TlsAcceptor::from(Arc::new(tls)),
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
        let port = Port::listen(options.port, &gateway)?;
        Ok(LocalIotCore { gateway, pki, port })
    }

    /// Serves a connection over any stream, as if it had come in on the port. TLS is spoken over
    /// it.
    pub fn serve(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        tokio::spawn(gateway::serve(Arc::clone(&self.gateway), stream));
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The host name to connect to: `localhost`.
    pub fn endpoint(&self) -> &str {
        "localhost"
    }

    /// The thing whose jobs [`jobs`](Self::jobs) gives.
    pub fn thing_name(&self) -> &str {
        self.jobs().thing_name()
    }

    /// Makes certificates that this service knows.
    pub fn pki(&self) -> &Pki {
        &self.pki
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
        check_topic(&message.topic)?;
        self.gateway.sessions.publish(message, false);
        Ok(())
    }

    /// Sends a message to one client, whether it subscribed to the topic or not.
    ///
    /// # Errors
    /// If the topic is not valid, or reserved, or the client is not connected.
    pub fn send_direct_message(&self, client_id: &str, message: Message) -> io::Result<()> {
        check_topic(&message.topic)?;
        if self.gateway.sessions.send_direct(client_id, message) {
            return Ok(());
        }
        let why = format!("'{client_id}' is not connected");
        Err(io::Error::new(io::ErrorKind::NotConnected, why))
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

    /// Takes no more connections: they are refused. Those that are open stay.
    pub async fn stop_listening(&self) {
        self.port.close().await;
    }

    /// Takes connections again, on the same port.
    ///
    /// # Errors
    /// If somebody else has taken the port.
    pub async fn resume_listening(&self) -> io::Result<()> {
        self.port.reopen(&self.gateway)
    }

    /// Enforces another policy from now on, for open connections too. Placeholders are
    /// filled in.
    ///
    /// # Errors
    /// If the policy can't be read. The one before stays in force.
    pub fn set_policy(&self, policy: impl AsRef<str>) -> io::Result<()> {
        let things = self.gateway.jobs.iter().map(Jobs::thing_name);
        let policy = policy_for(policy.as_ref(), things)?;
        self.gateway.guard.set_policy(policy);
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
fn check_topic(topic: &str) -> io::Result<()> {
    if topic::is_valid_name(topic) && !topic.starts_with('$') {
        return Ok(());
    }
    let why = format!("'{topic}' is no topic to publish to");
    Err(io::Error::new(io::ErrorKind::InvalidInput, why))
}

/// A policy, filled in for each of these things.
fn policy_for(text: &str, things: impl IntoIterator<Item = impl AsRef<str>>) -> io::Result<Policy> {
    let filled = things
        .into_iter()
        .map(|thing_name| Policy::parse(&fill_policy(text, thing_name.as_ref())));
    Ok(Policy::all_of(filled.collect::<io::Result<Vec<_>>>()?))
}

impl Drop for LocalIotCore {
    fn drop(&mut self) {
        self.drop_connections();
    }
}
