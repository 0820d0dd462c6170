//! A key in a token: a smart card, a secure element, an HSM, or a TPM behind a PKCS #11 library. It is made
//! there, signs there, and can't be read by anybody, not even by this device.
//!
//! Which key that is says a URI (RFC 7512), in which the PIN is never:
//!
//! ```text
//! pkcs11:token=device;object=key-1?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=/etc/device.pin
//! ```
//!
//! Without a `pin-source`, the PIN is asked for in the terminal.

use std::fmt;
use std::io::{IsTerminal, stdin};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use p256::ecdsa::Signature;
use rustls::sign::{Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};
use sha2::{Digest, Sha256};

/// The curve P-256, as an object identifier in DER.
const P256: [u8; 10] = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];

/// The token's library.
static LIBRARY: Mutex<Option<Pkcs11>> = Mutex::new(None);

/// A key in a token. What connects with it again and again asks the token each time: it may have been pulled
/// out meanwhile, and put in again.
#[derive(Clone)]
pub struct TokenKey {
    at: Uri,
    /// The point of the public key, uncompressed.
    public: Vec<u8>,
    session: Arc<Mutex<Option<(Session, ObjectHandle)>>>,
}

/// Where a key is.
#[derive(Clone, Default)]
struct Uri {
    token: String,
    object: String,
    module: PathBuf,
    pin: Option<PathBuf>,
}

/// What is wrong with a token, in words.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct TokenError(String);

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
            // An OCTET STRING around the point.
            [Attribute::EcPoint(der)] if der.len() == 67 => der[2..].to_vec(),
            _ => return Err(TokenError(format!("{at} is not on the curve P-256"))),
        };
        let session = Arc::new(Mutex::new(Some((session, private))));
        Ok(Self {
            at,
            public,
            session,
        })
    }

    /// Has the token sign. The signature is in DER, as TLS and certificates have it.
    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, TokenError> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let (open, key) = match session.take() {
            Some(open) => open,
            None => {
                // Some libraries see a token that was put in again only when they begin anew.
                let library = LIBRARY
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take();
                library.map(Pkcs11::finalize).transpose().ok();
                let open = self.at.open()?;
                let key = self.at.find(&open, ObjectClass::PRIVATE_KEY)?;
                (open, key)
            }
        };
        let signed = open.sign(&Mechanism::Ecdsa, key, &Sha256::digest(message));
        let signed = signed.map_err(|error| self.at.explained("can't sign", &error))?;
        *session = Some((open, key)); // else the next time begins anew
        let signature = Signature::from_slice(&signed);
        let signature = signature.map_err(|_| TokenError(format!("{} signs wrongly", self.at)))?;
        Ok(signature.to_der().as_bytes().to_vec())
    }
}

impl Uri {
    fn read(text: &str) -> Result<Self, TokenError> {
        let mut uri = Self::default();
        let rest = text.strip_prefix("pkcs11:").unwrap_or(text);
        for attribute in rest.split([';', '?', '&']).filter(|one| !one.is_empty()) {
            let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            match name {
                "token" => value.clone_into(&mut uri.token),
                "object" => value.clone_into(&mut uri.object),
                "module-path" => uri.module = value.into(),
                "pin-source" => uri.pin = Some(value.trim_start_matches("file:").into()),
                "pin-value" => {
                    let rule = "a PIN does not belong into a URI: name a file, as pin-source=FILE";
                    return Err(TokenError(rule.to_owned()));
                }
                other => return Err(TokenError(format!("a pkcs11 URI has no '{other}' here"))),
            }
        }
        if uri.token.is_empty() || uri.module.as_os_str().is_empty() {
            let rule = "a pkcs11 URI has a token=…, and a ?module-path=…";
            return Err(TokenError(rule.to_owned()));
        }
        Ok(uri)
    }

    /// A session with the token, logged in.
    fn open(&self) -> Result<Session, TokenError> {
        let slots = self.library()?.get_slots_with_initialized_token();
        let slots = slots.map_err(|error| self.explained("can't be looked for", &error))?;
        let is_it = |slot: &_| {
            let info = self.library().map(|library| library.get_token_info(*slot));
            matches!(info, Ok(Ok(info)) if info.label() == self.token)
        };
        let slot = slots.into_iter().find(is_it).ok_or_else(|| {
            let what = "is not there: is it plugged in, and is that its label?";
            TokenError(format!("the token '{}' {what}", self.token))
        })?;
        let pin = AuthPin::new(self.pin()?.into());
        let session = self.library()?.open_rw_session(slot);
        let session = session.map_err(|error| self.explained("can't be opened", &error))?;
        match session.login(UserType::User, Some(&pin)) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
            Err(error) => Err(self.explained("can't be logged in to", &error)),
        }
    }

    /// The token's library, which a process has once.
    fn library(&self) -> Result<Pkcs11, TokenError> {
        let mut library = LIBRARY.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(library) = &*library {
            return Ok(library.clone());
        }
        let module = self.module.display();
        let failed = |error: Error| TokenError(format!("{module} can't be used: {error}"));
        let new = Pkcs11::new(&self.module).map_err(failed)?;
        let arguments = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
        new.initialize(arguments).map_err(failed)?;
        Ok(library.insert(new).clone())
    }

    fn find(&self, session: &Session, class: ObjectClass) -> Result<ObjectHandle, TokenError> {
        let label = Attribute::Label(self.object.as_bytes().to_vec());
        let found = session.find_objects(&[Attribute::Class(class), label]);
        let found = found.map_err(|error| self.explained("can't be searched", &error))?;
        match found[..] {
            [one] => Ok(one),
            [] => Err(TokenError(format!("there is no {self}"))),
            _ => Err(TokenError(format!("there is more than one {self}"))),
        }
    }

    fn pin(&self) -> Result<String, TokenError> {
        let pin = match &self.pin {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|error| format!("its file {} can't be read: {error}", path.display())),
            None if stdin().is_terminal() => {
                rpassword::prompt_password(format!("PIN of the token '{}': ", self.token))
                    .map_err(|error| error.to_string())
            }
            None => Err("there is no pin-source, and no terminal to ask in".to_owned()),
        };
        let pin = pin.map_err(|why| TokenError(format!("no PIN for '{}': {why}", self.token)))?;
        Ok(pin.trim_end_matches(['\r', '\n']).to_owned())
    }

    fn explained(&self, what: &str, error: &Error) -> TokenError {
        let why = match error {
            Error::Pkcs11(RvError::PinIncorrect | RvError::PinLenRange, _) => {
                "the PIN is wrong, and after some tries the token locks itself".to_owned()
            }
            Error::Pkcs11(RvError::PinLocked, _) => "its PIN is locked".to_owned(),
            Error::Pkcs11(
                RvError::TokenNotPresent
                | RvError::DeviceRemoved
                | RvError::DeviceError
                | RvError::SessionHandleInvalid
                | RvError::KeyHandleInvalid
                | RvError::ObjectHandleInvalid
                | RvError::GeneralError,
                _,
            ) => "it is no longer there, or was put in anew".to_owned(),
            other => other.to_string(),
        };
        TokenError(format!("the token '{}' {what}: {why}", self.token))
    }
}

/// The key, by its names.
impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key '{}' in the token '{}'", self.object, self.token)
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
