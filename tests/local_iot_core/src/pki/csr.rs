//! Certificate signing requests (RFC 2986) of P-256 keys: read, and verified.

use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

/// What stands before a P-256 key in DER (RFC 5480, section 2).
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The public key of a signing request that was signed with it.
pub struct Requested(Vec<u8>);

impl Requested {
    /// `None` if it is no such request, or its signature is not that of its key.
    pub fn read(csr: &[u8]) -> Option<Requested> {
        let (content, _) = element(csr)?;
        let (_, behind) = element(content)?;
        let info = &content[..content.len() - behind.len()];
        let (_algorithm, behind) = element(behind)?;
        let (signature, _) = element(behind)?;
        let signature = signature.strip_prefix(&[0])?; // no bits are left over
        let mut windows = info.windows(P256.len());
        let start = windows.position(|at| *at == P256)? + P256.len();
        let key = info.get(start..start + 65)?;
        let verified = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key).verify(info, signature);
        verified.ok().map(|()| Requested(key.to_vec()))
    }
}

/// The content of the first element of some DER, and what stands behind it.
pub(super) fn element(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match der.get(1..)? {
        [length @ 0..=0x7f, rest @ ..] | [0x81, length, rest @ ..] => (usize::from(*length), rest),
        [0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => return None,
    };
    rest.split_at_checked(length)
}

impl rcgen::PublicKeyData for Requested {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_taken_if_it_was_signed_with_its_key() {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::default();
        let csr = params.serialize_request(&key).unwrap();
        let csr = csr.der().to_vec();
        let read = Requested::read(&csr).unwrap();
        assert_eq!(read.0, key.public_key_raw());
        for at in [40, csr.len() - 1] {
            let mut other = csr.clone();
            other[at] ^= 1;
            assert!(Requested::read(&other).is_none(), "byte {at}");
        }
        for end in 0..csr.len() {
            assert!(Requested::read(&csr[..end]).is_none());
        }
    }
}
