//! A certificate that is rotated by two jobs, without hands. The first has the device make a new key, and
//! answers with a certificate signing request (`csr` in the status details, DER in base64); the second
//! brings the certificate that the cloud made of it:
//!
//! ```text
//! {"operation": "make-key"}
//! {"operation": "install-certificate", "certificate": "-----BEGIN CERTIFICATE-----\n…"}
//! ```
//!
//! The device connects with the new certificate, and reports with it. When the cloud has accepted that, the
//! job has SUCCEEDED, and only then the new one takes the place of the old one. If the server refuses it, or
//! accepts no report within ten minutes (`TRIAL_SECONDS`), the device goes back to the old one, and the job
//! is FAILED. Lesson 6 has the table of what each start does. Flags are those of the sample: `--cert` and
//! `--key` are what it begins with; what it gets later is in the folder `identity` (or `IDENTITY_FOLDER`).

use std::{env, error::Error, process::ExitCode, sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use jobs_mqtt5::agent::{self, Agent, Job, Outcome, WorkResult};
use jobs_mqtt5::jobs::{self, ErrorCode, JobStatus, Rejection, StartNext, StatusDetails, Update};
use jobs_mqtt5::mqtt::{self, ConnectionErrorKind as Kind, Event, Events};
use jobs_mqtt5::{Text, cli::Flags, output::Output, sample::Settings, stop};
use rcgen::{CertificateParams, KeyPair};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

#[path = "../durable.rs"]
#[allow(dead_code)] // a part of it is for the firmware update
pub(crate) mod durable;
mod store;

use durable::{Folder, RealDisk};
use store::{Rotation, Store};

/// So many times in a row may the server close the door on a certificate without a word.
const MOST_REFUSALS: u32 = 5;
/// What the service says of a job of which it does not say how it has ended.
const IS_GONE: [ErrorCode; 2] = [ErrorCode::ResourceNotFound, ErrorCode::TerminalStateReached];

#[derive(serde::Deserialize)]
#[serde(tag = "operation", rename_all = "kebab-case")]
enum Task {
    MakeKey,
    InstallCertificate { certificate: String },
}

/// What a connection is made with.
#[derive(Clone, PartialEq)]
enum Identity {
    Old,
    Trial(Rotation),
    /// The old one, because the new one is no good.
    GoneBack(Rotation, String),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let path = env::var_os("IDENTITY_FOLDER").unwrap_or("identity".into());
    let ended = match Folder::open(path, Arc::new(RealDisk)) {
        Ok(folder) => run(Flags::of_this_process(), folder).await,
        Err(error) => Err(error.into()), // another program has it
    };
    let ended = ended.inspect_err(|error| eprintln!("{error}"));
    ExitCode::from(u8::from(ended.is_err()))
}

/// Does jobs, with one connection after another. What each is made with is decided here alone: by how
/// things stand on the disk, and by what was refused in this run.
pub(crate) async fn run(mut flags: Flags, folder: Folder) -> Result<(), Box<dyn Error>> {
    let limit = env::var("TRIAL_SECONDS").unwrap_or("600".to_owned());
    let limit = Duration::from_secs(limit.parse()?);
    let output = Output::on_stdout_and_stderr()?;
    let delivered = (flags.cert.clone(), flags.key.clone());
    let store = Arc::new(Store { folder, delivered });
    let (told, mut stop) = watch::channel(None);
    let signal = stop::signal()?;
    tokio::spawn(async move { told.send_replace(Some(signal.await)) });
    let (mut last, mut refused) = (None, None);
    while stop.borrow().is_none() {
        let identity = match (store.trial(), refused.clone()) {
            (None, _) => Identity::Old,
            (Some(trial), Some((other, why))) if trial == other => Identity::GoneBack(trial, why),
            (Some(trial), _) => Identity::Trial(trial),
        };
        if last.replace(identity.clone()) == Some(identity.clone()) {
            sleep(Duration::from_secs(1)).await; // nothing has changed: not too often
        }
        (flags.cert, flags.key) = store.files(matches!(identity, Identity::Trial(_)));
        let shown = Text::from(flags.cert.to_string_lossy());
        println!("Connecting with {shown}");
        let settings = Settings::from_flags(&flags, &output)?;
        let (mqtt, mut events) = mqtt::connect(settings.mqtt);
        let jobs = jobs::Client::with_options(&mqtt, &settings.thing_name, settings.jobs);
        let mut agent = Agent::with_options(&jobs, settings.agent);
        let (stopper, shared) = (agent.stopper(), Arc::clone(&store));
        tokio::spawn(tell(agent.events()));
        let do_jobs = async {
            let late = |_| Err(format!("no report was accepted within {limit:?}"));
            let reported = timeout(limit, report(&jobs, &store, &identity)).await;
            match (reported.unwrap_or_else(late), &identity) {
                (Err(why), Identity::Trial(_)) => return Err(why),
                (Err(why), _) => eprintln!("{why}"), // the next connection reports again
                (Ok(()), _) => {}
            }
            let work = async move |job: &Job| work(job, &shared).await;
            agent.run(work).await.map_err(|error| error.to_string())
        };
        let stopped = async {
            let _ = stop.wait_for(Option::is_some).await;
            stopper.stop(); // the agent ends when the work has
            sleep(Duration::from_secs(2)).await;
        };
        let no_good = tokio::select! {
            biased; // the reason why the connection has ended goes before that it has
            why = refusal(&mut events) => Some(why),
            ended = do_jobs => ended.err(),
            () = stopped => None,
        };
        mqtt.disconnect();
        while events.next().await.is_some() {}
        match (no_good, identity) {
            (None, _) => {}
            (Some(why), Identity::Trial(trial)) => {
                refused = Some((trial, format!("gone back to the old certificate: {why}")));
            }
            (Some(why), _) => return Err(why.into()),
        }
    }
    Ok(())
}

/// Reports how a rotation has gone. The answer is how its job has ended, by this report or before, and that
/// decides which certificate stays.
async fn report(jobs: &jobs::Client, store: &Store, identity: &Identity) -> Result<(), String> {
    let (trial, status, detail) = match identity {
        Identity::Old => return Ok(()),
        Identity::Trial(trial) => (trial, JobStatus::Succeeded, ("step", "in use")),
        Identity::GoneBack(trial, why) => (trial, JobStatus::Failed, ("reason", &**why)),
    };
    // A certificate with which no job can be started is no good either.
    let started = jobs.start_next(StartNext::default()).await;
    let started = started.map_err(|error| error.to_string())?;
    let is_ours = started.is_some_and(|job| match job.job_document.read() {
        Ok(Task::InstallCertificate { certificate }) => {
            Rotation::new(&job, &certificate) == Ok(trial.clone())
        }
        _ => false,
    });
    // If it is not under way, it has ended: an update is refused then, and the refusal says how.
    let to = if is_ours {
        status.clone()
    } else {
        JobStatus::InProgress
    };
    let mut update = Update::any_version(&trial.job_id, to);
    update.execution_number = Some(trial.execution_number);
    if is_ours {
        update.status_details = StatusDetails::default().with_text(detail.0, detail.1);
    }
    let ended = match jobs.update(update).await {
        Ok(_) => is_ours.then_some(status), // else it is another of this name
        Err(error) => match error.rejection() {
            Some(Rejection {
                execution_state: Some(now),
                ..
            }) => Some(now.status.clone()),
            Some(Rejection { code, .. }) if IS_GONE.contains(code) => None,
            _ => return Err(error.to_string()),
        },
    };
    println!("job {}: reported", trial.job_id);
    match (ended, identity) {
        (Some(JobStatus::Succeeded), _) => store.promote(),
        (None, Identity::Trial(_)) => store.promote(), // nobody knows: what works is kept
        (Some(ended), Identity::Trial(_)) => return Err(format!("its job is {ended}")),
        _ => store.forget_trial(),
    }
    Ok(())
}

/// Says which jobs the service has a report on.
async fn tell(mut events: Events<agent::Event>) {
    while let Some(event) = events.next().await {
        if let agent::Event::Reported { job_id, .. } = event {
            println!("job {job_id}: reported");
        }
    }
}

/// Waits until the server has refused this device for good, and says why. A server that can't be reached
/// says nothing about a certificate.
async fn refusal(events: &mut Events<Event>) -> String {
    let mut left = MOST_REFUSALS;
    while let Some(event) = events.next().await {
        match event {
            Event::Connected { .. } => left = u32::MAX,
            Event::Interrupted { error, .. } => {
                eprintln!("{error}");
                let kind = error.kind();
                left -= u32::from(matches!(
                    kind,
                    Kind::Tls(_) | Kind::Refused | Kind::ClosedEarly
                ));
                if left == 0 {
                    return error.to_string();
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
async fn work(job: &Job, store: &Store) -> WorkResult {
    let new = match job.document() {
        Ok(Task::MakeKey) => return make_key(store),
        Ok(Task::InstallCertificate { certificate }) => {
            Rotation::new(job.execution(), &certificate)?
        }
        Err(error) => return Ok(Outcome::rejected(error.to_string())),
    };
    if store.trial().is_some() {
        return Ok(Outcome::LeftInProgress); // the next connection reports on that first
    }
    if store.is_current(&new) {
        return Ok(Outcome::succeeded());
    }
    let key = store.waiting_key();
    let key = key.ok_or("there is no new key: make-key goes before")?;
    store.prepare(&new, &key)?;
    let details = StatusDetails::from_pairs([("step", "connecting with it")])?;
    job.checkpoint(details).await?;
    job.check()?; // told to stop: nothing has changed yet
    if store.begin_trial() != Some(new) {
        return Err("it can't be put on trial: the device's own log says why".into());
    }
    Ok(Outcome::LeftInProgress)
}

/// Makes a key, which stays here, and a request for a certificate for it. One that waits already is kept.
fn make_key(store: &Store) -> WorkResult {
    let mut key = store.waiting_key();
    if key.is_none() {
        let new = KeyPair::generate()?.serialize_pem(); // P-256
        store.folder.replace("next.key", &new)?;
        key = store.waiting_key();
    }
    let key = key.ok_or("the new key can't be read back")?;
    let request = CertificateParams::default().serialize_request(&key)?;
    let csr = BASE64_STANDARD.encode(request.der());
    let details = StatusDetails::from_pairs([("csr", csr)])?;
    Ok(Outcome::Succeeded(details))
}
