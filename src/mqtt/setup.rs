//! rumqttc, set up for AWS IoT Core. What its defaults would cost or break is said at each setting.

use std::sync::Arc;
use std::time::Duration;

use rumqttc::v5::mqttbytes::v5::ConnectProperties;
use rumqttc::v5::{AsyncClient, EventLoop, MqttOptions, Proxy, ProxyAuth, ProxyType};
use rumqttc::{NetworkOptions, TlsConfiguration, Transport};

use super::Options;
use super::outbox::{LARGEST_PAYLOAD, PLACES};

/// Received packets may have this many bytes: AWS IoT Core's largest payload, and a topic.
const MAX_PACKET_SIZE: u32 = LARGEST_PAYLOAD as u32 + 22 * 1024;
/// AWS IoT Core's Receive Maximum. Without this limit rumqttc sets 14 MB aside for 65,535 packets.
const MAX_IN_FLIGHT: u16 = 100;
/// rumqttc takes no keep alive below this.
pub(super) const SHORTEST_KEEP_ALIVE: Duration = Duration::from_secs(5);

/// A client with nothing under way, that will ask the server for a new session.
pub(super) fn new_session(options: &Options) -> (AsyncClient, EventLoop) {
    let mut mqtt = MqttOptions::new(&options.client_id, &options.endpoint, options.port);
    let tls = TlsConfiguration::Rustls(Arc::clone(&options.tls));
    mqtt.set_transport(Transport::tls_with_config(tls))
        .set_clean_start(true)
        .set_keep_alive(options.keep_alive.max(SHORTEST_KEEP_ALIVE))
        .set_connection_timeout(options.connect_limit.as_secs().max(1))
        .set_outgoing_inflight_upper_limit(MAX_IN_FLIGHT)
        .set_connect_properties(ConnectProperties {
            session_expiry_interval: u32::try_from(options.session_expiry.as_secs()).ok(),
            max_packet_size: Some(MAX_PACKET_SIZE),
            // No topic_alias_max: rumqttc would leave it to us to resolve the server's aliases.
            ..ConnectProperties::new()
        });
    if let Some((host, port)) = &options.proxy {
        mqtt.set_proxy(Proxy {
            ty: ProxyType::Http,
            auth: ProxyAuth::None,
            addr: host.clone(),
            port: *port,
        });
    }
    // Room for every place in the outbox, and a DISCONNECT.
    let (requests, mut event_loop) = AsyncClient::new(mqtt, usize::from(PLACES) + 2);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true); // small packets are not to wait for acknowledgements
    event_loop.options.set_network_options(network);
    (requests, event_loop)
}
