//! A client of a few lines. It knows MQTT's packets but none of its rules, so that it can
//! break them.

use std::{io, sync::Arc, time::Duration};

use mqtt_protocol_core::mqtt::{
    common::Cursor,
    connection::{PacketBuildResult, PacketBuilder, PacketData, RawPacket},
    packet::{
        GenericPacketTrait, Packet, Property, SessionExpiryInterval,
        v5_0::{Connack, Connect, Disconnect, Pingresp, Puback, Publish, Suback, Unsuback},
    },
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

pub use super::packets::{connect, get, jobs_topic, publish, subscribe};
use crate::{Identity, LocalIotCore, Service, line::Transport};

const PATIENCE: Duration = Duration::from_secs(5);

pub struct Client {
    stream: Box<dyn Transport>,
    packets: PacketBuilder,
    input: Vec<u8>,
    /// Acknowledges what it gets.
    pub acknowledges: bool,
}

pub fn tls_config(core: &LocalIotCore, identity: &Identity) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(core.pki().ca_pem().as_bytes()).unwrap();
    roots.add(ca).unwrap();
    let certificates = CertificateDer::pem_slice_iter(identity.cert_pem.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).unwrap();
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates.collect::<Result<_, _>>().unwrap(), key)
        .unwrap()
}

impl Client {
    /// Connects up to and including TLS.
    pub async fn over(core: &LocalIotCore, config: ClientConfig) -> io::Result<Client> {
        let stream = TcpStream::connect(("127.0.0.1", core.port())).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(core.endpoint().to_owned()).unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let stream = timeout(PATIENCE, connector.connect(name, stream)).await??;
        Ok(Client::on(stream))
    }

    /// Connects without TCP and TLS.
    pub fn beside(service: &Service) -> Client {
        let (near, far) = tokio::io::duplex(64 * 1024);
        tokio::spawn(service.serve(far));
        Client::on(near)
    }

    fn on(stream: impl Transport + 'static) -> Client {
        Client {
            stream: Box::new(stream),
            packets: PacketBuilder::new(),
            input: Vec::new(),
            acknowledges: true,
        }
    }

    pub async fn new(core: &LocalIotCore) -> Client {
        let config = tls_config(core, &core.pki().device().unwrap());
        Client::over(core, config).await.unwrap()
    }

    /// Connects with a new session.
    pub async fn connected(core: &LocalIotCore, client_id: &str) -> Client {
        let mut client = Client::new(core).await;
        assert_eq!(client.connect(client_id, true, 0).await, (0, false));
        client
    }

    /// Connects with a session that lasts.
    pub async fn resumed(core: &LocalIotCore, client_id: &str) -> (Client, bool) {
        let mut client = Client::new(core).await;
        let (code, session_present) = client.connect(client_id, false, 3600).await;
        assert_eq!(code, 0);
        (client, session_present)
    }

    /// Sends CONNECT. Returns the code of CONNACK and whether there was a session.
    pub async fn connect(&mut self, id: &str, clean_start: bool, expiry: u32) -> (u8, bool) {
        let expiry: Property = SessionExpiryInterval::new(expiry).unwrap().into();
        let connect = Connect::builder()
            .client_id(id)
            .unwrap()
            .clean_start(clean_start);
        self.send(connect.keep_alive(30).props(vec![expiry]).build().unwrap())
            .await;
        match self.next().await {
            Packet::V5_0Connack(connack) => {
                (connack.reason_code() as u8, connack.session_present())
            }
            other => panic!("{other:?}"),
        }
    }

    pub async fn send(&mut self, packet: impl Into<Packet>) {
        self.send_bytes(&packet.into().to_continuous_buffer()).await;
    }

    /// Sends these bytes, whatever they are.
    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Sends several packets at once.
    pub async fn send_all(&mut self, packets: Vec<Packet>) {
        let bytes: Vec<u8> = packets
            .iter()
            .flat_map(|one| one.to_continuous_buffer())
            .collect();
        self.send_bytes(&bytes).await;
    }

    /// The next packet; an error if the connection is closed.
    pub async fn try_next(&mut self) -> io::Result<Packet> {
        loop {
            let mut cursor = Cursor::new(&self.input[..]);
            let built = self.packets.feed(&mut cursor);
            let used = cursor.position() as usize;
            self.input.drain(..used);
            match built {
                PacketBuildResult::Complete(raw) => {
                    let packet = parse(raw);
                    self.acknowledge(&packet).await;
                    return Ok(packet);
                }
                PacketBuildResult::Incomplete => {}
                PacketBuildResult::Error(error) => panic!("{error}"),
            }
            if timeout(PATIENCE, self.stream.read_buf(&mut self.input)).await?? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// The bytes of the next packet, whether it can be read or not. It comes alone.
    pub async fn packet_bytes(&mut self) -> Vec<u8> {
        if self.input.is_empty() {
            let read = self.stream.read_buf(&mut self.input);
            assert_ne!(timeout(PATIENCE, read).await.unwrap().unwrap(), 0);
        }
        std::mem::take(&mut self.input)
    }

    pub async fn next(&mut self) -> Packet {
        self.try_next().await.unwrap()
    }

    /// The connection is closed without another packet.
    pub async fn is_closed(&mut self) -> bool {
        matches!(self.try_next().await, Err(e) if e.kind() != io::ErrorKind::TimedOut)
    }

    /// The code of a DISCONNECT that comes next.
    pub async fn disconnect_code(&mut self) -> u8 {
        match self.next().await {
            Packet::V5_0Disconnect(disconnect) => disconnect.reason_code().unwrap() as u8,
            other => panic!("{other:?}"),
        }
    }

    /// Subscribes and returns the codes of SUBACK.
    pub async fn subscribe(&mut self, filters: &[&str]) -> Vec<u8> {
        self.send(subscribe(filters)).await;
        match self.next().await {
            Packet::V5_0Suback(suback) => suback
                .reason_codes()
                .into_iter()
                .map(|code| code as u8)
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    /// Publishes and returns the code of PUBACK.
    pub async fn publish(&mut self, packet_id: u16, topic: &str, payload: Value) -> u8 {
        self.send(publish(packet_id, topic, &payload)).await;
        self.puback_code(packet_id).await
    }

    pub async fn puback_code(&mut self, packet_id: u16) -> u8 {
        match self.next().await {
            Packet::V5_0Puback(puback) if puback.packet_id() == packet_id => {
                puback.reason_code().map_or(0, |code| code as u8)
            }
            other => panic!("{other:?}"),
        }
    }

    /// Publishes a request and returns the part of the reply's topic after `jobs/`, and its payload.
    pub async fn ask(&mut self, packet_id: u16, rest: &str, payload: Value) -> (String, Value) {
        assert_eq!(self.publish(packet_id, &jobs_topic(rest), payload).await, 0);
        self.message().await
    }

    /// The next message: the part of its topic after `jobs/`, and its payload.
    pub async fn message(&mut self) -> (String, Value) {
        let publish = self.delivery().await;
        let rest = publish
            .topic_name()
            .strip_prefix(&jobs_topic(""))
            .unwrap()
            .to_owned();
        (
            rest,
            serde_json::from_slice(publish.payload().as_slice()).unwrap(),
        )
    }

    pub async fn delivery(&mut self) -> Publish {
        match self.next().await {
            Packet::V5_0Publish(publish) => publish,
            other => panic!("{other:?}"),
        }
    }

    async fn acknowledge(&mut self, packet: &Packet) {
        if let Packet::V5_0Publish(publish) = packet
            && let Some(packet_id) = publish.packet_id()
            && self.acknowledges
        {
            self.acknowledge_id(packet_id).await;
        }
    }

    pub async fn acknowledge_id(&mut self, packet_id: u16) {
        self.send(Puback::builder().packet_id(packet_id).build().unwrap())
            .await;
    }
}

fn parse(raw: RawPacket) -> Packet {
    let data = raw.data_as_slice();
    match (raw.packet_type(), &raw.data) {
        (2, _) => Connack::parse(data).unwrap().0.into(),
        (3, PacketData::Publish(arc)) => Publish::parse(raw.flags(), arc.clone()).unwrap().0.into(),
        (4, _) => Puback::parse(data).unwrap().0.into(),
        (9, _) => Suback::parse(data).unwrap().0.into(),
        (11, _) => Unsuback::parse(data).unwrap().0.into(),
        (13, _) => Pingresp::parse(data).unwrap().0.into(),
        (14, _) => Disconnect::parse(data).unwrap().0.into(),
        (kind, _) => panic!("packet type {kind}"),
    }
}
