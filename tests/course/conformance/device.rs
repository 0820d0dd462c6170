//! A device that sends what it is told, and keeps what comes.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use jobs_mqtt5::mqtt::{self, Client, Options, Publish, Subscription};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
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
    client: Client,
    messages: Subscription,
}

impl Device {
    /// Connects with the thing's name as client ID, and subscribes to what concerns its jobs.
    pub async fn connect(
        thing_name: &str,
        port: u16,
        identity: &Identity,
    ) -> Result<Device, Box<dyn Error>> {
        let tls = Arc::new(tls_config(identity)?);
        let mut options = Options::new("localhost", thing_name, tls);
        options.port = port;
        options.keep_alive = Duration::from_secs(600);
        let (client, _) = mqtt::connect(options);
        let jobs = [
            "notify",
            "notify-next",
            "get/+",
            "start-next/+",
            "+/get/+",
            "+/update/+",
            "+/nonsense/+",
        ];
        let jobs = jobs.map(|rest| jobs_topic(thing_name, rest));
        let filters = jobs.into_iter().chain([mark(thing_name)]);
        let messages = client.subscribe(filters);
        timeout(PATIENCE, messages.granted().wait()).await??;
        Ok(Device {
            thing_name: thing_name.to_owned(),
            client,
            messages,
        })
    }

    /// Publishes to a topic of the thing's jobs.
    pub async fn publish(&self, rest: &str, payload: &str) -> Result<(), Box<dyn Error>> {
        let topic = jobs_topic(&self.thing_name, rest);
        let publish = Publish::new(topic, payload.to_owned());
        Ok(timeout(PATIENCE, self.client.publish(publish)).await??)
    }

    /// All messages so far: the part of the topic behind `jobs/`, and the payload.
    ///
    /// A message to ourselves is behind all that was sent before; a little time is for what an
    /// emulator sends from somewhere else.
    pub async fn messages(&mut self) -> Result<Vec<(String, Vec<u8>)>, Box<dyn Error>> {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let (mark, jobs) = (mark(&self.thing_name), jobs_topic(&self.thing_name, ""));
        let publish = Publish::new(&mark, "");
        timeout(PATIENCE, self.client.publish(publish)).await??;
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
        let message = timeout(PATIENCE, self.messages.next()).await;
        let message = message.map_err(|_| "no answer within 30 seconds")?;
        let message = message.ok_or("the connection is closed")?;
        Ok((message.topic, message.payload.to_vec()))
    }
}

fn jobs_topic(thing_name: &str, rest: &str) -> String {
    format!("$aws/things/{thing_name}/jobs/{rest}")
}

fn mark(thing_name: &str) -> String {
    format!("mark/{thing_name}")
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
