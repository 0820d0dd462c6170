//! A key in a token: a smart card, a secure element, an HSM, or a TPM behind a PKCS #11 library. It is made
//! there, signs there, and can't be read by anybody, not even by this device.
//!
//! Which key that is says a URI (a part of RFC 7512: see `uri`), in which the PIN is never:
//!
//! ```text
//! pkcs11:token=device;object=key-1?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=/etc/device.pin
//! ```
//!
//! Without a `pin-source`, the PIN is asked for in the terminal.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use p256::ecdsa::Signature;
use rustls::sign::{Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};
use sha2::{Digest, Sha256};

use super::uri::{TokenError, Uri};

/// The curve P-256, as an object identifier in DER.
const P256: [u8; 10] = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];

/// A key in a token. What connects with it again and again asks the token each time: it may have been pulled
/// out meanwhile, and put in again.
#[derive(Clone)]
pub struct TokenKey {
    at: Uri,
    /// The point of the public key, uncompressed.
    public: Vec<u8>,
    session: Arc<Mutex<Option<(Session, ObjectHandle)>>>,
}

impl TokenKey {
    /// Makes a P-256 key in a token, under this name. Returns its URI.
    pub fn generate(token: &str, object: &str) -> Result<String, TokenError> {
        let uri = Uri::read(token)?;
        let session = uri.open()?;
        let name = || Attribute::Label(object.as_bytes().to_vec());
        let public = [
            Attribute::Token(true),
            Attribute::EcParams(P256.to_vec()),
            name(),
        ];
        let private = [
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
            name(),
        ];
        let made = session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private);
        made.map_err(|error| uri.explained("can't make a key", &error))?;
        let (path, query) = token.split_once('?').unwrap_or((token, ""));
        Ok(format!("{path};object={object}?{query}"))
    }

    /// The key that this URI names.
    pub fn open(uri: &str) -> Result<Self, TokenError> {
        let at = Uri::read(uri)?;
        let session = at.open()?;
        let private = at.find(&session, ObjectClass::PRIVATE_KEY)?;
        let public = at.find(&session, ObjectClass::PUBLIC_KEY)?;
        let point = session.get_attributes(public, &[AttributeType::EcPoint]);
        let point = point.map_err(|error| at.explained("does not show its public key", &error))?;
        let public = match &point[..] {
            [Attribute::EcPoint(point)] if point.len() == 65 => point.clone(),
            // An OCTET STRING around the point.
            [Attribute::EcPoint(der)] if der.len() == 67 => der[2..].to_vec(),
            _ => return Err(TokenError::NoKey(format!("{at} is not on the curve P-256"))),
        };
        let session = Arc::new(Mutex::new(Some((session, private))));
        Ok(Self {
            at,
            public,
            session,
        })
    }

    /// Destroys the key that this URI names, both halves.
    pub fn destroy(uri: &str) -> Result<(), TokenError> {
        let at = Uri::read(uri)?;
        let session = at.open()?;
        for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
            let destroyed = session.destroy_object(at.find(&session, class)?);
            destroyed.map_err(|error| at.explained("can't destroy a key", &error))?;
        }
        Ok(())
    }

    /// Has the token sign. The signature is in DER, as TLS and certificates have it.
    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, TokenError> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let (open, key) = match session.take() {
            Some(open) => open,
            None => {
                Uri::forget_library();
                let open = self.at.open()?;
                let key = self.at.find(&open, ObjectClass::PRIVATE_KEY)?;
                (open, key)
            }
        };
        let signed = open.sign(&Mechanism::Ecdsa, key, &Sha256::digest(message));
        let signed = signed.map_err(|error| self.at.explained("can't sign", &error))?;
        *session = Some((open, key)); // else the next time begins anew
        let signature = Signature::from_slice(&signed);
        let signature =
            signature.map_err(|_| TokenError::NoAnswer(format!("{} signs wrongly", self.at)))?;
        Ok(signature.to_der().as_bytes().to_vec())
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.at)
    }
}

/// For a certificate signing request.
impl rcgen::PublicKeyData for TokenKey {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for TokenKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signed = self.signature(message);
        signed.map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

/// For TLS.
impl SigningKey for TokenKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let ours = offered.contains(&SignatureScheme::ECDSA_NISTP256_SHA256);
        ours.then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for TokenKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let signed = self.signature(message);
        signed.map_err(|error| rustls::Error::General(error.to_string()))
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP256_SHA256
    }
}
