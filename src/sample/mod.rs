//! The sample: connects, lists and describes what is pending, has an [`agent`](crate::agent) do the jobs,
//! and says all of that in the words of AWS's Python sample.
//!
//! - `pending`: the list
//! - `lines`: what is said in the same words each time
//! - `printer`: what happens, in words
//! - [`advice`]: why it ends, and what to do about an error

use std::fs::File;
use std::io::{self, Read};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::agent::{self, Agent, End, Job, WorkResult};
use crate::cli::Flags;
use crate::jobs;
use crate::mqtt::{self, Proxy, ProxyAuth};
use crate::output::{Output, say};
use crate::text::{Text, printable};
use crate::tls::{self, Files};

pub mod advice;
#[doc(hidden)] // for the tests and the examples
pub mod lines;
mod pending;
mod printer;

pub use advice::SampleError;

use pending::Pending;
use printer::Printer;

/// A file with a proxy's user name and password has no more bytes.
const LONGEST_AUTH: u64 = 4096;

/// In CI mode, a connection that can't be made is given up after this many tries.
const MAX_TRIES_IN_CI: u32 = 5;

/// How long the work may take to end after the program was told to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the end of the connection may take.
const DISCONNECT_TIMEOUT: Duration = Duration::from_millis(1_500);
/// The first start is told after the descriptions, unless they take longer than this.
const DESCRIPTIONS_FIRST: Duration = Duration::from_secs(1);

/// Does jobs until `stop` resolves, to the reason in words.
///
/// # Errors
/// What ended it otherwise: a connection that can't be established, a policy that forbids what is
/// needed, work that does not end, or in CI mode, that there is no job.
pub async fn run(
    settings: Settings,
    work: impl AsyncFn(&Job) -> WorkResult + Send + Sync + 'static,
    output: &Output,
    stop: impl Future<Output = &'static str>,
) -> Result<(), SampleError> {
    connecting(output, &settings);
    // One connection, for all that a device does; the jobs client stands on it, and the agent on that.
    let target = advice::Target::of(&settings.mqtt);
    let (mqtt, events) = mqtt::connect(settings.mqtt);
    let jobs = jobs::Client::with_options(&mqtt, &settings.thing_name, settings.jobs);
    let mut agent = Agent::with_options(&jobs, settings.agent);
    let stopper = agent.stopper();
    let turn_of_agent = watch::Sender::new(true);
    let turn = turn_of_agent.subscribe();
    let mut printer = Printer::new(output.clone(), events, agent.events(), turn, target.clone());

    let pending = Pending {
        jobs: &jobs,
        output,
        is_needed: settings.ci,
    };
    let mut doing = pin!(async {
        if settings.ci {
            pending.list_only().await.map(|()| None)
        } else {
            do_jobs(&pending, &mut agent, work, &turn_of_agent)
                .await
                .map(Some)
        }
    });
    let mut ended = tokio::select! {
        biased;
        ended = printer.during(&mut doing) => ended.map(|end| end.map(|end| match end {
            End::LeftInProgress(job_id) => format!(
                "job_id:{job_id} is left IN_PROGRESS, and the next run resumes it"
            ),
            _ => "it was told to stop".to_owned(),
        })),
        why = stop => {
            stopper.stop();
            printer.catch_up();
            if printer.busy != lines::Busy::No {
                let _ = timeout(STOP_TIMEOUT, printer.during(doing)).await;
            }
            Ok(Some(match printer.busy.unfinished() {
                Some(what) => format!("{why}; {what}"),
                None => why.to_owned(),
            }))
        }
    };
    if let Err(SampleError::Ended) = ended {
        // The reason is still on its way.
        let _ = timeout(DISCONNECT_TIMEOUT, printer.until_the_end()).await;
        if let Some(Err(error)) = printer.ended.take() {
            ended = Err(SampleError::Connection(error, target));
        }
    } else if let Err(SampleError::Request(_, partition)) = &mut ended {
        *partition = target.partition();
    }
    exiting(output, &ended);
    say!(output, "Disconnecting...");
    mqtt.disconnect();
    let _ = timeout(DISCONNECT_TIMEOUT, printer.until_the_end()).await;
    say!(output, "Client Stopped.");
    ended.map(drop)
}

/// All that a device does with its jobs: describes what is pending, and does one after the other.
async fn do_jobs(
    pending: &Pending<'_>,
    agent: &mut Agent,
    work: impl AsyncFn(&Job) -> WorkResult + Send + Sync + 'static,
    turn_of_agent: &watch::Sender<bool>,
) -> Result<End, SampleError> {
    let listed = pending.list().await?;
    // The descriptions and the first start leave together; the descriptions are said first.
    turn_of_agent.send_replace(false);
    let describing = async {
        let mut describing = pin!(pending.describe(listed));
        let described = timeout(DESCRIPTIONS_FIRST, &mut describing).await;
        turn_of_agent.send_replace(true);
        match described {
            Ok(described) => described?,
            Err(_) => describing.await?,
        }
        pending.list_again_in_each_new_session().await
    };
    tokio::select! {
        biased;
        Err(failed) = describing => Err(failed),
        end = agent.run(work) => Ok(end?),
    }
}

fn connecting(output: &Output, settings: &Settings) {
    if settings.ci {
        say!(output, "Connecting to endpoint with client ID"); // a public log
    } else {
        let client_id = Text::from(&settings.mqtt.client_id);
        let endpoint = &settings.mqtt.endpoint;
        say!(
            output,
            "Connecting to {endpoint} with client ID '{client_id}'..."
        );
    }
}

/// Says why the sample ends: asked to, or (`None`) as CI mode has said.
fn exiting(output: &Output, ended: &Result<Option<String>, SampleError>) {
    match ended {
        Ok(Some(why)) => say!(output, "Exiting Sample: {why}"),
        Ok(None) => {}
        Err(_) if output.is_one_text() => say!(output, "Exiting Sample: it can't go on"),
        Err(_) => say!(
            output,
            "Exiting Sample: it can't go on; the reason is on stderr"
        ),
    }
}

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
        Self::with_tls(flags, tls::client_config(&files)?, output)
    }

    /// The same with a TLS configuration of your own, as for a key that is in no file.
    ///
    /// # Errors
    /// If the proxy's file can't be used.
    pub fn with_tls(
        flags: &Flags,
        tls: ClientConfig,
        output: &Output,
    ) -> Result<Self, SampleError> {
        let mut mqtt = mqtt::Options::new(&flags.endpoint, &flags.client_id, Arc::new(tls));
        mqtt.port = flags.port;
        mqtt.proxy = proxy(flags)?;
        let files = Files::new(&flags.cert, &flags.key);
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
///
/// # Errors
/// If that file can't be used.
pub fn proxy(flags: &Flags) -> Result<Option<Proxy>, SampleError> {
    let Some(host) = &flags.proxy_host else {
        return Ok(None);
    };
    let mut proxy = Proxy::new(host, flags.proxy_port);
    if let Some(path) = &flags.proxy_auth {
        let text =
            File::open(path).and_then(|file| io::read_to_string(file.take(LONGEST_AUTH + 1)));
        let auth = match &text {
            Ok(text) if text.len() as u64 > LONGEST_AUTH => Err("has more than 4 KiB".to_owned()),
            // What is in the file is never shown. (Windows begins it with a byte order mark.)
            Ok(text) => {
                let line = text.trim_start_matches('\u{feff}');
                ProxyAuth::new(line.trim_end_matches(['\r', '\n']))
                    .ok_or("does not hold one line, user:password".to_owned())
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err("is not text in UTF-8. Convert it".to_owned())
            }
            Err(error) => Err(format!("can't be read: {error}. Check the path")),
        };
        let shown = path.to_string_lossy();
        let wrong = |what| SampleError::ProxyAuth(format!("{} {what}", printable(&shown)));
        proxy.auth = Some(auth.map_err(wrong)?);
    }
    Ok(Some(proxy))
}
