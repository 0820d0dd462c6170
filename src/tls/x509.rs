//! What an X.509 certificate says, as far as it is asked here: its public key, and when it is valid. Of any
//! version and with any extension, for whether it is good is not ours to say (RFC 5280, section 4.1). And
//! what is unusual about a private RSA key.

use std::time::SystemTime;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What a certificate says.
#[derive(Debug, PartialEq)]
pub(super) struct Parsed<'a> {
    /// The SubjectPublicKeyInfo, DER.
    pub public_key: &'a [u8],
    /// The first and the last moment at which it is valid, where that can be read.
    pub not_before: Option<SystemTime>,
    pub not_after: Option<SystemTime>,
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version, which a certificate of version 1 does not tell.
const VERSION: u8 = 0xA0;

/// Reads a certificate. `None` if it is none.
pub(super) fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Option<Parsed<'a>> {
    let mut certificate = Der(certificate.as_ref());
    let mut signed = Der(Der(certificate.take(SEQUENCE)?.content)
        .take(SEQUENCE)?
        .content);
    if signed.0.first() == Some(&VERSION) {
        signed.take(VERSION)?;
    }
    signed.take(INTEGER)?; // the serial number
    signed.take(SEQUENCE)?; // the signature algorithm
    signed.take(SEQUENCE)?; // the issuer
    let mut validity = Der(signed.take(SEQUENCE)?.content);
    let not_before = validity.take_any()?;
    let not_after = validity.take_any()?;
    signed.take(SEQUENCE)?; // the subject
    let public_key = signed.take(SEQUENCE)?.whole;
    Some(Parsed {
        public_key,
        not_before: time(&not_before),
        not_after: time(&not_after),
    })
}

/// What is unusual about a private RSA key, as the rest of a sentence. `None` if nothing is, or if it is of
/// another kind (RFC 8017, appendix A.1.2).
pub(super) fn rsa_oddity(key: &PrivateKeyDer<'_>) -> Option<&'static str> {
    let mut key = Der(Der(key.secret_der()).take(SEQUENCE)?.content);
    let mut version = key.take(INTEGER)?.content;
    if key.0.first() == Some(&SEQUENCE) {
        key.take(SEQUENCE)?; // PKCS#8: the algorithm, and the key in a form of its own
        key = Der(Der(key.take(OCTET_STRING)?.content).take(SEQUENCE)?.content);
        version = key.take(INTEGER)?.content;
    }
    let modulus = key.take(INTEGER)?.content;
    match (version, key.take(INTEGER)?.content) {
        ([1], _) => Some("is an RSA key of more than two primes"),
        (_, exponent) if exponent != [1, 0, 1] => {
            Some("is an RSA key with another exponent than 65537")
        }
        _ if modulus.len() > 513 => Some("is an RSA key of more than 4,096 bits"),
        _ => None,
    }
}

/// What is left of a DER encoding.
struct Der<'a>(&'a [u8]);

/// One value of it.
struct Value<'a> {
    tag: u8,
    content: &'a [u8],
    /// With its tag and length.
    whole: &'a [u8],
}

impl<'a> Der<'a> {
    /// The next value, if it has this tag.
    fn take(&mut self, tag: u8) -> Option<Value<'a>> {
        self.take_any().filter(|value| value.tag == tag)
    }

    fn take_any(&mut self) -> Option<Value<'a>> {
        let (tag, first) = (*self.0.first()?, *self.0.get(1)?);
        let (header, length) = match first {
            0..=0x7F => (2, usize::from(first)),
            0x81..=0x83 => {
                let header = 2 + usize::from(first & 0x7F);
                let bytes = self.0.get(2..header)?;
                (
                    header,
                    bytes
                        .iter()
                        .fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
                )
            }
            _ => return None, // larger than any file that we read
        };
        let (whole, rest) = self.0.split_at_checked(header + length)?;
        self.0 = rest;
        Some(Value {
            tag,
            content: &whole[header..],
            whole,
        })
    }
}

/// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ`, in UTC (RFC 5280, section 4.1.2.5).
fn time(value: &Value<'_>) -> Option<SystemTime> {
    let text = std::str::from_utf8(value.content).ok()?;
    let text = match (value.tag, text.get(..2)?.parse().ok()?) {
        (UTC_TIME, 0..50) => format!("20{text}"),
        (UTC_TIME, 50..100_u32) => format!("19{text}"),
        (GENERALIZED_TIME, _) => text.to_owned(),
        _ => return None,
    };
    let part = |from, to| text.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    let rfc3339 = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
    humantime::parse_rfc3339(&rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut all = vec![tag];
        match content.len() {
            short @ 0..0x80 => all.push(short as u8),
            long => all.extend([0x82, (long >> 8) as u8, long as u8]),
        }
        all.extend(content);
        all
    }

    fn certificate(version: Option<u8>, not_after: &[u8]) -> CertificateDer<'static> {
        let version = version.map(|version| value(VERSION, &value(INTEGER, &[version])));
        let key = value(SEQUENCE, &[b'k'; 300]);
        let signed = [
            version.unwrap_or_default(),
            value(INTEGER, &[1]),
            value(SEQUENCE, b"algorithm"),
            value(SEQUENCE, b"issuer"),
            value(
                SEQUENCE,
                &[&value(UTC_TIME, b"260101000000Z")[..], not_after].concat(),
            ),
            value(SEQUENCE, b"subject"),
            key,
        ];
        value(SEQUENCE, &value(SEQUENCE, &signed.concat())).into()
    }

    #[test]
    fn the_public_key_is_found_in_every_version() {
        for version in [None, Some(2)] {
            let certificate = certificate(version, &value(UTC_TIME, b"361231235959Z"));
            let parsed = parse(&certificate).unwrap();
            assert_eq!(parsed.public_key, value(SEQUENCE, &[b'k'; 300]));
        }
    }

    #[test]
    fn the_end_of_its_time_is_read_in_both_forms() {
        let end = |value: &[u8]| {
            let certificate = certificate(Some(2), value);
            parse(&certificate).unwrap().not_after
        };
        let at = |text: &str| humantime::parse_rfc3339(text).ok();
        assert_eq!(
            end(&value(UTC_TIME, b"261231235959Z")),
            at("2026-12-31T23:59:59Z")
        );
        assert_eq!(
            end(&value(UTC_TIME, b"991231235959Z")),
            at("1999-12-31T23:59:59Z")
        );
        let long = value(GENERALIZED_TIME, b"20491231235959Z");
        assert_eq!(end(&long), at("2049-12-31T23:59:59Z"));
        assert_eq!(end(&value(UTC_TIME, b"never")), None);
    }

    #[test]
    fn what_is_no_certificate_is_none() {
        let good = certificate(Some(2), &value(UTC_TIME, b"361231235959Z"));
        for end in 0..good.len() {
            assert_eq!(parse(&CertificateDer::from(&good[..end])), None, "{end}");
        }
        for bytes in [
            &[0x30, 0x84, 1, 1, 1, 1][..],
            &[0x30, 0x80],
            &[0x31, 0],
            b"text",
        ] {
            assert_eq!(parse(&CertificateDer::from(bytes)), None);
        }
    }
}
