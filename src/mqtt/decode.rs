//! From the bytes of one packet to what the server says with it, by rumqttc's codec; what that can't
//! read, or reads where MQTT5 forbids it, is dealt with here.

use bytes::BytesMut;
use rumqttc::v5::mqttbytes::QoS as CodecQoS;
use rumqttc::v5::mqttbytes::v5::{ConnAckProperties, Packet, Publish};

use super::publish::{LARGEST_PAYLOAD, Message};
use super::reason::ReasonCode;

/// Received packets may have this many bytes: AWS IoT Core's largest payload, and a topic. It is the
/// Maximum Packet Size of our CONNECT.
pub(super) const MAX_PACKET_SIZE: usize = LARGEST_PAYLOAD + 22 * 1024;

/// A packet that a server may send.
#[derive(Debug, PartialEq)]
pub(super) enum Incoming {
    Connack {
        session_present: bool,
        code: ReasonCode,
        limits: Option<Box<ConnAckProperties>>,
    },
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

/// What a server may not send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation {
    /// What our DISCONNECT says of it.
    pub code: ReasonCode,
    /// What it is, as half a sentence.
    pub what: String,
}

impl Violation {
    pub fn protocol_error(what: impl Into<String>) -> Self {
        let (code, what) = (ReasonCode::PROTOCOL_ERROR, what.into());
        Self { code, what }
    }

    fn malformed(what: impl Into<String>) -> Self {
        let (code, what) = (ReasonCode::MALFORMED_PACKET, what.into());
        Self { code, what }
    }
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
            let (code, what) = (
                ReasonCode::PACKET_TOO_LARGE,
                format!("a packet of {length} bytes"),
            );
            return Err(Violation { code, what });
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
    // A payload need not be copied; the rest is small.
    let body = if kind == PUBLISH {
        &[]
    } else {
        &frame[header..]
    };
    let body = body.to_vec();
    // The short forms of these are beyond the codec.
    match (kind, &body[..]) {
        (DISCONNECT, [] | [_]) => {
            let code = ReasonCode(body.first().copied().unwrap_or_default());
            let text = String::new();
            return Ok(Incoming::Disconnect { code, text });
        }
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
            limits: connack.properties.map(Box::new),
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
        let (code, what) = (ReasonCode::TOPIC_ALIAS_INVALID, "a topic alias".to_owned());
        return Err(Violation { code, what });
    }
    if packet.qos == CodecQoS::ExactlyOnce {
        let (code, what) = (
            ReasonCode::QOS_NOT_SUPPORTED,
            "a PUBLISH at QoS 2".to_owned(),
        );
        return Err(Violation { code, what });
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
mod tests {
    use super::*;

    fn read_all(bytes: &[u8]) -> Result<Option<Incoming>, Violation> {
        next(&mut BytesMut::from(bytes))
    }

    fn code_of(bytes: &[u8]) -> u8 {
        read_all(bytes).unwrap_err().code.0
    }

    #[test]
    fn every_short_form_is_read() {
        let disconnect = |code| {
            let (code, text) = (ReasonCode(code), String::new());
            Ok(Some(Incoming::Disconnect { code, text }))
        };
        assert_eq!(read_all(&[0xE0, 0]), disconnect(0));
        assert_eq!(read_all(&[0xE0, 1, 0x8E]), disconnect(0x8E));
        assert_eq!(read_all(&[0xE0, 2, 0x8B, 0]), disconnect(0x8B));
        let puback = |code| {
            Ok(Some(Incoming::Puback {
                id: 7,
                code: ReasonCode(code),
            }))
        };
        assert_eq!(read_all(&[0x40, 2, 0, 7]), puback(0));
        assert_eq!(read_all(&[0x40, 3, 0, 7, 0x87]), puback(0x87));
        assert_eq!(read_all(&[0x40, 4, 0, 7, 0x10, 0]), puback(0x10));
        let unsuback = Ok(Some(Incoming::Unsuback { id: 7 }));
        for bytes in [
            &[0xB0, 2, 0, 7][..],
            &[0xB0, 3, 0, 7, 0],
            &[0xB0, 4, 0, 7, 0, 0x11],
        ] {
            assert_eq!(read_all(bytes), unsuback, "{bytes:?}");
        }
        for bytes in [&[0xF0, 0][..], &[0xF0, 2, 0x18, 0]] {
            assert_eq!(code_of(bytes), 0x82, "AUTH is understood, and out of place");
        }
    }

    #[test]
    fn the_reason_codes_of_a_suback_are_those_at_its_end() {
        let with_text = [0x90, 9, 0, 7, 4, 0x1F, 0, 1, b'x', 1, 0x87];
        let codes = vec![ReasonCode(1), ReasonCode(0x87)];
        assert_eq!(
            read_all(&with_text),
            Ok(Some(Incoming::Suback { id: 7, codes }))
        );
    }

    #[test]
    fn what_is_not_whole_yet_is_waited_for() {
        let disconnect = [0xE0, 2, 0x8B, 0];
        for end in 0..disconnect.len() {
            assert_eq!(read_all(&disconnect[..end]), Ok(None));
        }
    }

    /// Every property that a CONNACK or a PUBLISH may have, those with a number of bytes in front as
    /// they are: none is taken for one that came twice, and once more is (but the user's, which may).
    #[test]
    fn a_property_may_come_once() {
        let texts = [0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F];
        let text = texts.map(|id| (0x20, vec![id, 0, 1, b'x']));
        let bytes = [0x24, 0x25, 0x28, 0x29, 0x2A].map(|id| (0x20, vec![id, 1]));
        let twos = [0x13, 0x21, 0x22].map(|id| (0x20, vec![id, 0, 1]));
        let fours = [0x11, 0x27].map(|id| (0x20, vec![id, 0, 0, 0, 1]));
        let of_connack = text.into_iter().chain(bytes).chain(twos).chain(fours);
        let of_publish = [
            vec![0x01, 1],
            vec![0x02, 0, 0, 0, 1],
            vec![0x03, 0, 1, b'x'],
            vec![0x08, 0, 1, b'x'],
            vec![0x09, 0, 1, b'x'],
        ];
        let of_publish = of_publish.map(|property| (0x30, property));
        for (first, property) in of_connack.chain(of_publish) {
            let front = if first == 0x20 {
                vec![0, 0]
            } else {
                vec![0, 1, b'a']
            };
            let packet = |properties: &[u8]| {
                let body = [&front, &[properties.len() as u8][..], properties].concat();
                [&[first, body.len() as u8][..], &body].concat()
            };
            let users = [0x26, 0, 1, b'k', 0, 1, b'v'];
            let once = [&property[..], &users, &users].concat();
            assert!(read_all(&packet(&once)).is_ok(), "{property:x?}");
            let twice = [&property[..], &users, &property].concat();
            assert_eq!(code_of(&packet(&twice)), 0x82, "{property:x?}");
        }
        let subscription_ids = [0x30, 9, 0, 1, b'a', 5, 0x0B, 1, 0x0B, 0x80, 1];
        assert!(read_all(&subscription_ids).is_ok(), "one per subscription");
    }

    #[test]
    fn what_a_server_may_not_send_has_the_reason_that_mqtt5_names() {
        for (bytes, code, what) in [
            (&[0x50, 2, 0, 1][..], 0x82, "PUBREC"),
            (&[0x62, 2, 0, 1], 0x82, "PUBREL"),
            (&[0xC0, 0], 0x82, "PINGREQ"),
            (&[0x10, 0], 0x82, "CONNECT"),
            (&[0x00, 0], 0x82, "no packet at all"),
            (&[0xD1, 0], 0x81, "reserved bits"),
            (
                &[0x30, 0xFF, 0xFF, 0xFF, 0xFF],
                0x95,
                "a length beyond our limit",
            ),
            (
                &[0x30, 0x80, 0x80, 0x80, 0x80, 0x01],
                0x81,
                "a length of five bytes",
            ),
            (
                &[0x30, 3, 0, 1, b'#'],
                0x81,
                "a wildcard, and no property length",
            ),
            (&[0x30, 4, 0, 1, b'#', 0], 0x81, "a wildcard in a topic"),
            (&[0x30, 3, 0, 0, 0], 0x81, "no topic"),
            (&[0x38, 4, 0, 1, b'a', 0], 0x81, "DUP at QoS 0"),
            (&[0x32, 6, 0, 1, b'a', 0, 0, 0], 0x81, "packet id 0"),
            (&[0x34, 6, 0, 1, b'a', 0, 1, 0], 0x9B, "QoS 2"),
            (&[0x36, 6, 0, 1, b'a', 0, 1, 0], 0x81, "QoS 3"),
            (&[0x30, 7, 0, 1, b'a', 3, 0x23, 0, 1], 0x94, "a topic alias"),
            (
                &[0x30, 6, 0, 1, b'a', 2, 0x0B, 0xFF],
                0x81,
                "a number that does not end",
            ),
            (&[0x20, 1, 0], 0x81, "half a CONNACK"),
            (&[0x40, 1, 0], 0x81, "half a PUBACK"),
            (&[0x90, 3, 0, 7, 0], 0x81, "a SUBACK without a code"),
        ] {
            assert_eq!(code_of(bytes), code, "{what}");
        }
    }
}
