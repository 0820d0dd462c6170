//! What the sample needs to know before it starts.

use std::sync::Arc;

use super::advice::{self, SampleError};
use crate::cli::Flags;
use crate::mqtt::{self, Proxy, ProxyAuth};
use crate::output::Output;
use crate::text::printable;
use crate::tls::{self, Files};
use crate::{agent, jobs};

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
    pub fn from_flags(flags: &Flags, output: &Output) -> Result<Self, SampleError> {
        let mut files = Files::new(&flags.cert, &flags.key);
        files.ca = flags.ca_file.clone();
        let tls = Arc::new(tls::client_config(&files)?);
        let mut mqtt = mqtt::Options::new(&flags.endpoint, &flags.client_id, tls);
        mqtt.port = flags.port;
        mqtt.proxy = proxy(flags)?;
        let auth = flags.proxy_auth.as_deref();
        let warnings = tls::warnings(&files).into_iter();
        for warning in warnings.chain(auth.and_then(tls::open_to_others)) {
            output.warn(format_args!("{}", advice::warning(&warning)));
        }
        let ci = flags.is_ci.is_some();
        mqtt.max_tries = ci.then_some(MAX_TRIES_IN_CI);
        Ok(Self {
            mqtt,
            thing_name: flags.thing_name.clone(),
            jobs: jobs::Options::default(),
            agent: agent::Options::default(),
            ci,
        })
    }
}

/// The proxy to tunnel through. Its file has one line, `user:password`.
fn proxy(flags: &Flags) -> Result<Option<Proxy>, SampleError> {
    let Some(host) = &flags.proxy_host else {
        return Ok(None);
    };
    let mut proxy = Proxy::new(host, flags.proxy_port);
    if let Some(path) = &flags.proxy_auth {
        let shown = path.to_string_lossy();
        let shown = printable(&shown);
        let text = std::fs::read_to_string(path).map_err(|error| {
            SampleError::ProxyAuth(format!("{shown} can't be read: {error}. Check the path"))
        })?;
        // What is in the file is never shown.
        proxy.auth = ProxyAuth::new(text.trim_end_matches(['\r', '\n']));
        if proxy.auth.is_none() {
            let words = format!("{shown} does not hold one line, user:password");
            return Err(SampleError::ProxyAuth(words));
        }
    }
    Ok(Some(proxy))
}
