//! Packets as the server may send them, and as it may not.

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
