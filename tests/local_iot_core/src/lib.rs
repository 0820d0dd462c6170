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
//! what is to go wrong. `service` is all of that without TCP and TLS: it serves any stream.
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
mod service;
mod session;
mod tls;
mod topic;

#[cfg(test)]
mod end_to_end;

use std::{
    io,
    net::Ipv4Addr,
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    net::{TcpListener, TcpSocket},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

pub use faults::{Fault, Faults, On, Times, names as fault_names, operations as fault_operations};
pub use jobs::{Books, Dialect, JobExecution, Jobs, Moment, NewJob, Operation, Status, TimeFormat};
pub use journal::{Entry, Event, Journal};
pub use options::{ACCOUNT, Limits, Options, REGION, ServerCertificate, TlsVersions, fill_policy};
pub use pki::{Files, Identity, KeyForm, Pki};
pub use policy::{Action, Policy};
pub use service::Service;

/// The service on a port of its own, behind TLS: up and running until it is dropped. What it can
/// be asked and told, its [`Service`] can.
pub struct LocalIotCore {
    service: Service,
    pki: Pki,
    tls: TlsAcceptor,
    port: u16,
    listener: Mutex<Option<JoinHandle<()>>>,
    /// Keeps the port while nobody listens on it: other programs look for free ports as well.
    port_keeper: Mutex<Option<TcpSocket>>,
}

impl Deref for LocalIotCore {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

impl LocalIotCore {
    /// Starts the service on 127.0.0.1, on the runtime that this is called on.
    ///
    /// # Errors
    /// If the policy can't be read, or the port is taken.
    pub async fn start(options: Options) -> io::Result<LocalIotCore> {
        let pki = Pki::new()?;
        let tls = tls::server_config(&pki, options.server_certificate, options.tls_versions)?;
        let port = options.port;
        let service = Service::new(options)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let core = LocalIotCore {
            service,
            pki,
            tls: TlsAcceptor::from(Arc::new(tls)),
            port: listener.local_addr()?.port(),
            listener: Mutex::default(),
            port_keeper: Mutex::default(),
        };
        core.listen(listener);
        Ok(core)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The host name to connect to: `localhost`.
    pub fn endpoint(&self) -> &str {
        "localhost"
    }

    /// Makes certificates that this service knows.
    pub fn pki(&self) -> &Pki {
        &self.pki
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
        self.listen(socket.listen(1024)?);
        Ok(())
    }

    fn listen(&self, listener: TcpListener) {
        let gateway = Arc::clone(&self.service.gateway);
        let listening = gateway::listen(gateway, self.tls.clone(), listener);
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(tokio::spawn(listening));
    }

    /// A socket that has our port, and does not listen yet.
    fn bind(&self) -> io::Result<TcpSocket> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind((Ipv4Addr::LOCALHOST, self.port).into())?;
        Ok(socket)
    }
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
    }
}
