//! The properties of a message, as MQTT has them and as the service keeps them.

use mqtt_protocol_core::mqtt::{
    packet::{
        ContentType, CorrelationData, MessageExpiryInterval, PayloadFormat, PayloadFormatIndicator,
        Property, ResponseTopic, UserProperty,
    },
    result_code::MqttError,
};

use crate::message::Properties;

/// Those that are passed on. The others concern the connection or a will only.
pub(super) fn read(properties: &[Property]) -> Properties {
    let mut read = Properties::default();
    for property in properties {
        match property {
            Property::ResponseTopic(topic) => read.response_topic = Some(topic.val().to_owned()),
            Property::CorrelationData(data) => read.correlation_data = Some(data.val().to_owned()),
            Property::UserProperty(one) => read
                .user_properties
                .push((one.key().to_owned(), one.val().to_owned())),
            Property::MessageExpiryInterval(seconds) => read.message_expiry = Some(seconds.val()),
            Property::ContentType(kind) => read.content_type = Some(kind.val().to_owned()),
            Property::PayloadFormatIndicator(format) => read.is_text = Some(format.val() != 0),
            _ => {}
        }
    }
    read
}

pub(super) fn write(properties: &Properties) -> Result<Vec<Property>, MqttError> {
    let mut written: Vec<Property> = Vec::new();
    if let Some(topic) = &properties.response_topic {
        written.push(ResponseTopic::new(topic)?.into());
    }
    if let Some(data) = &properties.correlation_data {
        written.push(CorrelationData::new(data)?.into());
    }
    for (name, value) in &properties.user_properties {
        written.push(UserProperty::new(name, value)?.into());
    }
    if let Some(seconds) = properties.message_expiry {
        written.push(MessageExpiryInterval::new(seconds)?.into());
    }
    if let Some(kind) = &properties.content_type {
        written.push(ContentType::new(kind)?.into());
    }
    if let Some(is_text) = properties.is_text {
        let format = match is_text {
            true => PayloadFormat::String,
            false => PayloadFormat::Binary,
        };
        written.push(PayloadFormatIndicator::new(format)?.into());
    }
    Ok(written)
}
