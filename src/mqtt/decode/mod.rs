//! From the bytes of one packet to what the server says with it, by rumqttc's codec; what that can't
//! read, or reads where MQTT5 forbids it, is dealt with here.

use bytes::BytesMut;
use rumqttc::v5::mqttbytes::QoS as CodecQoS;
use rumqttc::v5::mqttbytes::v5::{ConnAckProperties, Packet, Publish};

use super::publish::{LARGEST_PAYLOAD, Message};
use super::reason::{ReasonCode, Violation};

/// Received packets may have this many bytes: AWS IoT Core's largest payload, and a topic. It is the
/// Maximum Packet Size of our CONNECT.
pub(super) const MAX_PACKET_SIZE: usize = LARGEST_PAYLOAD + 22 * 1024;

/// A packet that a server may send.
#[derive(Debug, PartialEq)]
pub(super) enum Incoming {
    Connack {
        session_present: bool,
        code: ReasonCode,
        properties: Option<Box<ConnAckProperties>>,
    },
    /// A CONNACK in the form of MQTT 3.1.1: the server does not know MQTT5.
    OldConnack,
    Publish {
        /// 0 at QoS 0.
        id: u16,
        message: Message,
    },
    Puback {
        id: u16,
        code: ReasonCode,
    },
    Suback {
        id: u16,
        codes: Vec<ReasonCode>,
    },
    Unsuback {
        id: u16,
    },
    Pingresp,
    Disconnect {
        code: ReasonCode,
        /// What the server says beside the code; may be empty.
        text: String,
    },
}

/// The packet types that have names here (section 2.1.2).
const CONNACK: u8 = 2;
const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;
const SUBACK: u8 = 9;
const UNSUBACK: u8 = 11;
const PINGRESP: u8 = 13;
const DISCONNECT: u8 = 14;

/// Takes the next whole packet off what was received. `None`: more bytes are needed.
pub(super) fn next(received: &mut BytesMut) -> Result<Option<Incoming>, Violation> {
    let Some((header, length)) = frame(received)? else {
        return Ok(None);
    };
    if received.len() < header + length {
        received.reserve(header + length - received.len());
        return Ok(None);
    }
    read(received.split_to(header + length), header).map(Some)
}

/// The lengths of the fixed header and of what follows it (section 2.1.4), once they are there.
fn frame(received: &[u8]) -> Result<Option<(usize, usize)>, Violation> {
    let mut length = 0;
    for (nth, byte) in received.iter().skip(1).take(4).enumerate() {
        length |= usize::from(byte & 0x7F) << (7 * nth);
        if length > MAX_PACKET_SIZE {
            let what = format!("a packet of {length} bytes");
            return Err(Violation::new(ReasonCode::PACKET_TOO_LARGE, what));
        }
        if byte & 0x80 == 0 {
            return Ok(Some((nth + 2, length)));
        }
    }
    if received.len() < 5 {
        return Ok(None);
    }
    Err(Violation::malformed("a length of more than four bytes"))
}

/// Reads one packet; its variable header begins after `header` bytes.
fn read(mut frame: BytesMut, header: usize) -> Result<Incoming, Violation> {
    let first = frame[0];
    let kind = first >> 4;
    let name = match kind {
        CONNACK => "CONNACK",
        PUBLISH => "PUBLISH",
        PUBACK => "PUBACK",
        SUBACK => "SUBACK",
        UNSUBACK => "UNSUBACK",
        PINGRESP => "PINGRESP",
        DISCONNECT => "DISCONNECT",
        5..=7 => return Err(Violation::protocol_error("a packet of QoS 2")),
        15 => return Err(Violation::protocol_error("an AUTH that nobody asked for")),
        _ => {
            return Err(Violation::protocol_error(
                "a packet that only a client sends",
            ));
        }
    };
    if kind != PUBLISH && first & 0x0F != 0 {
        return Err(Violation::malformed(format!(
            "a {name} with reserved bits set"
        )));
    }
    let body = match kind {
        PUBLISH => vec![], // a payload need not be copied; the rest is small
        _ => frame[header..].to_vec(),
    };
    // The short forms of these are beyond the codec.
    match (kind, &body[..]) {
        (DISCONNECT, [] | [_]) => {
            let code = ReasonCode(body.first().copied().unwrap_or_default());
            let text = String::new();
            return Ok(Incoming::Disconnect { code, text });
        }
        (CONNACK, [_, _]) => return Ok(Incoming::OldConnack),
        (UNSUBACK, [high, low] | [high, low, 0]) => {
            let id = u16::from_be_bytes([*high, *low]);
            return Ok(Incoming::Unsuback { id });
        }
        _ => {}
    }
    let length = frame.len();
    // (A length in it that lies looks to the codec like a packet of which more is to come.)
    let packet = Packet::read(&mut frame, None)
        .map_err(|error| Violation::malformed(format!("a {name} that can't be read: {error}")))?;
    // Of a property that comes twice the codec keeps one, so the packet has become shorter (2.2.2.2).
    let kept = match &packet {
        Packet::ConnAck(connack) => connack.size(),
        Packet::Publish(publish) => publish.size(),
        _ => length, // a reason string at most: we look no further
    };
    if kept != length {
        return Err(Violation::protocol_error(format!(
            "a {name} with a property twice"
        )));
    }
    // The codec keeps the numbers of reason codes to itself; they are the byte after the packet id, or
    // (of SUBACK) the last bytes.
    let code = |at: usize| ReasonCode(body.get(at).copied().unwrap_or_default());
    Ok(match packet {
        Packet::ConnAck(connack) => Incoming::Connack {
            session_present: connack.session_present,
            code: code(1),
            properties: connack.properties.map(Box::new),
        },
        Packet::Publish(publish) => return read_publish(publish),
        Packet::PubAck(puback) => Incoming::Puback {
            id: puback.pkid,
            code: code(2),
        },
        Packet::SubAck(suback) => {
            let codes = &body[body.len() - suback.return_codes.len()..];
            Incoming::Suback {
                id: suback.pkid,
                codes: codes.iter().copied().map(ReasonCode).collect(),
            }
        }
        Packet::UnsubAck(unsuback) => Incoming::Unsuback { id: unsuback.pkid },
        Packet::PingResp(_) => Incoming::Pingresp,
        Packet::Disconnect(disconnect) => Incoming::Disconnect {
            code: code(0),
            text: (disconnect.properties)
                .and_then(|properties| properties.reason_string)
                .unwrap_or_default(),
        },
        _ => {
            return Err(Violation::protocol_error(
                "a packet that only a client sends",
            ));
        }
    })
}

/// A PUBLISH, as far as we have allowed it: QoS 0 or 1, and no topic alias.
fn read_publish(packet: Publish) -> Result<Incoming, Violation> {
    let properties = packet.properties.as_ref();
    if properties.is_some_and(|all| all.topic_alias.is_some()) {
        let code = ReasonCode::TOPIC_ALIAS_INVALID;
        return Err(Violation::new(code, "a topic alias"));
    }
    if packet.qos == CodecQoS::ExactlyOnce {
        let code = ReasonCode::QOS_NOT_SUPPORTED;
        return Err(Violation::new(code, "a PUBLISH at QoS 2"));
    }
    if packet.qos == CodecQoS::AtMostOnce && packet.dup {
        return Err(Violation::malformed(
            "a PUBLISH at QoS 0 marked as a duplicate",
        ));
    }
    match String::from_utf8(packet.topic.to_vec()) {
        Ok(topic) if !topic.is_empty() && !topic.contains(['#', '+', '\0']) => {
            let id = packet.pkid;
            let message = Message::new(topic, packet);
            Ok(Incoming::Publish { id, message })
        }
        _ => Err(Violation::malformed("a PUBLISH to what is no topic")),
    }
}

#[cfg(test)]
mod tests;
