//! What the sample needs to know before it starts.

use std::sync::Arc;

use crate::agent;
use crate::cli::{FLAGS, Flags};
use crate::jobs;
use crate::mqtt;
use crate::output::Output;
use crate::tls::{self, Files, TlsError};

/// In CI mode, a connection that can't be made is given up after this many tries.
const MAX_TRIES_IN_CI: u32 = 5;

/// What the sample needs to know before it starts.
#[derive(Clone)]
#[non_exhaustive]
pub struct Settings {
    /// What to connect to, and as whom.
    pub mqtt: mqtt::Options,
    /// The thing whose jobs are to be done.
    pub thing_name: String,
    /// How patient to be with the Jobs service.
    pub jobs: jobs::Options,
    /// How to do jobs.
    pub agent: agent::Options,
    /// Whether to end after the list.
    pub ci: bool,
}

impl Settings {
    /// As the flags say. Reads the certificate files, and warns of a key that others can read.
    ///
    /// # Errors
    /// If a file can't be used.
    pub fn from_flags(flags: &Flags, output: &Output) -> Result<Self, TlsError> {
        let files = Files {
            cert: flags.cert.clone(),
            key: flags.key.clone(),
            ca: flags.ca_file.clone(),
            names: FLAGS,
        };
        let tls = Arc::new(tls::client_config(&files, flags.port)?);
        if let Some(warning) = tls::key_file_warning(&flags.key) {
            output.warn(format_args!("{warning}"));
        }
        let mut mqtt = mqtt::Options::new(&flags.endpoint, flags.port, &flags.client_id, tls);
        mqtt.names = FLAGS;
        mqtt.proxy = flags.proxy();
        let ci = flags.is_ci.is_some();
        mqtt.tries = ci.then_some(MAX_TRIES_IN_CI);
        Ok(Self {
            mqtt,
            thing_name: flags.thing_name.clone(),
            jobs: jobs::Options::default(),
            agent: agent::Options::default(),
            ci,
        })
    }
}
