//! What a server must never send, and a device must survive.

use std::{fmt, str::FromStr};

/// A packet that MQTT forbids where it comes, or bytes that are none. [`breaches`] explains each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "breaches() explains each")]
pub enum Breach {
    Pubrec,
    Pubcomp,
    Pubrel,
    ForeignPuback,
    ForeignSuback,
    ForeignUnsuback,
    SecondConnack,
    Auth,
    Connect,
    Subscribe,
    Pingreq,
    TopicAlias,
    UnknownAlias,
    Qos2,
    Qos3,
    NoTopic,
    WildcardTopic,
    PacketIdZero,
    NoUtf8,
    TwiceTheProperty,
    UnknownProperty,
    UnknownReason,
    ClientsReason,
    BadFlags,
    Reserved,
    TooShort,
    EndlessLength,
    Oversized,
    Flood,
}

/// How many bytes a flood has.
const FLOOD: usize = 8 * 1024 * 1024;

/// Each breach by its name, with a line that explains it.
pub fn breaches() -> &'static [(&'static str, Breach, &'static str)] {
    use Breach as B;
    &[
        ("pubrec", B::Pubrec, "PUBREC in place of PUBACK"),
        ("pubcomp", B::Pubcomp, "PUBCOMP in place of PUBACK"),
        ("pubrel", B::Pubrel, "PUBREL for a message that never came"),
        (
            "foreign-puback",
            B::ForeignPuback,
            "PUBACK for what was never published",
        ),
        (
            "foreign-suback",
            B::ForeignSuback,
            "SUBACK for what was never asked for",
        ),
        (
            "foreign-unsuback",
            B::ForeignUnsuback,
            "UNSUBACK for what was never asked for",
        ),
        ("second-connack", B::SecondConnack, "a second CONNACK"),
        (
            "auth",
            B::Auth,
            "AUTH, which nobody asked for, in its short form",
        ),
        ("connect", B::Connect, "CONNECT, which only a client sends"),
        (
            "subscribe",
            B::Subscribe,
            "SUBSCRIBE, which only a client sends",
        ),
        ("pingreq", B::Pingreq, "PINGREQ, which only a client sends"),
        (
            "topic-alias",
            B::TopicAlias,
            "a message that sets a topic alias",
        ),
        (
            "unknown-alias",
            B::UnknownAlias,
            "a message with a topic alias and no topic",
        ),
        ("qos-2", B::Qos2, "a message at QoS 2"),
        ("qos-3", B::Qos3, "a message at QoS 3, which does not exist"),
        ("no-topic", B::NoTopic, "a message without a topic"),
        ("wildcard-topic", B::WildcardTopic, "a message on a/#"),
        (
            "packet-id-0",
            B::PacketIdZero,
            "a message with the packet id 0",
        ),
        (
            "no-utf-8",
            B::NoUtf8,
            "a message with a topic that is no text",
        ),
        (
            "twice-the-property",
            B::TwiceTheProperty,
            "a message with two content types",
        ),
        (
            "unknown-property",
            B::UnknownProperty,
            "a message with a property that does not exist",
        ),
        (
            "unknown-reason",
            B::UnknownReason,
            "PUBACK with a reason code that does not exist",
        ),
        (
            "clients-reason",
            B::ClientsReason,
            "DISCONNECT with a reason that only a client has",
        ),
        ("bad-flags", B::BadFlags, "PINGRESP with flags"),
        ("reserved", B::Reserved, "a packet of the type 0"),
        ("too-short", B::TooShort, "PUBACK of a single byte"),
        ("endless-length", B::EndlessLength, "a length of five bytes"),
        (
            "oversized",
            B::Oversized,
            "the beginning of a packet of 256 MB, and no more",
        ),
        ("flood", B::Flood, "8 MB of PINGRESP"),
    ]
}

impl Breach {
    /// Whether it takes the place of PUBACK, and does not come before it.
    pub(crate) fn replaces_puback(self) -> bool {
        matches!(
            self,
            Breach::Pubrec | Breach::Pubcomp | Breach::UnknownReason
        )
    }

    /// What is sent where a PUBLISH with this packet id is to be acknowledged.
    pub fn bytes(self, packet_id: u16) -> Vec<u8> {
        let [high, low] = packet_id.to_be_bytes();
        match self {
            Breach::Pubrec => vec![0x50, 2, high, low],
            Breach::Pubcomp => vec![0x70, 2, high, low],
            Breach::Pubrel => vec![0x62, 2, 0x12, 0x34],
            Breach::ForeignPuback => vec![0x40, 2, 0xff, 0xfe],
            Breach::ForeignSuback => vec![0x90, 4, 0xff, 0xfe, 0, 1],
            Breach::ForeignUnsuback => vec![0xb0, 4, 0xff, 0xfe, 0, 0],
            Breach::SecondConnack => vec![0x20, 3, 0, 0, 0],
            Breach::Auth => vec![0xf0, 0],
            Breach::Connect => b"\x10\x10\0\x04MQTT\x05\x02\0\x1e\0\0\x03you".to_vec(),
            Breach::Subscribe => b"\x82\x07\0\x01\0\0\x01a\x01".to_vec(),
            Breach::Pingreq => vec![0xc0, 0],
            Breach::TopicAlias => b"\x30\x08\0\x01a\x03\x23\xff\xfex".to_vec(),
            Breach::UnknownAlias => b"\x30\x07\0\0\x03\x23\0\x01x".to_vec(),
            Breach::Qos2 => b"\x34\x07\0\x01a\0\x01\0x".to_vec(),
            Breach::Qos3 => b"\x36\x07\0\x01a\0\x01\0x".to_vec(),
            Breach::NoTopic => b"\x30\x04\0\0\0x".to_vec(),
            Breach::WildcardTopic => b"\x30\x07\0\x03a/#\0x".to_vec(),
            Breach::PacketIdZero => b"\x32\x07\0\x01a\0\0\0x".to_vec(),
            Breach::NoUtf8 => b"\x30\x06\0\x02\xff\xfe\0x".to_vec(),
            Breach::TwiceTheProperty => b"\x30\x0d\0\x01a\x08\x03\0\x01b\x03\0\x01cx".to_vec(),
            Breach::UnknownProperty => b"\x30\x07\0\x01a\x02\x7f\0x".to_vec(),
            Breach::UnknownReason => vec![0x40, 3, high, low, 0xfe],
            Breach::ClientsReason => vec![0xe0, 1, 0x04],
            Breach::BadFlags => vec![0xdf, 0],
            Breach::Reserved => vec![0, 0],
            Breach::TooShort => vec![0x40, 1, high],
            Breach::EndlessLength => vec![0x30, 0x80, 0x80, 0x80, 0x80, 1],
            Breach::Oversized => vec![0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1, b'a', 0, b'x'],
            Breach::Flood => [0xd0, 0].repeat(FLOOD / 2),
        }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = breaches().iter();
        let name = all.find(|(_, breach, _)| breach == self);
        f.write_str(name.map_or("", |(name, ..)| name))
    }
}

impl FromStr for Breach {
    type Err = String;

    fn from_str(text: &str) -> Result<Breach, String> {
        let mut all = breaches().iter();
        let found = all.find(|(name, ..)| *name == text);
        found
            .map(|(_, breach, _)| *breach)
            .ok_or_else(|| format!("'{text}' is no breach of MQTT"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_name_and_is_as_long_as_it_says() {
        for (name, breach, _) in breaches() {
            assert_eq!(name.parse(), Ok(*breach));
            assert_eq!(breach.to_string(), *name);
            let bytes = breach.bytes(0x0102);
            let is_whole = usize::from(bytes[1]) == bytes.len() - 2;
            let never_ends = matches!(
                breach,
                Breach::EndlessLength | Breach::Oversized | Breach::Flood
            );
            assert!(is_whole != never_ends, "{name}");
        }
        assert!("politeness".parse::<Breach>().is_err());
    }
}
