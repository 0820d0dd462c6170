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
//! A packet's way through the modules: `gateway` (TCP, `latency`, `tls`, then MQTT), which
//! asks `guard` whether the `policy` allows it, keeps what has to outlive the connection in
//! `session`, and hands requests to `jobs`. `journal` writes everything down; `faults` says
//! what is to go wrong.
//!
//! Not here, because a Jobs device needs none of it: retained messages, last wills, the
//! other services with reserved topics, MQTT 3.1.1, and WebSockets. Shared subscriptions
//! are taken, but every member of a group gets every message.

mod faults;
mod gateway;
mod guard;
mod jobs;
mod journal;
mod latency;
mod options;
mod pki;
mod policy;
mod session;
mod tls;
mod topic;

#[cfg(test)]
mod end_to_end;

use std::{
    io,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use tokio::{
    net::{TcpListener, TcpSocket},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

pub use faults::{Fault, Faults, On, Times, names as fault_names, operations as fault_operations};
pub use jobs::{Books, Dialect, JobExecution, Jobs, Moment, NewJob, Operation, Status, TimeFormat};
pub use journal::{Entry, Event, Journal, Note};
pub use options::{ACCOUNT, Limits, Options, REGION, ServerCertificate, TlsVersions, fill_policy};
pub use pki::{Files, Identity, KeyForm, Pki};
pub use policy::{Action, Decision, Policy};

use gateway::Gateway;
use guard::Guard;
use jobs::Settings;
use session::{Message, Order, Sessions};

/// The service, up and running until it is dropped.
pub struct LocalIotCore {
    gateway: Arc<Gateway>,
    pki: Pki,
    port: u16,
    listener: Mutex<Option<JoinHandle<()>>>,
    /// Keeps the port while nobody listens on it: other programs look for free ports as well.
    port_keeper: Mutex<Option<TcpSocket>>,
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
            latency: options.latency,
            limits: RwLock::new(options.limits),
            guard,
            sessions,
            jobs,
            faults,
            journal,
            connections: Default::default(),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        let port = listener.local_addr()?.port();
        let listener = tokio::spawn(gateway::listen(Arc::clone(&gateway), listener));
        Ok(LocalIotCore {
            gateway,
            pki,
            port,
            listener: Mutex::new(Some(listener)),
            port_keeper: Mutex::default(),
        })
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
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
        if !topic::is_valid_name(topic) || topic.starts_with('$') {
            let why = format!("'{topic}' is no topic to publish to");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let message = Message {
            topic: topic.to_owned(),
            payload: payload.as_ref().into(),
            qos: 1,
            unreadable: false,
        };
        self.gateway.sessions.publish(&message, false);
        Ok(())
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
        self.gateway.connections.order(Order::Drop);
    }

    /// Forgets the sessions: whoever connects next finds none. Connections stay.
    pub fn forget_sessions(&self) {
        self.gateway.sessions.forget_all();
    }

    /// Sends DISCONNECT with this reason code to every client and closes the connections.
    pub fn disconnect(&self, reason_code: u8) {
        self.gateway
            .connections
            .order(Order::Disconnect(reason_code));
    }

    /// Takes no more connections: they are refused. Those that are open stay.
    pub async fn stop_listening(&self) {
        let listener = self
            .listener
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(listener) = listener {
            listener.abort();
            // Only when the task is gone, its socket is closed. That it was aborted is no news.
            let _ = listener.await;
            let keeper = self.bind().ok();
            *self
                .port_keeper
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = keeper;
        }
    }

    /// Takes connections again, on the same port.
    ///
    /// # Errors
    /// If somebody else has taken the port.
    pub async fn resume_listening(&self) -> io::Result<()> {
        self.stop_listening().await;
        let kept = self
            .port_keeper
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let socket = kept.map_or_else(|| self.bind(), Ok)?;
        let listener = socket.listen(1024)?;
        let listener = tokio::spawn(gateway::listen(Arc::clone(&self.gateway), listener));
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(listener);
        Ok(())
    }

    /// A socket that has our port, and does not listen yet.
    fn bind(&self) -> io::Result<TcpSocket> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind((Ipv4Addr::LOCALHOST, self.port).into())?;
        Ok(socket)
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
        let filled = fill_policy(text, self.thing_name());
        self.journal().record(0, Event::Note(Note::Policy(filled)));
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

/// A policy, filled in for each of these things.
fn policy_for(text: &str, things: impl IntoIterator<Item = impl AsRef<str>>) -> io::Result<Policy> {
    let filled = things
        .into_iter()
        .map(|thing_name| Policy::parse(&fill_policy(text, thing_name.as_ref())));
    Ok(Policy::all_of(filled.collect::<io::Result<Vec<_>>>()?))
}

impl Drop for LocalIotCore {
    fn drop(&mut self) {
        let listener = self
            .listener
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(listener) = listener.take() {
            listener.abort();
        }
        self.drop_connections();
    }
}
