//! What to connect to, as whom, and how patiently.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::backoff::Backoff;
use super::publish::Publish;
use super::transport::{Tcp, Transport};

/// Makes a method of each option that sets it, so that they can be set in a chain.
macro_rules! setters {
    ($options:ident: $($name:ident: $type:ty),+ $(,)?) => {
        impl $options {
            $(
                #[doc = concat!("The same, with another [`", stringify!($name), "`](Self::", stringify!($name), ").")]
                #[must_use]
                pub fn $name(mut self, $name: $type) -> Self {
                    self.$name = $name;
                    self
                }
            )+
        }
    };
}

pub(crate) use setters;

/// What to connect to, as whom, and how patiently:
/// `Options::new(endpoint, "my-thing", tls).port(443).keep_alive(minute)`.
///
/// The timeouts are about silence: each begins anew whenever anything comes from the other side, so a
/// slow link is waited for. (Not without end: an answer that has not come after fourteen times
/// its timeout is overdue whatever else comes.)
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// The server's host name, without a port. It is also what the server's certificate must be for.
    pub endpoint: String,
    /// The server's port: 8883, or 443, where AWS IoT Core wants an ALPN name that is added here.
    pub port: u16,
    /// The client ID: one per device, its thing's name. Who connects with an ID that is in use takes
    /// the session over.
    pub client_id: String,
    /// Certificates, keys and trust. `None`: no TLS, for a transport that is safe by itself.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// How a stream of bytes is opened: [`Tcp`] if nothing else is said.
    pub transport: Arc<dyn Transport>,
    /// An HTTP proxy to tunnel through (CONNECT).
    pub proxy: Option<Proxy>,
    /// Whether the first connect begins a new session. If not, the messages that were queued for an
    /// earlier run of the program reach whoever subscribes before the connect; the client ID must then
    /// be the same in each run.
    pub clean_start: bool,
    /// What the server publishes if this device goes without a DISCONNECT (MQTT5, section 3.1.2.5).
    pub will: Option<Publish>,
    /// How often a PINGREQ leaves where nothing else does; the server hangs up after one and a half
    /// times this. AWS IoT Core takes 30 to 1,200 seconds. Its own wish (Server Keep Alive) goes
    /// before this one. A PINGRESP may take half of it. A message that takes longer than one and a half
    /// times this to leave does not arrive, and is given up after three connections. 0: none, and a dead
    /// link is noticed by what is published at QoS 1 alone.
    pub keep_alive: Duration,
    /// How long TCP may take, over all addresses of the host. 10 seconds.
    pub tcp_timeout: Duration,
    /// How long the other side may be silent in each handshake after that: the proxy's, TLS, and CONNECT
    /// with its CONNACK. 10 seconds.
    pub handshake_timeout: Duration,
    /// How long the server may be silent before a SUBACK, UNSUBACK or PUBACK; then the connection is
    /// given up for a new one. 10 seconds, and one more for each 1,000 bytes on their way above 4,000.
    pub ack_timeout: Duration,
    /// How long the server is to keep the session while we are away. Whole seconds.
    pub session_expiry: Duration,
    /// The waits between tries.
    pub backoff: Backoff,
    /// A connection that lasted this long has proved stable: the waits begin at their base again.
    pub stable_after: Duration,
    /// Give up after this many failed tries in a row. `None`: never.
    pub max_tries: Option<u32>,
    /// How long a refusal by the server counts as one that may pass although nothing has worked yet: a
    /// certificate that AWS registers at its first connect (JITP, JITR) is refused for some seconds.
    /// None if nothing else is said.
    pub patience: Duration,
}

impl Options {
    /// What suits AWS IoT Core: port 8883, a keep-alive of 30 seconds, a session of 15 minutes, and
    /// tries without end.
    pub fn new(endpoint: &str, client_id: &str, tls: Arc<rustls::ClientConfig>) -> Self {
        Self {
            tls: Some(tls),
            ..Self::without_tls(endpoint, client_id, Arc::new(Tcp::default()))
        }
    }

    /// The same without TLS, for a transport that is safe by itself.
    pub fn without_tls(endpoint: &str, client_id: &str, transport: Arc<dyn Transport>) -> Self {
        const ANSWER: Duration = Duration::from_secs(10);
        Self {
            endpoint: endpoint.to_owned(),
            port: 8883,
            client_id: client_id.to_owned(),
            tls: None,
            transport,
            proxy: None,
            clean_start: true,
            will: None,
            keep_alive: Duration::from_secs(30),
            tcp_timeout: ANSWER,
            handshake_timeout: ANSWER,
            ack_timeout: ANSWER,
            session_expiry: Duration::from_secs(15 * 60),
            backoff: Backoff::default(),
            stable_after: Duration::from_secs(60),
            max_tries: None,
            patience: Duration::ZERO,
        }
    }

    /// `endpoint:port`, for messages.
    pub(super) fn address(&self) -> String {
        format!("{}:{}", self.endpoint, self.port)
    }
}

setters! {
    Options:
    port: u16, transport: Arc<dyn Transport>, proxy: Option<Proxy>, clean_start: bool,
    will: Option<Publish>, keep_alive: Duration, tcp_timeout: Duration, handshake_timeout: Duration,
    ack_timeout: Duration, session_expiry: Duration, backoff: Backoff, stable_after: Duration,
    max_tries: Option<u32>, patience: Duration,
}

/// An HTTP proxy to tunnel through (CONNECT).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proxy {
    /// Its host name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What it knows us by, if it asks.
    pub auth: Option<ProxyAuth>,
}

impl Proxy {
    /// A proxy that asks for no password.
    pub fn new(host: &str, port: u16) -> Self {
        let (host, auth) = (host.to_owned(), None);
        Self { host, port, auth }
    }
}

/// `user:password`, for a proxy. Is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyAuth(pub(super) String);

impl ProxyAuth {
    /// The user name ends at the first `:`. `None` if there is no `:`, or more than a line.
    pub fn new(user_and_password: &str) -> Option<Self> {
        let is_line = !user_and_password.contains(char::is_control);
        (is_line && user_and_password.contains(':')).then(|| Self(user_and_password.to_owned()))
    }

    /// The two, for another client of the same proxy.
    pub fn user_and_password(&self) -> (&str, &str) {
        self.0.split_once(':').unwrap_or_default()
    }
}

impl fmt::Debug for ProxyAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyAuth(…)")
    }
}
