//! The folder with the device's keys. How a rotation stands is in the names of its files alone, so each
//! step is one rename, and a power cut leaves what was before it or what is after it.
//!
//! - `next.key`: a key that waits for its certificate (or where it is, in a token)
//! - `trial.pem`: a new certificate, its key and the job that has brought it, until it is known how that
//!   job has ended
//! - `current.pem`: the same, with which a report was accepted

use jobs_mqtt5::cli::Flags;
use jobs_mqtt5::jobs::{JobExecution, JobId};

use super::device_key::{self, Failure};
use super::durable::Folder;

/// A new certificate, and the job that has brought it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Rotation {
    pub job_id: JobId,
    pub execution_number: i64,
    pub certificate: String,
}

impl Rotation {
    pub fn new(job: &JobExecution, certificate: &str) -> Result<Self, Failure> {
        Ok(Self {
            job_id: job.job_id.clone(),
            execution_number: job.execution_number,
            certificate: device_key::certificate(certificate)?,
        })
    }
}

/// The folder. What can't be done there is said on stderr; how things stand then is what counts.
pub(crate) struct Store {
    pub folder: Folder,
    /// The certificate and the key that the device was delivered with, and the CAs.
    pub delivered: Flags,
}

impl Store {
    /// What to connect with: the certificate on trial, or the one that has proven good.
    pub fn flags(&self, is_trial: bool) -> Flags {
        let name = if is_trial { "trial.pem" } else { "current.pem" };
        let mut flags = self.delivered.clone();
        if self.check(name).is_ok() {
            flags.cert = self.folder.path(name);
            flags.key = flags.cert.clone();
        }
        flags
    }

    /// The key that waits for its certificate.
    pub fn waiting_key(&self) -> Result<String, Failure> {
        let none = "there is no new key: make-key goes before";
        let key = self.folder.read("next.key")?.ok_or(none)?;
        device_key::csr(&key)?; // it can be used
        if self.has_its_certificate(&key) {
            return Err(none.into());
        }
        Ok(key)
    }

    fn has_its_certificate(&self, key: &str) -> bool {
        let current = self.folder.read("current.pem");
        current.is_ok_and(|pem| pem.is_some_and(|pem| pem.contains(key.trim())))
    }

    /// Puts a certificate on trial, with its key.
    pub fn begin_trial(&self, new: &Rotation, key: &str) -> Result<(), Failure> {
        let (id, number, certificate) = (&new.job_id, new.execution_number, &new.certificate);
        let text = format!("Job: {id} {number}\n{certificate}{key}");
        match self.folder.replace("trial.pem", &text) {
            Err(error) if self.rotation("trial.pem").as_ref() != Some(new) => Err(error.into()),
            _ => Ok(()), // an error can come when it was done
        }
    }

    /// The certificate on trial has proven good, and the old one is needed no longer.
    pub fn promote(&self) {
        say(self.folder.rename("trial.pem", "current.pem"));
        // (Another key than that can wait already.)
        let next = self.folder.read("next.key").ok().flatten();
        if next.is_some_and(|key| self.has_its_certificate(&key)) {
            say(self.folder.remove("next.key"));
        }
        println!("The new certificate has proven good.");
    }

    /// The certificate on trial is needed no longer.
    pub fn forget_trial(&self) {
        say(self.folder.remove("trial.pem"));
    }

    /// What is in that file. One that can't be used, whatever has become of it, is as good as none.
    pub fn rotation(&self, name: &str) -> Option<Rotation> {
        let text = self.folder.read(name).ok()??;
        let (job, rest) = text.strip_prefix("Job: ")?.split_once('\n')?;
        let (id, number) = job.split_once(' ')?;
        let certificate = rest.split_inclusive("-----END CERTIFICATE-----\n").next()?;
        self.check(name).ok()?;
        Some(Rotation {
            job_id: JobId::new(id).ok()?,
            execution_number: number.parse().ok()?,
            certificate: certificate.to_owned(),
        })
    }

    /// Checks that a file holds a certificate and its key.
    fn check(&self, name: &str) -> Result<(), Failure> {
        let path = self.folder.path(name);
        device_key::client_config(&path, &path, self.delivered.ca_file.as_deref()).map(drop)
    }
}

fn say(done: std::io::Result<()>) {
    if let Err(error) = done {
        eprintln!("{error}");
    }
}
