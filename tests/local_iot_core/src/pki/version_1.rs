//! A certificate as X.509 had it in 1988, which old tools still write: without a version number, and
//! without extensions (RFC 5280, section 4.1).

use super::csr::element;

const SEQUENCE: u8 = 0x30;
/// The version number, which version 1 leaves out.
const VERSION: u8 = 0xA0;
/// The extensions.
const EXTENSIONS: u8 = 0xA3;

/// This certificate (DER) in the form of version 1. Its signature is that of the form it had.
///
/// # Panics
/// If it is no certificate.
#[must_use]
pub fn as_version_1(certificate: &[u8]) -> Vec<u8> {
    let certificate = children(certificate)[0].content;
    let parts = children(certificate);
    let fields = children(parts[0].content);
    let kept = fields
        .iter()
        .filter(|field| !matches!(field.tag, VERSION | EXTENSIONS));
    let kept: Vec<u8> = kept.flat_map(|field| field.whole).copied().collect();
    let signature = parts[1..].iter().flat_map(|part| part.whole).copied();
    let all: Vec<u8> = value(SEQUENCE, &kept)
        .into_iter()
        .chain(signature)
        .collect();
    value(SEQUENCE, &all)
}

/// A value of DER.
struct Value<'a> {
    tag: u8,
    content: &'a [u8],
    /// With its tag and its length.
    whole: &'a [u8],
}

/// The values that stand here one after another.
fn children(mut der: &[u8]) -> Vec<Value<'_>> {
    let mut found = Vec::new();
    while let [tag, ..] = *der {
        let (content, rest) = element(der).expect("a certificate is DER, and small");
        let whole = &der[..der.len() - rest.len()];
        found.push(Value {
            tag,
            content,
            whole,
        });
        der = rest;
    }
    found
}

/// A value with its length in as few bytes as will do, as DER wants it.
fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("a certificate is small");
    let length = match length.to_be_bytes() {
        [0, low] if low < 0x80 => vec![low],
        [0, low] => vec![0x81, low],
        [high, low] => vec![0x82, high, low],
    };
    [&[tag], &length[..], content].concat()
}
