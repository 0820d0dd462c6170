//! An MQTT packet, as far as it takes to count and to change packets.

use serde_json::Value;

/// The bytes of one packet.
#[derive(Debug, Clone, PartialEq)]
pub struct Packet(pub Vec<u8>);

/// A PUBLISH, taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Publish {
    first_byte: u8,
    pub topic: String,
    /// None at QoS 0.
    pub packet_id: Option<u16>,
    properties: Vec<u8>,
    pub payload: Vec<u8>,
}

impl Packet {
    pub const CONNACK: u8 = 2;
    pub const PUBLISH: u8 = 3;
    pub const PUBACK: u8 = 4;
    pub const SUBSCRIBE: u8 = 8;

    /// How long the packet is that these bytes begin with, if all of it is there.
    pub fn length(bytes: &[u8]) -> Option<usize> {
        let (remaining, digits) = variable_number(bytes.get(1..)?)?;
        let length = 1 + digits + remaining;
        (bytes.len() >= length).then_some(length)
    }

    /// Its type: CONNECT is 1.
    pub fn kind(&self) -> u8 {
        self.0[0] >> 4
    }

    /// What follows after type and length.
    pub fn body(&mut self) -> &mut [u8] {
        let digits = variable_number(&self.0[1..]).map_or(0, |(_, digits)| digits);
        &mut self.0[1 + digits..]
    }

    /// Puts these bytes in the place of those, wherever they are.
    pub fn replace<const LENGTH: usize>(&mut self, those: &[u8; LENGTH], these: &[u8; LENGTH]) {
        for start in 0..=self.0.len().saturating_sub(LENGTH) {
            if self.0[start..].starts_with(those) {
                self.0[start..start + LENGTH].copy_from_slice(these);
            }
        }
    }

    /// The packet id of a PUBACK.
    pub fn acknowledged(&mut self) -> Option<u16> {
        if self.kind() != Self::PUBACK {
            return None;
        }
        let id = self.body().first_chunk()?;
        Some(u16::from_be_bytes(*id))
    }

    /// None if it is no PUBLISH.
    pub fn publish(&mut self) -> Option<Publish> {
        if self.kind() != Self::PUBLISH {
            return None;
        }
        let first_byte = self.0[0];
        let (length, rest) = self.body().split_first_chunk()?;
        let (topic, mut rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        let mut packet_id = None;
        if first_byte & 0b0110 != 0 {
            let (id, after) = rest.split_first_chunk()?;
            (packet_id, rest) = (Some(u16::from_be_bytes(*id)), after);
        }
        let (length, digits) = variable_number(rest)?;
        let (properties, payload) = rest[digits..].split_at_checked(length)?;
        Some(Publish {
            first_byte,
            topic: String::from_utf8_lossy(topic).into_owned(),
            packet_id,
            properties: properties.to_vec(),
            payload: payload.to_vec(),
        })
    }
}

impl Publish {
    /// Without the DUP flag.
    pub fn sent_first(mut self) -> Self {
        self.first_byte &= !0b1000;
        self
    }

    /// The payload with some change to its JSON; None if it is none.
    pub fn edited(mut self, edit: impl FnOnce(&mut Value)) -> Option<Self> {
        let mut json = serde_json::from_slice(&self.payload).ok()?;
        edit(&mut json);
        self.payload = json.to_string().into_bytes();
        Some(self)
    }

    pub fn packet(&self) -> Packet {
        let mut body = (self.topic.len() as u16).to_be_bytes().to_vec();
        body.extend(self.topic.as_bytes());
        body.extend(self.packet_id.into_iter().flat_map(u16::to_be_bytes));
        write_number(&mut body, self.properties.len());
        body.extend(&self.properties);
        body.extend(&self.payload);
        let mut packet = vec![self.first_byte];
        write_number(&mut packet, body.len());
        packet.extend(body);
        Packet(packet)
    }
}

/// A variable byte integer (MQTT5, 1.5.5), and how many bytes it takes.
fn variable_number(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut number = 0;
    for (nth, byte) in bytes.iter().take(4).enumerate() {
        number |= usize::from(byte & 0x7f) << (7 * nth);
        if byte & 0x80 == 0 {
            return Some((number, nth + 1));
        }
    }
    None
}

fn write_number(to: &mut Vec<u8>, mut number: usize) {
    loop {
        let digit = (number % 128) as u8;
        number /= 128;
        to.push(if number > 0 { digit | 0x80 } else { digit });
        if number == 0 {
            return;
        }
    }
}
