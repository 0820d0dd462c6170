//! From the options to a connection that the server has accepted: TCP, perhaps a proxy, TLS, then
//! CONNECT and CONNACK.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::v5::mqttbytes::v5::{ConnAckProperties, Connect, ConnectProperties, Packet};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::decode::{Incoming, MAX_PACKET_SIZE};
use super::error::{ConnectionError, ConnectionErrorKind as Kind};
use super::handshake::words;
use super::options::Options;
use super::proxy::tunnel;
use super::publish::is_string;
use super::reason::{ReasonCode, Violation};
use super::silence::{Heard, LastHeard};
use super::transport::ByteStream;
use super::wire::{Wire, WireError};
use crate::error_class::ErrorClass;
use crate::text::printable;

/// The ALPN name that AWS IoT Core wants on port 443. See
/// <https://docs.aws.amazon.com/iot/latest/developerguide/protocols.html>.
const ALPN_MQTT: &[u8] = b"x-amzn-mqtt-ca";

/// The longest keep-alive that a CONNECT can have (section 3.1.2.10).
const LONGEST_KEEP_ALIVE: Duration = Duration::from_secs(u16::MAX as u64);

/// A transport that can tell why dialing failed has this long to say so.
const DIAL_GRACE: Duration = Duration::from_secs(1);

/// What the server allows on this connection (MQTT5, section 3.2.2.3).
#[derive(Debug, Clone)]
pub(super) struct Limits {
    /// QoS 1 publishes of ours that may wait for their PUBACK.
    pub receive_maximum: u16,
    /// Of a packet, in bytes.
    pub max_packet_size: usize,
    pub keep_alive: Duration,
    /// Whether it takes publishes at QoS 1.
    pub has_qos_1: bool,
    pub has_retain: bool,
    pub has_wildcards: bool,
    pub has_shared_subscriptions: bool,
    /// The client ID that it has given to a client without one.
    pub client_id: Option<String>,
}

impl Limits {
    fn new(
        properties: Option<Box<ConnAckProperties>>,
        options: &Options,
    ) -> Result<Self, Violation> {
        let mut limits = Self {
            receive_maximum: u16::MAX,
            max_packet_size: usize::MAX,
            keep_alive: if options.keep_alive.is_zero() {
                LONGEST_KEEP_ALIVE // none
            } else {
                options.keep_alive.min(LONGEST_KEEP_ALIVE)
            },
            has_qos_1: true,
            has_retain: true,
            has_wildcards: true,
            has_shared_subscriptions: true,
            client_id: None,
        };
        let Some(properties) = properties else {
            return Ok(limits);
        };
        if properties.receive_max == Some(0) || properties.max_packet_size == Some(0) {
            let what = "a CONNACK with a maximum of 0";
            return Err(Violation::protocol_error(what));
        }
        let max_packet_size = properties.max_packet_size;
        limits.max_packet_size = max_packet_size.map_or(usize::MAX, |size| size as usize);
        limits.receive_maximum = properties.receive_max.unwrap_or(u16::MAX);
        // Where the server asks for 0 ("none"), ours tells when a link is dead.
        if let Some(seconds) = properties.server_keep_alive.filter(|seconds| *seconds > 0) {
            limits.keep_alive = Duration::from_secs(seconds.into());
        }
        limits.has_qos_1 = properties.max_qos != Some(0);
        limits.has_retain = properties.retain_available != Some(0);
        limits.has_wildcards = properties.wildcard_subscription_available != Some(0);
        limits.has_shared_subscriptions = properties.shared_subscription_available != Some(0);
        limits.client_id = properties.assigned_client_identifier;
        Ok(limits)
    }
}

/// Opens a stream to the server, perhaps through a proxy, and does the TLS handshake on it.
pub(super) async fn open(options: &Options, heard: &LastHeard) -> Result<Wire, ConnectionError> {
    let address = options.address();
    let stream = match &options.proxy {
        None => dial(options, &options.endpoint, options.port, heard)
            .await
            .map_err(|error| {
                let what = format!("{address} can't be reached: {}", words(&error));
                ConnectionError::new(Kind::Unreachable, what).with_source(error)
            })?,
        Some(proxy) => {
            let dialed = dial(options, &proxy.host, proxy.port, heard).await;
            let mut stream = dialed.map_err(|error| {
                let (host, port) = (&proxy.host, proxy.port);
                let why = words(&error);
                let what = format!("the HTTP proxy {host}:{port} can't be reached: {why}");
                ConnectionError::new(Kind::ProxyUnreachable, what).with_source(error)
            })?;
            let tunneling = tunnel(&mut *stream, proxy, &address);
            let tunneled = heard.wait_for(options.handshake_timeout, tunneling).await;
            tunneled
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
                .map_err(|error| {
                    let (host, port) = (&proxy.host, proxy.port);
                    let why = words(&error);
                    let what =
                        format!("the HTTP proxy {host}:{port} did not answer the request for {address}: {why}");
                    ConnectionError::new(Kind::ProxyRefused, what).with_source(error)
                })??;
            stream
        }
    };
    Ok(Wire::new(secure(stream, options, heard).await?))
}

/// Opens a stream. (A transport that does not keep to the limit is not waited for much longer.)
async fn dial(
    options: &Options,
    host: &str,
    port: u16,
    heard: &LastHeard,
) -> io::Result<Box<dyn ByteStream>> {
    let limit = options.tcp_timeout;
    let dialing = options.transport.dial(host, port, limit);
    let dialed = timeout(limit.saturating_add(DIAL_GRACE), dialing).await;
    let stream = dialed.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    let last = heard.clone();
    Ok(Box::new(Heard { stream, last }))
}

/// Does the TLS handshake, if there is to be one.
async fn secure(
    stream: Box<dyn ByteStream>,
    options: &Options,
    heard: &LastHeard,
) -> Result<Box<dyn ByteStream>, ConnectionError> {
    let Some(config) = &options.tls else {
        return Ok(stream);
    };
    let endpoint = &options.endpoint;
    let name = ServerName::try_from(endpoint.clone()).map_err(|_| {
        let what = format!("'{}' can't be the name of a server", printable(endpoint));
        ConnectionError::new(Kind::BadOptions, what).class_of(ErrorClass::Permanent)
    })?;
    let shaking = TlsConnector::from(with_alpn(config, options.port)).connect(name, stream);
    match heard.wait_for(options.handshake_timeout, shaking).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) => Err(lost(options, WireError::Io(error), false)),
        Err(waited) => Err(silent(options, "TLS handshake", waited)),
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

/// Sends CONNECT, and waits for the CONNACK. Returns what the server allows, and whether it had kept
/// the session.
pub(super) async fn introduce(
    wire: &mut Wire,
    options: &Options,
    clean_start: bool,
    heard: &LastHeard,
) -> Result<(Limits, bool), ConnectionError> {
    check(options)?;
    let connect = connect_packet(options, clean_start);
    let _ = wire.send(&connect); // what the server takes at most is known later
    let answer = heard.wait_for(options.handshake_timeout, wire.next()).await;
    let address = options.address();
    let accepted = match answer.map_err(|waited| silent(options, "CONNACK", waited))? {
        Ok(Incoming::Connack { code, .. }) if code.is_error() => {
            return Err(refused(&address, code));
        }
        Ok(Incoming::OldConnack) => {
            let what = format!("{address} speaks MQTT 3.1.1 only");
            let error = ConnectionError::new(Kind::OldProtocol, what);
            return Err(error.class_of(ErrorClass::Misconfigured));
        }
        Ok(Incoming::Disconnect { code, text }) => {
            return Err(ConnectionError::disconnected(&address, code, &text));
        }
        Ok(Incoming::Connack {
            session_present: true,
            ..
        }) if clean_start => Err(Violation::protocol_error(
            "a CONNACK with a session where a new one was asked for",
        )),
        Ok(Incoming::Connack {
            session_present,
            properties,
            ..
        }) => Limits::new(properties, options).map(|limits| (limits, session_present)),
        Ok(_) => Err(Violation::protocol_error("something else than a CONNACK")),
        Err(WireError::Violation(fault)) => Err(fault),
        Err(error) => return Err(lost(options, error, false)),
    };
    match accepted {
        Ok((limits, session_present)) => {
            wire.max_packet_size = limits.max_packet_size;
            Ok((limits, session_present))
        }
        Err(fault) => {
            wire.disconnect(fault.code, None).await;
            Err(ConnectionError::violation(&address, fault))
        }
    }
}

/// What no CONNECT can say (section 3.1.3).
fn check(options: &Options) -> Result<(), ConnectionError> {
    let will = options.will.as_ref();
    let will = will.map_or(Ok(()), |will| will.check(u16::MAX.into()));
    let what = match will {
        Err(error) => format!("the last will can't be sent: {error}"),
        Ok(()) if !is_string(&options.client_id) => {
            "the client ID has more than 65,535 bytes, or a NUL in it".to_owned()
        }
        Ok(()) => return Ok(()),
    };
    Err(ConnectionError::new(Kind::BadOptions, what).class_of(ErrorClass::Permanent))
}

fn connect_packet(options: &Options, clean_start: bool) -> Packet {
    let session_expiry = u32::try_from(options.session_expiry.as_secs());
    let connect = Connect {
        keep_alive: u16::try_from(options.keep_alive.as_secs()).unwrap_or(u16::MAX),
        client_id: options.client_id.clone(),
        clean_start,
        properties: Some(ConnectProperties {
            session_expiry_interval: Some(session_expiry.unwrap_or(u32::MAX)),
            max_packet_size: Some(MAX_PACKET_SIZE as u32),
            // No topic_alias_max: a server that uses aliases all the same breaks the rules.
            ..ConnectProperties::new()
        }),
    };
    let will = options.will.clone().map(|will| will.will());
    Packet::Connect(connect, will, None)
}

/// An answer that did not come while the connection was made.
fn silent(options: &Options, no: &str, waited: Duration) -> ConnectionError {
    let (address, seconds) = (options.address(), waited.as_secs());
    let what = format!("{address} did not answer within {seconds} seconds (no {no})");
    ConnectionError::new(Kind::Silent, what)
}

/// A CONNACK that says no (MQTT5, section 3.2.2.2).
fn refused(address: &str, code: ReasonCode) -> ConnectionError {
    let what = format!("{address} refused the connection: CONNACK {code}");
    let error = ConnectionError::new(Kind::Refused, what).reason(code);
    match code.0 {
        // unspecified, implementation specific; unavailable, busy, use another; quota, rate
        0x80 | 0x83 | 0x88 | 0x89 | 0x9C | 0x97 | 0x9F => error,
        _ => error.class_of(ErrorClass::Misconfigured),
    }
}

/// What it means that nothing more comes. `accepted`: whether a CONNACK had come.
pub(super) fn lost(options: &Options, error: WireError, accepted: bool) -> ConnectionError {
    let address = options.address();
    match error {
        WireError::Closed => ConnectionError::closed(&address, accepted),
        WireError::Violation(fault) => ConnectionError::violation(&address, fault),
        WireError::Io(error) => {
            let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
            match tls.cloned() {
                Some(tls) => ConnectionError::tls(&options.endpoint, &address, tls),
                None => ConnectionError::broken(&address, error, accepted),
            }
        }
    }
}
