//! The folder with the device's keys. How a rotation stands is in the names of its files alone, so each
//! step is one rename, and a power cut leaves what was before it or what is after it.
//!
//! - `next.key`: a key that waits for its certificate
//! - `trial.pem`: a new certificate, its key and the job that has brought it, until it is known how that
//!   job has ended
//! - `current.pem`: the same, with which a report was accepted

use std::path::PathBuf;

use jobs_mqtt5::jobs::{JobExecution, JobId};
use jobs_mqtt5::tls::{self, Files, TlsErrorKind};
use pem::{EncodeConfig, LineEnding, Pem};
use rcgen::KeyPair;

use super::durable::Folder;

/// A new certificate, and the job that has brought it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Rotation {
    pub job_id: JobId,
    pub execution_number: i64,
    certificate: String,
}

impl Rotation {
    /// The one certificate in this text. Nothing else of what the sender wrote is kept.
    pub fn new(job: &JobExecution, text: &str) -> Result<Self, &'static str> {
        let found = pem::parse_many(text).unwrap_or_default();
        let [one] = &found[..] else {
            return Err("the certificate can't be used: one is wanted, in PEM, and nothing else");
        };
        let lines = EncodeConfig::new().set_line_ending(LineEnding::LF);
        Ok(Self {
            job_id: job.job_id.clone(),
            execution_number: job.execution_number,
            certificate: pem::encode_config(&Pem::new(one.tag(), one.contents()), lines),
        })
    }
}

/// The folder. What can't be done there is said on stderr; how things stand then is what counts.
pub(crate) struct Store {
    pub folder: Folder,
    /// The certificate and the key that the device was delivered with.
    pub delivered: (PathBuf, PathBuf),
}

impl Store {
    /// What is on trial. A file that can't be used, whatever has become of it, is as good as none.
    pub fn trial(&self) -> Option<Rotation> {
        self.rotation("trial.pem")
    }

    /// The certificate and the key to connect with: those on trial, or those that have proven good.
    pub fn files(&self, is_trial: bool) -> (PathBuf, PathBuf) {
        let name = if is_trial { "trial.pem" } else { "current.pem" };
        let path = self.folder.path(name);
        match self.check(name) {
            Ok(()) => (path.clone(), path),
            Err(_) => self.delivered.clone(),
        }
    }

    /// Whether that certificate has proven good, and is used.
    pub fn is_current(&self, new: &Rotation) -> bool {
        let current = self.rotation("current.pem");
        current.is_some_and(|current| current.certificate == new.certificate)
    }

    /// The key that waits for its certificate. (The one in `current.pem` has it.)
    pub fn waiting_key(&self) -> Option<KeyPair> {
        let text = self.read("next.key");
        let key = KeyPair::from_pem(&text).ok()?;
        (!self.read("current.pem").contains(text.trim())).then_some(key)
    }

    /// Writes a certificate and its key, and checks that they are a pair.
    pub fn prepare(&self, new: &Rotation, key: &KeyPair) -> Result<(), String> {
        let (id, number, certificate) = (&new.job_id, new.execution_number, &new.certificate);
        let text = format!("Job: {id} {number}\n{certificate}{}", key.serialize_pem());
        let written = self.folder.replace("candidate.pem", &text);
        written.map_err(|error| error.to_string())?;
        let is_pair = self.check("candidate.pem");
        is_pair.inspect_err(|_| say(self.folder.remove("candidate.pem"))) // its key still waits
    }

    /// Puts what was prepared on trial. Returns what is: an error can come when it was done.
    pub fn begin_trial(&self) -> Option<Rotation> {
        say(self.folder.rename("candidate.pem", "trial.pem"));
        self.trial()
    }

    /// The certificate on trial has proven good, and the old one is needed no longer.
    pub fn promote(&self) {
        say(self.folder.rename("trial.pem", "current.pem"));
        if self.waiting_key().is_none() {
            say(self.folder.remove("next.key"));
        }
        println!("The new certificate has proven good.");
    }

    /// The certificate on trial is needed no longer.
    pub fn forget_trial(&self) {
        say(self.folder.remove("trial.pem"));
    }

    /// What is in that file, if it can be used.
    fn rotation(&self, name: &str) -> Option<Rotation> {
        let text = self.read(name);
        let (job, rest) = text.strip_prefix("Job: ")?.split_once('\n')?;
        let (id, number) = job.split_once(' ')?;
        self.check(name).ok()?;
        Some(Rotation {
            job_id: JobId::new(id).ok()?,
            execution_number: number.parse().ok()?,
            certificate: rest[..rest.find("-----BEGIN PRIVATE KEY-----")?].to_owned(),
        })
    }

    /// Checks that a file holds a certificate and its key.
    fn check(&self, name: &str) -> Result<(), String> {
        let path = self.folder.path(name);
        // CAs are looked at last, and are no matter of this file: these are not there.
        let files = Files::new(&path, &path).ca(self.folder.path("no-ca.pem"));
        match tls::client_config(&files) {
            Err(error) if error.file().is_some_and(|(_, file)| file == path) => {
                match error.kind() {
                    TlsErrorKind::KeyMismatch { .. } => {
                        Err("the certificate is for another key".into())
                    }
                    _ => Err(format!(
                        "the certificate can't be used: it {}",
                        error.what()
                    )),
                }
            }
            _ => Ok(()),
        }
    }

    fn read(&self, name: &str) -> String {
        let text = self.folder.read(name);
        text.ok().flatten().unwrap_or_default()
    }
}

fn say(done: std::io::Result<()>) {
    if let Err(error) = done {
        eprintln!("{error}");
    }
}
