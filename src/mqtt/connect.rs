//! From the options to a connection that the server has accepted: TCP, perhaps a proxy, TLS, CONNECT
//! and CONNACK. Each step has a timeout of its own.

use std::io;
use std::mem::replace;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::v5::mqttbytes::v5::{ConnAckProperties, Connect, ConnectProperties, Packet};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::decode::{Incoming, MAX_PACKET_SIZE, Violation};
use super::error::ConnectionError;
use super::failure::Server;
use super::options::Options;
use super::proxy::tunnel;
use super::silence::{Heard, LastHeard};
use super::transport::Stream;
use super::wire::{Wire, WireError};

/// The ALPN name that AWS IoT Core wants on port 443. See
/// <https://docs.aws.amazon.com/iot/latest/developerguide/protocols.html>.
const ALPN_MQTT: &[u8] = b"x-amzn-mqtt-ca";

/// A transport that can tell what became of a dial in vain has this long to say so.
const DIAL_GRACE: Duration = Duration::from_secs(1);

/// What the server allows on this connection (MQTT5, section 3.2.2.3).
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// QoS 1 publishes of ours that may wait for their PUBACK.
    pub receive_maximum: u16,
    /// Of a packet, in bytes.
    pub max_packet_size: usize,
    pub keep_alive: Duration,
}

impl Limits {
    fn new(said: Option<&ConnAckProperties>, options: &Options) -> Result<Self, Violation> {
        let receive_maximum = said.and_then(|said| said.receive_max);
        let max_packet_size = said.and_then(|said| said.max_packet_size);
        if receive_maximum == Some(0) || max_packet_size == Some(0) {
            let what = "a CONNACK with a maximum of 0";
            return Err(Violation::protocol_error(what));
        }
        // Without a wish of the server's (or with 0, which is "none"), ours tells when a link is dead.
        let keep_alive = said.and_then(|said| said.server_keep_alive);
        let keep_alive = keep_alive.filter(|seconds| *seconds > 0);
        let keep_alive = keep_alive.map(|seconds| Duration::from_secs(seconds.into()));
        Ok(Self {
            receive_maximum: receive_maximum.unwrap_or(u16::MAX),
            max_packet_size: max_packet_size.map_or(usize::MAX, |size| size as usize),
            keep_alive: keep_alive.unwrap_or(options.keep_alive),
        })
    }
}

/// Connects, and waits for the CONNACK. Returns whether the server had kept the session, as well.
/// `is_unanswered` says whether an earlier CONNECT may have been taken, and nobody heard of it; if this
/// one fails without an answer, that is true of it as well.
pub(super) async fn connect(
    options: &Options,
    clean_start: bool,
    heard: &LastHeard,
    is_unanswered: &mut bool,
) -> Result<(Wire, Limits, bool), ConnectionError> {
    let server = Server::of(options);
    let stream = open(options, &server, heard).await?;
    let mut wire = Wire::new(secure(stream, options, &server, heard).await?);
    let connect = connect_packet(options, clean_start);
    wire.send(&connect).map_err(|_| server.will_too_large())?;
    let was_unanswered = replace(is_unanswered, true);
    let answer = heard.wait_for(options.connack_timeout, wire.next()).await;
    let answer = match answer.map_err(|silent| server.no_answer("CONNACK", silent))? {
        Ok(Incoming::Connack { code, .. }) if code.is_error() => {
            *is_unanswered = was_unanswered;
            return Err(server.refused(code));
        }
        Ok(Incoming::Disconnect { code, text }) => return Err(server.disconnected(code, &text)),
        Err(WireError::Closed) => return Err(server.closed_early()),
        Err(WireError::Io(error)) => return Err(server.broken(error, false)),
        Err(WireError::Violation(fault)) => Err(fault),
        Ok(Incoming::Connack {
            session_present,
            limits,
            ..
        }) => match Limits::new(limits.as_deref(), options) {
            Ok(_) if session_present && clean_start => Err(Violation::protocol_error(
                "a CONNACK with a session where a new one was asked for",
            )),
            limits => limits.map(|limits| (limits, session_present)),
        },
        Ok(_) => Err(Violation::protocol_error("something else than a CONNACK")),
    };
    match answer {
        Ok((limits, session_present)) => {
            *is_unanswered = was_unanswered; // this one has its answer
            wire.max_packet_size = limits.max_packet_size;
            Ok((wire, limits, session_present))
        }
        Err(fault) => {
            wire.disconnect(fault.code, None).await;
            Err(server.violation(fault))
        }
    }
}

fn connect_packet(options: &Options, clean_start: bool) -> Packet {
    let connect = Connect {
        keep_alive: u16::try_from(options.keep_alive.as_secs()).unwrap_or(u16::MAX),
        client_id: options.client_id.clone(),
        clean_start,
        properties: Some(ConnectProperties {
            session_expiry_interval: u32::try_from(options.session_expiry.as_secs()).ok(),
            max_packet_size: Some(MAX_PACKET_SIZE as u32),
            // No topic_alias_max: a server that uses aliases all the same breaks the rules.
            ..ConnectProperties::new()
        }),
    };
    let will = options.will.clone().map(|will| will.will());
    Packet::Connect(connect, will, None)
}

/// Opens a stream to the server, perhaps through a proxy.
async fn open(
    options: &Options,
    server: &Server<'_>,
    heard: &LastHeard,
) -> Result<Box<dyn Stream>, ConnectionError> {
    let Some(proxy) = &options.proxy else {
        let dialed = dial(options, &options.endpoint, options.port, heard).await;
        return dialed.map_err(|error| server.unreachable(error));
    };
    let dialed = dial(options, &proxy.host, proxy.port, heard).await;
    let mut stream = dialed.map_err(|error| server.proxy_unreachable(proxy, error))?;
    let address = server.address();
    let tunneling = tunnel(&mut *stream, proxy, &address);
    let tunneled = heard.wait_for(options.proxy_timeout, tunneling).await;
    match tunneled.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into())) {
        Ok(()) => Ok(stream),
        Err(error) => Err(server.not_tunneled(proxy, error)),
    }
}

/// Opens a stream. (A transport that does not keep to the limit is not waited for much longer.)
async fn dial(
    options: &Options,
    host: &str,
    port: u16,
    heard: &LastHeard,
) -> io::Result<Box<dyn Stream>> {
    let limit = options.tcp_timeout;
    let dialing = options.transport.dial(host, port, limit);
    let dialed = timeout(limit + DIAL_GRACE, dialing).await;
    let stream = dialed.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    let last = heard.clone();
    Ok(Box::new(Heard { stream, last }))
}

/// Does the TLS handshake, if there is to be one.
async fn secure(
    stream: Box<dyn Stream>,
    options: &Options,
    server: &Server<'_>,
    heard: &LastHeard,
) -> Result<Box<dyn Stream>, ConnectionError> {
    let Some(config) = &options.tls else {
        return Ok(stream);
    };
    let name = ServerName::try_from(options.endpoint.clone());
    let name = name.map_err(|_| server.bad_endpoint())?;
    let shaking = TlsConnector::from(with_alpn(config, options.port)).connect(name, stream);
    match heard.wait_for(options.tls_timeout, shaking).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) => Err(server.broken(error, false)),
        Err(silent) => Err(server.no_answer("TLS handshake", silent)),
    }
}

/// The configuration with the ALPN name that the port wants, unless it has some.
fn with_alpn(config: &Arc<ClientConfig>, port: u16) -> Arc<ClientConfig> {
    if port != 443 || !config.alpn_protocols.is_empty() {
        return Arc::clone(config);
    }
    let mut config = ClientConfig::clone(config);
    config.alpn_protocols = vec![ALPN_MQTT.to_vec()];
    Arc::new(config)
}
