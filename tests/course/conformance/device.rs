//! A device that sends what it is told, and keeps what comes.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::Transport;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Packet};
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Far more than an answer takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is needed to connect.
#[derive(Clone)]
pub struct Identity {
    pub ca: String,
    pub certificate: String,
    pub key: String,
}

pub struct Device {
    thing_name: String,
    client: AsyncClient,
    messages: mpsc::UnboundedReceiver<(String, Vec<u8>)>,
    connection: JoinHandle<()>,
}

impl Device {
    /// Connects with the thing's name as client id, and subscribes to what concerns its jobs.
    pub async fn connect(
        thing_name: &str,
        port: u16,
        identity: &Identity,
    ) -> Result<Device, Box<dyn Error>> {
        let mut options = MqttOptions::new(thing_name, "localhost", port);
        options
            .set_transport(Transport::tls_with_config(tls_config(identity)?.into()))
            .set_clean_start(true)
            .set_keep_alive(Duration::from_secs(600));
        let (client, mut events) = AsyncClient::new(options, 100);
        let (to_us, messages) = mpsc::unbounded_channel();
        let connection = tokio::spawn(async move {
            while let Ok(event) = events.poll().await {
                let message = match event {
                    Event::Incoming(Packet::Publish(publish)) => {
                        let topic = String::from_utf8_lossy(&publish.topic).into_owned();
                        (topic, publish.payload.to_vec())
                    }
                    Event::Incoming(Packet::SubAck(_)) => ("SUBACK".to_owned(), Vec::new()),
                    _ => continue,
                };
                if to_us.send(message).is_err() {
                    return;
                }
            }
        });
        let mut device = Device {
            thing_name: thing_name.to_owned(),
            client,
            messages,
            connection,
        };
        let jobs = [
            "notify",
            "notify-next",
            "get/+",
            "start-next/+",
            "+/get/+",
            "+/update/+",
            "+/nonsense/+",
        ];
        let filter = |rest: &str| Filter::new(device.jobs_topic(rest), QoS::AtLeastOnce);
        let mut filters: Vec<_> = jobs.into_iter().map(filter).collect();
        filters.push(Filter::new(device.mark(), QoS::AtLeastOnce));
        device.client.subscribe_many(filters).await?;
        while device.next().await?.0 != "SUBACK" {}
        Ok(device)
    }

    /// Publishes to a topic of the thing's jobs.
    pub async fn publish(&self, rest: &str, payload: &str) -> Result<(), Box<dyn Error>> {
        let (topic, payload) = (self.jobs_topic(rest), payload.to_owned());
        Ok(self
            .client
            .publish(topic, QoS::AtLeastOnce, false, payload)
            .await?)
    }

    /// All messages so far: the part of the topic behind `jobs/`, and the payload.
    ///
    /// A message to ourselves is behind all that was sent before; a little time is for what an
    /// emulator sends from somewhere else.
    pub async fn messages(&mut self) -> Result<Vec<(String, Vec<u8>)>, Box<dyn Error>> {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let (mark, jobs) = (self.mark(), self.jobs_topic(""));
        self.client
            .publish(&mark, QoS::AtLeastOnce, false, "")
            .await?;
        let mut messages = Vec::new();
        loop {
            let (topic, payload) = self.next().await?;
            if topic == mark {
                return Ok(messages);
            }
            let rest = topic.strip_prefix(&jobs).unwrap_or(&topic);
            messages.push((rest.to_owned(), payload));
        }
    }

    async fn next(&mut self) -> Result<(String, Vec<u8>), Box<dyn Error>> {
        let message = timeout(PATIENCE, self.messages.recv()).await;
        Ok(message
            .map_err(|_| "no answer within 30 seconds")?
            .ok_or("the connection is closed")?)
    }

    fn jobs_topic(&self, rest: &str) -> String {
        format!("$aws/things/{}/jobs/{rest}", self.thing_name)
    }

    fn mark(&self) -> String {
        format!("mark/{}", self.thing_name)
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

fn tls_config(identity: &Identity) -> Result<ClientConfig, Box<dyn Error>> {
    let mut roots = RootCertStore::empty();
    for ca in CertificateDer::pem_slice_iter(identity.ca.as_bytes()) {
        roots.add(ca?)?;
    }
    let certificates = CertificateDer::pem_slice_iter(identity.certificate.as_bytes());
    let certificates = certificates.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates, key)?;
    Ok(config)
}
