//! What to connect to, as whom, and how patiently.

use std::sync::Arc;
use std::time::Duration;

use super::Backoff;
use crate::names::Names;

/// What to connect to, as whom, and how patiently.
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// The server's host name. It is also what the server's certificate must be for.
    pub endpoint: String,
    /// The server's port.
    pub port: u16,
    /// The client id: one per device, its thing's name. Who connects with an id that is in use takes
    /// the session over.
    pub client_id: String,
    /// Certificates, keys and trust.
    pub tls: Arc<rustls::ClientConfig>,
    /// Host and port of an HTTP proxy to connect via.
    pub proxy: Option<(String, u16)>,
    /// How often a PINGREQ leaves; the server hangs up after one and a half times this. AWS IoT
    /// Core takes 30 to 1,200 seconds. Its own wish (Server Keep Alive) goes before this one.
    pub keep_alive: Duration,
    /// How long TCP, TLS and CONNECT together may take. Whole seconds.
    pub connect_limit: Duration,
    /// How long a SUBACK or PUBACK may take, before the connection is given up for a new one.
    pub ack_limit: Duration,
    /// How long the server is to keep the session while we are away. Whole seconds.
    pub session_expiry: Duration,
    /// The waits between tries.
    pub backoff: Backoff,
    /// A connection that lasted this long has proved stable: the waits begin at their base again.
    pub stable_after: Duration,
    /// Give up after this many tries in a row. `None`: never.
    pub tries: Option<u32>,
    /// What messages call these settings.
    pub names: Names,
}

impl Options {
    /// What suits AWS IoT Core: 30 seconds of keep alive, a session of 15 minutes, 10 seconds for
    /// each answer, and tries without end.
    pub fn new(endpoint: &str, port: u16, client_id: &str, tls: Arc<rustls::ClientConfig>) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            port,
            client_id: client_id.to_owned(),
            tls,
            proxy: None,
            keep_alive: Duration::from_secs(30),
            connect_limit: Duration::from_secs(10),
            ack_limit: Duration::from_secs(10),
            session_expiry: Duration::from_secs(15 * 60),
            backoff: Backoff::default(),
            stable_after: Duration::from_secs(60),
            tries: None,
            names: Names::default(),
        }
    }

    /// `endpoint:port`, for messages.
    pub(super) fn address(&self) -> String {
        format!("{}:{}", self.endpoint, self.port)
    }

    /// The address, and the proxy on the way to it.
    pub(super) fn way(&self) -> String {
        match &self.proxy {
            Some((host, port)) => format!("{} via the proxy {host}:{port}", self.address()),
            None => self.address(),
        }
    }
}
