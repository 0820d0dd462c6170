//! A message from the cloud: `publish [OPTION…] TOPIC TEXT`.

use std::error::Error;

use local_iot_core::Message;

use super::words::{first_word, number};

/// Reads a message. Its options stand before the topic.
///
/// # Errors
/// If there is no topic, or an option has no such value.
pub fn read(line: &str) -> Result<Message, Box<dyn Error>> {
    let mut message = Message::new("", "");
    let mut rest = line;
    loop {
        let (word, after) = first_word(rest);
        let is_option = match word.split_once('=') {
            None if word == "retain" => {
                message.retain = true;
                true
            }
            Some((name, value)) => set(&mut message, name, value)?,
            None => false,
        };
        if !is_option {
            if word.is_empty() {
                return Err("publish needs a topic; `help` lists its options".into());
            }
            message.topic = word.to_owned();
            message.payload = after.as_bytes().into();
            return Ok(message);
        }
        rest = after;
    }
}

/// Sets an option. False if it is none.
fn set(message: &mut Message, name: &str, value: &str) -> Result<bool, Box<dyn Error>> {
    let properties = &mut message.properties;
    match name {
        "qos" => {
            message.qos = match value {
                "0" => 0,
                "1" => 1,
                _ => return Err(format!("qos is 0 or 1 at AWS IoT Core, not '{value}'").into()),
            }
        }
        "response" => properties.response_topic = Some(value.to_owned()),
        "correlation" => properties.correlation_data = Some(value.as_bytes().to_vec()),
        "type" => properties.content_type = Some(value.to_owned()),
        "expiry" => properties.message_expiry = Some(number(value, "seconds")?),
        "property" => {
            let (name, value) = value
                .split_once(':')
                .ok_or_else(|| format!("a property is NAME:VALUE, not '{value}'"))?;
            let property = (name.to_owned(), value.to_owned());
            properties.user_properties.push(property);
        }
        _ => return Ok(false), // a topic may have a '=' in it
    }
    Ok(true)
}
