//! A certificate that is rotated by two jobs, without hands. The first has the device make a new key, and
//! answers with a certificate signing request (`csr` in the status details, DER in base64); the second
//! brings the certificate that the cloud made of it:
//!
//! ```text
//! {"operation": "make-key"}
//! {"operation": "install-certificate", "certificate": "-----BEGIN CERTIFICATE-----\n…"}
//! ```
//!
//! The device connects with the new certificate, as proof that it works, and only then is the job
//! SUCCEEDED. Else it goes back to the old one, and the job is FAILED. Its flags are those of the sample:
//! `--cert` and `--key` are what it begins with. What it gets later is in the folder `identity` (or the
//! one that `IDENTITY_FOLDER` names), each file a certificate and its key, so that one rename is a change
//! of both:
//!
//! - `next.key`: a key that waits for its certificate
//! - `trial.pem`: to be tried at the next connect
//! - `current.pem`: has been tried, and is used from now on
//! - `refused.pem`, `refused.txt`: was tried and refused, and why; until that is reported

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use jobs_mqtt5::agent::{self, Agent, End, Job, Outcome, WorkResult};
use jobs_mqtt5::cli::Flags;
use jobs_mqtt5::jobs::{self, StatusDetails};
use jobs_mqtt5::mqtt::{self, ConnectionErrorKind as Kind, Event, Events};
use jobs_mqtt5::output::Output;
use jobs_mqtt5::sample::Settings;
use jobs_mqtt5::tls::{self, TlsErrorKind};
use jobs_mqtt5::{Text, stop};
use rcgen::{CertificateParams, KeyPair};

mod store;

use store::{Store, cut};

/// So many times in a row may the server close the door on a certificate without a word.
const MOST_REFUSALS: u32 = 5;

#[derive(serde::Deserialize)]
#[serde(tag = "operation", rename_all = "kebab-case")]
enum Task {
    MakeKey,
    InstallCertificate { certificate: String },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let folder = std::env::var_os("IDENTITY_FOLDER").unwrap_or("identity".into());
    let ended = run(Flags::of_this_process(), folder.into()).await;
    if let Err(error) = &ended {
        eprintln!("{error}");
    }
    ExitCode::from(u8::from(ended.is_err()))
}

/// Does jobs, with one connection after another: each time with the certificate that is to be used now.
async fn run(mut flags: Flags, folder: PathBuf) -> Result<(), Box<dyn Error>> {
    let output = Output::on_stdout_and_stderr()?;
    let store = Arc::new(Store::open(folder)?);
    let first = (flags.cert.clone(), flags.key.clone());
    let mut signal = std::pin::pin!(stop::signal()?);
    loop {
        let is_trial = store.has("trial.pem");
        let file = ["trial.pem", "current.pem"].map(|name| store.path(name));
        let file = file.into_iter().find(|path| path.exists());
        (flags.cert, flags.key) = match file {
            Some(path) => (path.clone(), path),
            None => first.clone(),
        };
        let settings = Settings::from_flags(&flags, &output)?;
        let (mqtt, mut events) = mqtt::connect(settings.mqtt);
        let jobs = jobs::Client::with_options(&mqtt, &settings.thing_name, settings.jobs);
        let mut agent = Agent::with_options(&jobs, settings.agent);
        tokio::spawn(tell(agent.events()));
        let given_up = is_given_up(agent.events(), &store);
        let (stopper, shared) = (agent.stopper(), Arc::clone(&store));
        println!(
            "Connecting with {}",
            Text::from(flags.cert.to_string_lossy())
        );
        let refused = tokio::select! {
            biased; // the reason why the connection has ended goes before that it has
            why = refusal(&mut events) => Some(why),
            () = given_up, if is_trial => {
                store.remove("trial.pem")?;
                None
            }
            ended = agent.run(async move |job: &Job| work(job, &shared, is_trial).await) => match ended {
                Ok(End::Stopped) => return Ok(()),
                Ok(_) => None, // the next connection takes the job up again
                Err(error) => Some(error.to_string()),
            },
            _ = &mut signal => {
                stopper.stop();
                tokio::time::sleep(Duration::from_secs(1)).await;
                return Ok(());
            }
        };
        match refused {
            Some(why) if is_trial => store.refuse(&why)?,
            Some(why) => return Err(why.into()),
            None => {}
        }
        mqtt.disconnect();
        while events.next().await.is_some() {}
    }
}

/// Says which jobs the service has a report on.
async fn tell(mut events: Events<agent::Event>) {
    while let Some(event) = events.next().await {
        if let agent::Event::Reported { job_id, .. } = event {
            println!("job {job_id}: reported");
        }
    }
}

/// Waits until it is clear that nobody wants the certificate on trial: its job was canceled meanwhile, and
/// nothing or another job comes in its place.
async fn is_given_up(mut events: Events<agent::Event>, store: &Store) {
    while let Some(event) = events.next().await {
        let is_over = match event {
            agent::Event::NothingToStart => true,
            agent::Event::Started(other) => {
                let task = other.job_document.read();
                !matches!(task, Ok(Task::InstallCertificate { certificate })
                    if store.holds("trial.pem", certificate.trim()))
            }
            _ => false,
        };
        if is_over && store.has("trial.pem") {
            return;
        }
    }
}

/// Waits until the server has refused this device for good, and says why. A server that can't be reached
/// says nothing about a certificate.
async fn refusal(events: &mut Events<Event>) -> String {
    let mut refusals = Some(0);
    while let Some(event) = events.next().await {
        match event {
            Event::Connected { .. } => refusals = None,
            Event::Interrupted { error, .. } => {
                eprintln!("{error}");
                let is_refusal = matches!(
                    error.kind(),
                    Kind::Tls(_) | Kind::Refused | Kind::ClosedEarly
                );
                if let Some(so_far) = refusals.as_mut().filter(|_| is_refusal) {
                    *so_far += 1;
                    if *so_far == MOST_REFUSALS {
                        return error.to_string();
                    }
                }
            }
            Event::Ended(Err(error)) => return error.to_string(),
            _ => {}
        }
    }
    "the connection has ended".to_owned()
}

/// Does a job. All that an earlier run has done is in the folder, so that it does not matter where that
/// run ended.
async fn work(job: &Job, store: &Store, is_trial: bool) -> WorkResult {
    let certificate = match job.document() {
        Ok(Task::MakeKey) => return make_key(store),
        Ok(Task::InstallCertificate { certificate }) => certificate.trim().to_owned(),
        Err(error) => return Ok(Outcome::rejected(error.to_string())),
    };
    if is_trial && store.holds("trial.pem", &certificate) {
        store.rename("trial.pem", "current.pem")?; // we are connected with it: it works
        cut("promoted");
    }
    if store.holds("current.pem", &certificate) {
        store.remove("next.key")?;
        let details = StatusDetails::from_pairs([("step", "in use")])?;
        return Ok(Outcome::Succeeded(details));
    }
    if store.holds("refused.pem", &certificate) {
        let why = store.read("refused.txt").unwrap_or_default();
        store.remove("refused.pem")?;
        cut("forgotten");
        return Ok(Outcome::failed(format!(
            "gone back to the old certificate: {why}"
        )));
    }
    let Ok(key) = store.read("next.key") else {
        return Ok(Outcome::failed("there is no new key: make-key goes before"));
    };
    let candidate = store.path("candidate.pem");
    store.write("candidate.pem", &format!("{certificate}\n{key}"))?;
    cut("written");
    if let Err(error) = tls::client_config(&tls::Files::new(&candidate, &candidate)) {
        store.remove("candidate.pem")?;
        return Ok(Outcome::failed(match error.kind() {
            TlsErrorKind::KeyMismatch { .. } => "the certificate is for another key".to_owned(),
            _ => format!("the certificate can't be used: {error}"),
        }));
    }
    let details = StatusDetails::from_pairs([("step", "connecting with it")])?;
    job.checkpoint(details).await?;
    cut("checkpointed");
    store.rename("candidate.pem", "trial.pem")?;
    cut("on trial");
    Ok(Outcome::LeftInProgress)
}

/// Makes a key, which stays here, and a request for a certificate for it.
fn make_key(store: &Store) -> WorkResult {
    let key = KeyPair::generate()?; // P-256
    let request = CertificateParams::default().serialize_request(&key)?;
    store.write("next.key", &key.serialize_pem())?;
    cut("key written");
    let csr = BASE64_STANDARD.encode(request.der());
    let details = StatusDetails::from_pairs([("csr", csr)])?;
    Ok(Outcome::Succeeded(details))
}
