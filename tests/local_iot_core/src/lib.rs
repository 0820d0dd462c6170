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
//! what is to go wrong. `service` is all of that without TCP and TLS: it serves any stream.
//! `provisioning` gives new devices certificates of their own.
//!
//! Not here, because a Jobs device needs none of it: the other services with reserved topics,
//! a will that is delayed, MQTT 3.1.1 (its clients are told so), and WebSockets. Shared subscriptions are taken, but
//! every member of a group gets every message.

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
mod provisioning;
mod service;
mod session;
mod tamper;
mod tls;
mod topic;

#[cfg(test)]
mod end_to_end;

use std::{io, ops::Deref, sync::Arc};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

pub use faults::{
    Breach, Fault, Faults, On, Times, breaches, names as fault_names,
    operations as fault_operations,
};
pub use jobs::{Books, Dialect, JobExecution, Jobs, Moment, NewJob, Operation, Status, TimeFormat};
pub use journal::{Console, Entry, Event, Journal};
pub use message::{Message, Properties};
pub use options::{
    ACCOUNT, Limits, Options, PacketForms, REGION, ServerCertificate, TlsVersions, fill_policy,
};
pub use pki::{Files, Identity, KeyForm, Pki, as_version_1};
pub use policy::{Action, Decision, Policy};
pub use provisioning::{Mishap, Provisioning, ProvisioningStep, RegisteredCertificate};
pub use service::Service;
pub use tamper::Tamper;

use gateway::Gateway;
use port::Port;

/// The service on a port of its own, behind TLS: up and running until it is dropped. What it can
/// be asked and told, its [`Service`] can.
pub struct LocalIotCore {
    service: Service,
    pki: Pki,
    provisioning: Provisioning,
    tls: TlsAcceptor,
    port: Port,
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
        let tls = TlsAcceptor::from(Arc::new(tls));
        let port = options.port;
        let service = Service::new(options)?;
        let port = Port::listen(port, &service.gateway, &tls)?;
        Ok(LocalIotCore {
            provisioning: service.provision(pki.clone()),
            service,
            pki,
            tls,
            port,
        })
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The host name to connect to: `localhost`.
    pub fn endpoint(&self) -> &str {
        "localhost"
    }

    /// New devices: claim certificates, templates, and what has come of them.
    pub fn provisioning(&self) -> &Provisioning {
        &self.provisioning
    }

    /// Makes certificates that this service knows.
    pub fn pki(&self) -> &Pki {
        &self.pki
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
        self.port.reopen(&self.service.gateway, &self.tls)
    }

    /// A door beside the port, for clients that come by another way than TCP.
    pub fn acceptor(&self) -> Acceptor {
        Acceptor {
            gateway: Arc::clone(&self.service.gateway),
            tls: self.tls.clone(),
        }
    }
}

/// Takes connections over any stream of bytes, as if they had come in on the port: TLS is spoken
/// over them, and they go over the line of [`Options::latency`].
#[derive(Clone)]
pub struct Acceptor {
    gateway: Arc<Gateway>,
    tls: TlsAcceptor,
}

impl Acceptor {
    /// Serves a client over this stream until one side closes it.
    pub fn serve(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        gateway::serve(Arc::clone(&self.gateway), self.tls.clone(), stream)
    }
}
