//! The folder with the device's keys. How a rotation stands is in the names of its files alone, so each
//! step is one rename, and a power cut leaves what was before it or what is after it.
//!
//! - `next.key`: a key that waits for its certificate (or where it is, in a token)
//! - `trial.pem`: a new certificate, its key and the job that has brought it, until it is known how that
//!   job has ended
//! - `current.pem`: the same, with which a report was accepted

use std::io;

use jobs_mqtt5::cli::Flags;
use jobs_mqtt5::jobs::{JobExecution, JobId};
use rustls::ClientConfig;

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

/// Which certificate stays after a trial.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Stays {
    New,
    Old,
}

/// The folder. After an error, how things stand there is what counts.
pub(crate) struct Store {
    pub folder: Folder,
    /// The certificate and the key that the device was delivered with, and the CAs.
    pub delivered: Flags,
}

impl Store {
    /// What to connect with: the certificate on trial, or the one that has proven good; if that can't be
    /// used, the one that was delivered.
    pub fn credentials(&self, is_trial: bool) -> Result<(Flags, ClientConfig), Failure> {
        let name = if is_trial { "trial.pem" } else { "current.pem" };
        let path = self.folder.path(name);
        let tls = device_key::usable(&path, self.tls(name)).unwrap_or_else(|error| {
            eprintln!("{error}");
            None
        });
        let mut flags = self.delivered.clone();
        let tls = match tls {
            Some(tls) => {
                flags.cert.clone_from(&path);
                flags.key = path;
                tls
            }
            None => device_key::client_config(&flags.cert, &flags.key, flags.ca_file.as_deref())?,
        };
        Ok((flags, tls))
    }

    /// The key that waits for its certificate, and a request for that. If there is none, makes one.
    pub fn make_key(&self) -> Result<String, Failure> {
        self.forget_used_key()?;
        let keep = |key: &str| self.folder.replace("next.key", key);
        let (_, request) = device_key::get_or_make(&self.folder.path("next.key"), keep)?;
        Ok(request)
    }

    /// The key that waits for its certificate.
    pub fn waiting_key(&self) -> Result<String, Failure> {
        let none = "there is no new key: make-key goes before";
        let key = self.folder.read("next.key")?.ok_or(none)?;
        if self.has_its_certificate(&key) {
            return Err(none.into());
        }
        Ok(key)
    }

    /// Removes the key that waits, if it has got its certificate.
    fn forget_used_key(&self) -> io::Result<()> {
        let next = self.folder.read("next.key").ok().flatten();
        if next.is_some_and(|key| self.has_its_certificate(&key)) {
            self.folder.remove("next.key")?;
        }
        Ok(())
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

    /// Writes down how the trial has ended. What the new certificate replaces is destroyed, so that a token is
    /// never full of old keys; what was delivered stays.
    pub fn end_trial(&self, stays: Stays) -> io::Result<()> {
        if stays == Stays::Old {
            return self.folder.remove("trial.pem"); // its key waits on
        }
        let former = self.folder.read("current.pem").ok().flatten();
        self.folder.rename("trial.pem", "current.pem")?;
        if let Some(former) = former {
            device_key::destroy(&former);
        }
        let forgotten = self.forget_used_key();
        println!("The new certificate has proven good.");
        forgotten
    }

    /// What is in that file. One that can't be used, whatever has become of it, is as good as none.
    pub fn rotation(&self, name: &str) -> Option<Rotation> {
        let text = self.folder.read(name).ok()??;
        let (job, rest) = text.strip_prefix("Job: ")?.split_once('\n')?;
        let (id, number) = job.split_once(' ')?;
        let certificate = rest.split_inclusive("-----END CERTIFICATE-----\n").next()?;
        self.tls(name).ok()?;
        Some(Rotation {
            job_id: JobId::new(id).ok()?,
            execution_number: number.parse().ok()?,
            certificate: certificate.to_owned(),
        })
    }

    /// What connects with a file that holds a certificate and its key.
    fn tls(&self, name: &str) -> Result<ClientConfig, Failure> {
        let path = self.folder.path(name);
        device_key::client_config(&path, &path, self.delivered.ca_file.as_deref())
    }
}
