//! What the sample needs to know before it starts, and how it can fail.

use std::sync::Arc;

use crate::advice;
use crate::cli::Flags;
use crate::jobs::{self, RequestError};
use crate::mqtt::{self, Proxy, ProxyAuth, PublishError};
use crate::story::Story;
use crate::text::printable;
use crate::tls::{self, Files, TlsError};

/// In CI mode, a connection that can't be made is given up after this many tries.
const TRIES_IN_CI: u32 = 5;

/// What the sample needs to know before it starts.
#[derive(Clone)]
#[non_exhaustive]
pub struct Settings {
    /// What to connect to, and as whom.
    pub mqtt: mqtt::Options,
    /// The thing whose jobs are to be done.
    pub thing_name: String,
    /// How patient to be, and how to do jobs.
    pub jobs: jobs::Options,
    /// Whether to end after the list.
    pub ci: bool,
}

impl Settings {
    /// As the flags say. Reads the certificate files, and warns of a key that others can read.
    ///
    /// # Errors
    /// If a file can't be used.
    pub fn from_flags(flags: &Flags, story: &Story) -> Result<Self, SampleError> {
        let mut files = Files::new(&flags.cert, &flags.key);
        files.ca = flags.ca_file.clone();
        let tls = Arc::new(tls::client_config(&files)?);
        let mut mqtt = mqtt::Options::new(&flags.endpoint, &flags.client_id, tls);
        mqtt.port = flags.port;
        mqtt.proxy = proxy(flags)?;
        let auth = flags.proxy_auth.as_deref();
        let warnings = tls::warnings(&files).into_iter();
        for warning in warnings.chain(auth.and_then(tls::open_to_others)) {
            story.warn(format_args!("{}", advice::warning(&warning)));
        }
        let ci = flags.is_ci.is_some();
        mqtt.max_tries = ci.then_some(TRIES_IN_CI);
        Ok(Self {
            mqtt,
            thing_name: flags.thing_name.clone(),
            jobs: jobs::Options::default(),
            ci,
        })
    }
}

/// Why the sample ended otherwise than asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SampleError {
    /// A file can't be used.
    #[error("{}", advice::file(.0))]
    Tls(#[from] TlsError),
    /// The file with the proxy's user name and password can't be used.
    #[error("--proxy_auth {0}")]
    ProxyAuth(String),
    /// There is no connection, and waiting won't bring one about.
    #[error("{0}")]
    Connection(String),
    /// A request without which there is no going on came to nothing.
    #[error("{0}{hint}", hint = hint(.0))]
    Request(RequestError),
    /// CI mode wants at least one pending job.
    #[error(
        "No job is queued for this thing, and CI mode (--is_ci) wants one. Create one first: see \
         \"On AWS\" in the README."
    )]
    NoJobInCi,
    /// The task that keeps the connection has ended without a word.
    #[error("The connection has ended for an unknown reason. Run with --verbosity Debug for more.")]
    Ended,
    /// The operating system does not let the program listen for signals.
    #[error("Signals can't be listened for: {0}.")]
    Signals(#[from] std::io::Error),
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
            SampleError::ProxyAuth(format!("{shown} can't be read: {error}. Check the path."))
        })?;
        // What is in the file is never shown.
        proxy.auth = ProxyAuth::new(text.trim_end_matches(['\r', '\n']));
        if proxy.auth.is_none() {
            let words = format!("{shown} has no ':' in it. It must hold one line, user:password.");
            return Err(SampleError::ProxyAuth(words));
        }
    }
    Ok(Some(proxy))
}

/// The flag to check, where it may be at fault.
fn hint(error: &RequestError) -> &'static str {
    match error {
        RequestError::Unanswered { .. } => " (--thing_name)",
        RequestError::Publish(PublishError::NotAuthorized { .. }) | RequestError::Subscribe(_) => {
            " First of all, check that --thing_name is the name of this certificate's thing."
        }
        _ => "",
    }
}

impl From<RequestError> for SampleError {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Publish(PublishError::Ended) => Self::Ended,
            error => Self::Request(error),
        }
    }
}
