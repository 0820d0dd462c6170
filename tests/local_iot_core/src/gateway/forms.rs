//! The forms of a packet: MQTT leaves it to the sender whether a reason code of 0 and an empty
//! list of properties are written, and whether a reason is given in words as well.

use mqtt_protocol_core::mqtt::packet::{GenericPacketTrait, Packet};

use crate::options::PacketForms;

/// The property that has a reason in words.
const REASON_STRING: u8 = 0x1f;

/// How much a packet says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Nothing that can be left out.
    Shortest,
    /// The reason code and the length of the properties, which is 0.
    WithCode,
    /// The reason in words as well.
    WithWords,
}

/// The bytes of a packet, on this connection.
pub(super) fn encode(packet: &Packet, forms: PacketForms, connection: u64) -> Vec<u8> {
    let is_short_one = connection.is_multiple_of(2);
    let form = |is_good_news: bool| match forms {
        PacketForms::Shortest => Form::Shortest,
        PacketForms::WithCode => Form::WithCode,
        PacketForms::WithWords => Form::WithWords,
        PacketForms::Mixed if is_short_one || is_good_news => Form::Shortest,
        PacketForms::Mixed => Form::WithWords,
    };
    match packet {
        Packet::V5_0Disconnect(packet) => {
            let reason = packet.reason_code();
            let words = reason.map(|code| format!("{code:?}")).unwrap_or_default();
            let code = reason.map_or(0, |code| code as u8);
            acknowledgement(0xe0, None, code, &words, form(false))
        }
        Packet::V5_0Puback(packet) => {
            let reason = packet.reason_code();
            let words = reason.map_or("Success".to_owned(), |code| format!("{code:?}"));
            let code = reason.map_or(0, |code| code as u8);
            let id = Some(packet.packet_id());
            acknowledgement(0x40, id, code, &words, form(code == 0))
        }
        Packet::V5_0Suback(packet) => {
            let codes = packet.reason_codes().into_iter().map(|code| code as u8);
            let codes: Vec<u8> = codes.collect();
            let is_good = codes.iter().all(|code| *code < 0x80);
            list(0x90, packet.packet_id(), &codes, form(is_good))
        }
        Packet::V5_0Unsuback(packet) => {
            let codes = packet.reason_codes().into_iter().map(|code| code as u8);
            let codes: Vec<u8> = codes.collect();
            list(0xb0, packet.packet_id(), &codes, form(true))
        }
        other => other.to_continuous_buffer(),
    }
}

/// DISCONNECT and PUBACK: whatever follows can be left out where it is empty.
fn acknowledgement(first: u8, id: Option<u16>, code: u8, words: &str, form: Form) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(id.iter().flat_map(|id| id.to_be_bytes()));
    match form {
        Form::Shortest if code == 0 => {}
        Form::Shortest => body.push(code),
        Form::WithCode => body.extend([code, 0]),
        Form::WithWords => {
            body.push(code);
            body.extend(properties(words));
        }
    }
    with_header(first, &body)
}

/// SUBACK and UNSUBACK: a code for each filter, and properties in any case.
fn list(first: u8, id: u16, codes: &[u8], form: Form) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    match form {
        Form::Shortest | Form::WithCode => body.push(0),
        Form::WithWords => body.extend(properties("one for each")),
    }
    body.extend(codes);
    with_header(first, &body)
}

/// A reason in words, of up to 100 bytes.
fn properties(words: &str) -> Vec<u8> {
    let words = &words.as_bytes()[..words.len().min(100)];
    let length = u8::try_from(words.len()).unwrap_or_default();
    let mut properties = vec![length + 3, REASON_STRING, 0, length];
    properties.extend(words);
    properties
}

/// A packet of its first byte, the length and the rest.
pub(super) fn with_header(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut length = body.len();
    loop {
        let more = length >= 0x80;
        let seven_bits = u8::try_from(length % 0x80).unwrap_or_default();
        packet.push(seven_bits | if more { 0x80 } else { 0 });
        length /= 0x80;
        if !more {
            break;
        }
    }
    packet.extend(body);
    packet
}

#[cfg(test)]
mod tests {
    use mqtt_protocol_core::mqtt::{
        packet::v5_0::{Disconnect, Puback, Suback, Unsuback},
        result_code::{
            DisconnectReasonCode, PubackReasonCode, SubackReasonCode, UnsubackReasonCode,
        },
    };

    use super::*;

    fn puback(code: PubackReasonCode) -> Packet {
        let puback = Puback::builder().packet_id(0x0102_u16).reason_code(code);
        puback.build().unwrap().into()
    }

    fn disconnect(code: DisconnectReasonCode) -> Packet {
        let disconnect = Disconnect::builder().reason_code(code);
        disconnect.build().unwrap().into()
    }

    /// What each form looks like.
    fn forms(packet: &Packet) -> [Vec<u8>; 3] {
        let forms = [
            PacketForms::Shortest,
            PacketForms::WithCode,
            PacketForms::WithWords,
        ];
        forms.map(|forms| encode(packet, forms, 1))
    }

    #[test]
    fn every_form_of_disconnect() {
        let [shortest, with_code, with_words] =
            forms(&disconnect(DisconnectReasonCode::ServerBusy));
        assert_eq!(shortest, [0xe0, 1, 0x89]);
        assert_eq!(with_code, [0xe0, 2, 0x89, 0]);
        assert_eq!(with_words, b"\xe0\x0f\x89\x0d\x1f\0\x0aServerBusy");
        let normal = disconnect(DisconnectReasonCode::NormalDisconnection);
        assert_eq!(forms(&normal)[0], [0xe0, 0]);
    }

    #[test]
    fn every_form_of_puback() {
        let [shortest, with_code, with_words] = forms(&puback(PubackReasonCode::Success));
        assert_eq!(shortest, [0x40, 2, 1, 2]);
        assert_eq!(with_code, [0x40, 4, 1, 2, 0, 0]);
        assert_eq!(with_words, b"\x40\x0e\x01\x02\0\x0a\x1f\0\x07Success");
        let [shortest, with_code, _] = forms(&puback(PubackReasonCode::QuotaExceeded));
        assert_eq!(shortest, [0x40, 3, 1, 2, 0x97]);
        assert_eq!(with_code, [0x40, 4, 1, 2, 0x97, 0]);
    }

    #[test]
    fn every_form_of_suback_and_unsuback() {
        let codes = vec![
            SubackReasonCode::GrantedQos1,
            SubackReasonCode::NotAuthorized,
        ];
        let suback = Suback::builder().packet_id(7_u16).reason_codes(codes);
        let [shortest, _, with_words] = forms(&suback.build().unwrap().into());
        assert_eq!(shortest, [0x90, 5, 0, 7, 0, 1, 0x87]);
        assert_eq!(
            with_words,
            b"\x90\x14\0\x07\x0f\x1f\0\x0cone for each\x01\x87"
        );
        let codes = vec![UnsubackReasonCode::Success; 200];
        let unsuback = Unsuback::builder().packet_id(7_u16).reason_codes(codes);
        let [shortest, ..] = forms(&unsuback.build().unwrap().into());
        assert_eq!(shortest[..6], [0xb0, 0xcb, 1, 0, 7, 0]);
        assert_eq!(shortest.len(), 206);
    }

    #[test]
    fn they_are_mixed_by_the_connection() {
        let busy = disconnect(DisconnectReasonCode::ServerBusy);
        let [shortest, _, with_words] = forms(&busy);
        assert_eq!(encode(&busy, PacketForms::Mixed, 1), with_words);
        assert_eq!(encode(&busy, PacketForms::Mixed, 2), shortest);
        // What goes well is said in two bytes, as AWS does.
        let good = puback(PubackReasonCode::Success);
        assert_eq!(encode(&good, PacketForms::Mixed, 1), forms(&good)[0]);
    }
}
