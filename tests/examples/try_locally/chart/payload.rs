//! What a message carries, as it was sent.

use std::fmt::Write;

use serde::Serialize;

use super::presigned::without_signatures;

/// The most bytes of a payload that are kept.
const LONGEST: usize = 32 * 1024;

/// A message, and how long it really is.
#[derive(Debug, Serialize)]
pub struct Payload {
    /// As it was sent, if that is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Its bytes in hexadecimal digits, if it is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hex: Option<String>,
    /// In bytes, as it was sent.
    pub size: usize,
    /// How many bytes of it are kept, from the first one on.
    pub kept: usize,
    /// Whether the query of a presigned URL was left out.
    pub is_signed: bool,
}

impl Payload {
    pub fn new(bytes: &[u8]) -> Payload {
        let whole = String::from_utf8_lossy(bytes);
        let shown = without_signatures(&whole);
        let is_signed = shown != whole;
        let is_text = std::str::from_utf8(bytes).is_ok();
        if is_text || is_signed {
            let mut kept = shown.len().min(LONGEST);
            while !shown.is_char_boundary(kept) {
                kept -= 1;
            }
            Payload {
                text: Some(shown[..kept].to_owned()),
                hex: None,
                size: bytes.len(),
                kept: if kept == shown.len() {
                    bytes.len()
                } else {
                    kept
                },
                is_signed,
            }
        } else {
            let kept = &bytes[..bytes.len().min(LONGEST)];
            Payload {
                text: None,
                hex: Some(hex(kept)),
                size: bytes.len(),
                kept: kept.len(),
                is_signed,
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing into a String can't fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_kept_as_it_was_sent() {
        let sent = r#"{"n": 12345678901234567890, "a": 1.0, "a": 1e400}"#;
        let payload = Payload::new(sent.as_bytes());
        assert_eq!(payload.text.as_deref(), Some(sent));
        assert_eq!((payload.size, payload.kept), (sent.len(), sent.len()));

        let binary = Payload::new(&[0, 0xff, 0x7f]);
        assert_eq!(binary.hex.as_deref(), Some("00ff7f"));
        assert_eq!(binary.text, None);
    }

    #[test]
    fn what_is_cut_is_told() {
        let text = "ä".repeat(20_000);
        let payload = Payload::new(text.as_bytes());
        assert_eq!((payload.size, payload.kept), (40_000, LONGEST));
        let odd = format!("x{text}");
        let payload = Payload::new(odd.as_bytes());
        assert_eq!((payload.size, payload.kept), (40_001, LONGEST - 1));
        assert_eq!(payload.text.unwrap().len(), LONGEST - 1);
        let payload = Payload::new(&[0xff; 50_000]);
        assert_eq!((payload.size, payload.kept), (50_000, LONGEST));
        assert_eq!(payload.hex.unwrap().len(), 2 * LONGEST);
    }

    #[test]
    fn a_presigned_url_is_left_out_of_bytes_too() {
        let url = b"\xffhttps://a.example/f?X-Amz-Signature=SECRET \xff";
        let payload = Payload::new(url);
        assert!(payload.is_signed && payload.hex.is_none());
        assert!(payload.text.unwrap().contains("a.example/f?…"));
    }
}
