//! What is published, and what is received (MQTT5, section 3.3).

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use rumqttc::v5::mqttbytes::v5::{
    LastWill, LastWillProperties, Publish as PublishPacket, PublishProperties,
};

use super::error::PublishError;

/// How surely a message is delivered. (AWS IoT Core has no QoS 2.)
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum QoS {
    /// QoS 0: sent once. It is lost with a connection that ends meanwhile.
    AtMostOnce,
    /// QoS 1: sent until it is acknowledged, so it may arrive twice.
    #[default]
    AtLeastOnce,
}

/// AWS IoT Core takes payloads of 128 KiB, though its Maximum Packet Size would allow for more.
pub(super) const LARGEST_PAYLOAD: usize = 128 * 1024;

/// A message to publish, built up: `Publish::new("dt/lamp/lux", "17").qos(QoS::AtMostOnce)`.
///
/// At QoS 1, not retained and without properties if nothing else is said.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "it is published by Client::publish"]
pub struct Publish {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    properties: PublishProperties,
}

impl Publish {
    /// A message for a topic. AWS IoT Core takes topics of up to 256 bytes, payloads of up to 128 KiB.
    pub fn new(topic: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self {
            topic: topic.into(),
            payload: payload.into(),
            qos: QoS::default(),
            retain: false,
            properties: PublishProperties::default(),
        }
    }

    /// How surely it is delivered.
    pub fn qos(self, qos: QoS) -> Self {
        Self { qos, ..self }
    }

    /// Whether the server keeps it for those who subscribe later. The policy must allow
    /// `iot:RetainPublish`. An empty payload clears what is kept.
    pub fn retain(self, retain: bool) -> Self {
        Self { retain, ..self }
    }

    /// Where an answer is expected (section 4.10).
    pub fn response_topic(mut self, topic: impl Into<String>) -> Self {
        self.properties.response_topic = Some(topic.into());
        self
    }

    /// By what the requester knows which request an answer belongs to.
    pub fn correlation_data(mut self, data: impl Into<Bytes>) -> Self {
        self.properties.correlation_data = Some(data.into());
        self
    }

    /// A name and a value for the receiver. Several are sent in their order.
    pub fn user_property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let property = (name.into(), value.into());
        self.properties.user_properties.push(property);
        self
    }

    /// How long the server tries to deliver it, in whole seconds.
    pub fn message_expiry(mut self, expiry: Duration) -> Self {
        let seconds = u32::try_from(expiry.as_secs()).unwrap_or(u32::MAX);
        self.properties.message_expiry_interval = Some(seconds);
        self
    }

    /// What the payload is, as a MIME type.
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.properties.content_type = Some(content_type.into());
        self
    }

    /// What would be wrong with it whatever the server says. Its payload may have so many bytes.
    pub(super) fn check(&self, largest_payload: usize) -> Result<(), PublishError> {
        let topic = &self.topic;
        if topic.is_empty() || topic.contains(['#', '+']) || !is_string(topic) {
            let topic = topic.clone();
            return Err(PublishError::BadTopic { topic });
        }
        let properties = &self.properties;
        let texts = [&properties.response_topic, &properties.content_type];
        let mut texts = texts
            .into_iter()
            .flatten()
            .chain((properties.user_properties.iter()).flat_map(|(name, value)| [name, value]));
        let data = properties.correlation_data.as_ref();
        if texts.any(|text| !is_string(text)) || data.is_some_and(|data| !fits(data)) {
            return Err(PublishError::BadProperty);
        }
        let (size, limit) = (self.payload.len(), largest_payload);
        if size > limit {
            return Err(PublishError::TooLarge { size, limit });
        }
        Ok(())
    }

    /// As the packet that is sent; `id` is 0 at QoS 0.
    pub(super) fn packet(self, id: u16) -> PublishPacket {
        let is_plain = self.properties == PublishProperties::default();
        PublishPacket {
            dup: false,
            qos: self.qos.into(),
            retain: self.retain,
            topic: self.topic.into(),
            pkid: id,
            payload: self.payload,
            properties: (!is_plain).then_some(self.properties),
        }
    }

    /// As the last will in a CONNECT (section 3.1.3).
    pub(super) fn will(self) -> LastWill {
        let properties = self.properties;
        LastWill {
            topic: self.topic.into(),
            message: self.payload,
            qos: self.qos.into(),
            retain: self.retain,
            properties: Some(LastWillProperties {
                delay_interval: None,
                payload_format_indicator: None,
                message_expiry_interval: properties.message_expiry_interval,
                content_type: properties.content_type,
                response_topic: properties.response_topic,
                correlation_data: properties.correlation_data,
                user_properties: properties.user_properties,
            }),
        }
    }
}

/// Whether MQTT5 can send it as a string (section 1.5.4). The codec would send half of a length.
pub(super) fn is_string(text: &str) -> bool {
    fits(text.as_bytes()) && !text.contains('\0')
}

/// Whether MQTT5 can send it where a length has two bytes (section 1.5.6).
fn fits(bytes: &[u8]) -> bool {
    bytes.len() <= usize::from(u16::MAX)
}

/// A message that the server delivered.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// The topic it was published to.
    pub topic: String,
    /// Whatever was published.
    pub payload: Bytes,
    /// How surely it was delivered.
    pub qos: QoS,
    /// Whether it was kept by the server from before the subscription.
    pub retain: bool,
    /// Where the publisher expects an answer.
    pub response_topic: Option<String>,
    /// By what the publisher knows which request an answer belongs to.
    pub correlation_data: Option<Bytes>,
    /// Names and values that the publisher sent along.
    pub user_properties: Vec<(String, String)>,
    /// How much longer it is good for, where the publisher set a limit.
    pub message_expiry: Option<Duration>,
    /// What the payload is, as a MIME type.
    pub content_type: Option<String>,
}

/// Without what was published: it may be a job document, with presigned URLs in it.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.payload.len();
        write!(
            f,
            "Message {{ topic: {:?}, {bytes} bytes, .. }}",
            self.topic
        )
    }
}

impl Message {
    /// What a PUBLISH of the server brings, on a topic that was read already.
    pub(super) fn new(topic: String, packet: PublishPacket) -> Self {
        let properties = packet.properties.unwrap_or_default();
        let expiry = properties.message_expiry_interval;
        Self {
            topic,
            payload: packet.payload,
            qos: if packet.pkid == 0 {
                QoS::AtMostOnce
            } else {
                QoS::AtLeastOnce
            },
            retain: packet.retain,
            response_topic: properties.response_topic,
            correlation_data: properties.correlation_data,
            user_properties: properties.user_properties,
            message_expiry: expiry.map(|seconds| Duration::from_secs(seconds.into())),
            content_type: properties.content_type,
        }
    }
}

impl From<QoS> for rumqttc::v5::mqttbytes::QoS {
    fn from(qos: QoS) -> Self {
        match qos {
            QoS::AtMostOnce => Self::AtMostOnce,
            QoS::AtLeastOnce => Self::AtLeastOnce,
        }
    }
}
