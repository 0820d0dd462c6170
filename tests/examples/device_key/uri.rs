//! Where a key in a token is, and the way to it: the token's library, a session, the key by its name.
//!
//! The URI is a part of RFC 7512: `token`, `serial` and `object` find the key, `module-path` is the library,
//! `pin-source` a file. What `p11tool` prints besides is passed over: a name that more than one key has is
//! an error anyway.

use std::fmt;
use std::io::{IsTerminal, stdin};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::TokenInfo;
use cryptoki::types::AuthPin;

use self::TokenError::{NoAnswer, NoKey};

/// The token's library.
static LIBRARY: Mutex<Option<Pkcs11>> = Mutex::new(None);

/// Where a key is.
#[derive(Clone, Default)]
pub struct Uri {
    token: String,
    /// Empty if any will do.
    serial: String,
    object: String,
    module: PathBuf,
    pin: Option<PathBuf>,
}

/// What is wrong with a token, in words.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TokenError {
    /// There is no such key: its URI is damaged, or the token was set up anew.
    #[error("{0}")]
    NoKey(String),
    /// The token can't be asked now, which says nothing about its keys.
    #[error("{0}")]
    NoAnswer(String),
}

impl Uri {
    pub fn read(text: &str) -> Result<Self, TokenError> {
        let mut uri = Self::default();
        let rest = text.strip_prefix("pkcs11:").unwrap_or(text);
        for attribute in rest.split([';', '?', '&']).filter(|one| !one.is_empty()) {
            let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            let text = || {
                let damaged = format!("'{attribute}' in a pkcs11 URI is not percent-encoded text");
                decoded(value).ok_or(NoKey(damaged))
            };
            match name {
                "token" => uri.token = text()?,
                "serial" => uri.serial = text()?,
                "object" => uri.object = text()?,
                "module-path" => uri.module = text()?.into(),
                "pin-source" => uri.pin = Some(text()?.trim_start_matches("file:").into()),
                "manufacturer" | "model" | "id" | "type" => {}
                "pin-value" => {
                    let rule = "a PIN does not belong into a URI: name a file, as pin-source=FILE";
                    return Err(NoKey(rule.to_owned()));
                }
                other => return Err(NoKey(format!("a pkcs11 URI has no '{other}' here"))),
            }
        }
        if uri.token.is_empty() || uri.module.as_os_str().is_empty() {
            let rule = "a pkcs11 URI has a token=…, and a ?module-path=…";
            return Err(NoKey(rule.to_owned()));
        }
        Ok(uri)
    }

    /// A session with the token, logged in. A PIN file that is wrong, at one start after the other, does not
    /// lock the token: the last try is left to a person.
    pub fn open(&self) -> Result<Session, TokenError> {
        let library = self.library()?;
        let slots = library.get_slots_with_initialized_token();
        let slots = slots.map_err(|error| self.explained("can't be looked for", &error))?;
        let with_info = |slot| Some((slot, library.get_token_info(slot).ok()?));
        let is_it = |(_, info): &(_, TokenInfo)| {
            let is_serial = self.serial.is_empty() || info.serial_number() == self.serial;
            is_serial && info.label() == self.token
        };
        let mut tokens = slots.into_iter().filter_map(with_info);
        let (slot, info) = tokens.find(is_it).ok_or_else(|| {
            let what = "is not there: is it plugged in, and is that what the URI calls it?";
            NoAnswer(format!("the token '{}' {what}", self.token))
        })?;
        if self.pin.is_some() && info.user_pin_final_try() {
            let why = "has one try left, and its PIN file may be wrong: log in by hand first";
            return Err(NoAnswer(format!("the token '{}' {why}", self.token)));
        }
        let pin = AuthPin::new(self.pin()?.into());
        let session = library.open_rw_session(slot);
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
        let failed = |error: Error| NoAnswer(format!("{module} can't be used: {error}"));
        let new = Pkcs11::new(&self.module).map_err(failed)?;
        let arguments = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
        new.initialize(arguments).map_err(failed)?;
        Ok(library.insert(new).clone())
    }

    pub fn find(&self, session: &Session, class: ObjectClass) -> Result<ObjectHandle, TokenError> {
        let label = Attribute::Label(self.object.as_bytes().to_vec());
        let found = session.find_objects(&[Attribute::Class(class), label]);
        let found = found.map_err(|error| self.explained("can't be searched", &error))?;
        match found[..] {
            [one] => Ok(one),
            [] => Err(NoKey(format!("there is no {self}"))),
            _ => Err(NoKey(format!("there is more than one {self}"))),
        }
    }

    /// Lets go of the library: some see a token that was put in again only when they begin anew.
    pub fn forget_library() {
        let mut library = LIBRARY.lock().unwrap_or_else(PoisonError::into_inner);
        library.take().map(Pkcs11::finalize).transpose().ok();
    }

    fn pin(&self) -> Result<String, TokenError> {
        let pin = match &self.pin {
            Some(path) => match std::fs::read_to_string(path) {
                // To log in with that would be one failed try of a few.
                Ok(pin) if pin.trim().is_empty() => {
                    Err(format!("its file {} is empty", path.display()))
                }
                pin => pin
                    .map_err(|error| format!("its file {} can't be read: {error}", path.display())),
            },
            None if stdin().is_terminal() => {
                rpassword::prompt_password(format!("PIN of the token '{}': ", self.token))
                    .map_err(|error| error.to_string())
            }
            None => Err("there is no pin-source, and no terminal to ask in".to_owned()),
        };
        let pin = pin.map_err(|why| NoAnswer(format!("no PIN for '{}': {why}", self.token)))?;
        Ok(pin.trim_end_matches(['\r', '\n']).to_owned())
    }

    pub fn explained(&self, what: &str, error: &Error) -> TokenError {
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
        NoAnswer(format!("the token '{}' {what}: {why}", self.token))
    }
}

/// The key, by its names.
impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key '{}' in the token '{}'", self.object, self.token)
    }
}

/// The text that was percent-encoded.
fn decoded(value: &str) -> Option<String> {
    let mut parts = value.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok()
}
