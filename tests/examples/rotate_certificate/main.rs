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
//! accepts no report within ten minutes (`CERTIFICATE_TRIAL_SECONDS`), the device goes back to the old one,
//! and the job is FAILED. Lesson 6 has the table of what each start does. Flags are those of the sample:
//! `--cert` and `--key` are what it begins with; what it gets later is in the folder `identity` (or
//! `IDENTITY_FOLDER`). Keys are made in a token if `DEVICE_TOKEN` names one, with a `pin-source`: see lesson 9.

use std::{env, process::ExitCode, sync::Arc, time::Duration};

use jobs_mqtt5::agent::{self, Agent, Job, Outcome, WorkResult};
use jobs_mqtt5::jobs::{self, ErrorCode, JobStatus, StartNext, StatusDetails, Update};
use jobs_mqtt5::mqtt::{self, Backoff, ConnectionErrorKind as Kind, Event, Events};
use jobs_mqtt5::{cli::Flags, output::Output, sample::Settings, stop};
use tokio::time::{sleep, timeout};

#[path = "../device_key/mod.rs"]
#[allow(clippy::duplicate_mod)] // the tests have it in other examples too
mod device_key;
#[path = "../durable.rs"]
#[allow(dead_code)] // a part of it is for the firmware update
pub(crate) mod durable;
mod store;

use durable::{Folder, RealDisk};
use store::{Rotation, Stays, Store};

/// So many times in a row may the server close the door on a certificate without a word.
const MOST_REFUSALS: u32 = 5;

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
    let flags = Flags::of_this_process();
    let path = env::var_os("IDENTITY_FOLDER").unwrap_or("identity".into());
    let ended = async { run(flags, Folder::open(path, Arc::new(RealDisk))?).await };
    let ended = ended.await.inspect_err(|error| eprintln!("{error}"));
    ExitCode::from(u8::from(ended.is_err()))
}

/// Does jobs, with one connection after another. What each is made with is decided here alone: by how
/// things stand on the disk, and by what was refused in this run.
pub(crate) async fn run(delivered: Flags, folder: Folder) -> Result<(), device_key::Failure> {
    let limit = env::var("CERTIFICATE_TRIAL_SECONDS").unwrap_or("600".to_owned());
    let limit = Duration::from_secs(limit.parse()?);
    let output = Output::on_stdout_and_stderr()?;
    let store = Arc::new(Store { folder, delivered });
    let mut stop = tokio::spawn(stop::signal()?);
    let (mut last, mut refused) = (None, None);
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(300));
    while !stop.is_finished() {
        let identity = match (store.rotation("trial.pem"), refused.clone()) {
            (None, _) => Identity::Old,
            (Some(trial), Some((other, why))) if trial == other => Identity::GoneBack(trial, why),
            (Some(trial), _) => Identity::Trial(trial),
        };
        if last.replace(identity.clone()) != Some(identity.clone()) {
            backoff.reset();
        } else if timeout(backoff.next_wait(), &mut stop).await.is_ok() {
            break; // told to stop, while it waited because nothing had changed
        }
        let (flags, tls) = store.credentials(matches!(identity, Identity::Trial(_)))?;
        println!("Connecting with {}", flags.cert.display());
        let settings = Settings::with_tls(&flags, tls, &output)?;
        let (mqtt, mut events) = mqtt::connect(settings.mqtt);
        let jobs = jobs::Client::with_options(&mqtt, &settings.thing_name, settings.jobs);
        let mut agent = Agent::with_options(&jobs, settings.agent);
        let (stopper, shared) = (agent.stopper(), Arc::clone(&store));
        tokio::spawn(tell(agent.events()));
        let do_jobs = async {
            let late = |_| Err(format!("no report was accepted within {limit:?}"));
            let reported = timeout(limit, report(&jobs, &identity)).await;
            let stays = match (reported.unwrap_or_else(late), &identity) {
                (Err(why), Identity::Trial(_)) => return Err(why),
                (Err(why), _) => {
                    eprintln!("{why}"); // the next connection reports again
                    None
                }
                (Ok(stays), _) => stays,
            };
            if let Some(Err(error)) = stays.map(|stays| store.end_trial(stays)) {
                eprintln!("{error}"); // the next rotation tries it again
            }
            let work = async move |job: &Job| work(job, &shared, stays).await;
            agent.run(work).await.map_err(|error| error.to_string())
        };
        let stopped = async {
            let _ = (&mut stop).await;
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
/// decides which certificate stays. `None` if nothing is on trial.
async fn report(jobs: &jobs::Client, identity: &Identity) -> Result<Option<Stays>, String> {
    let (trial, status, detail) = match identity {
        Identity::Old => return Ok(None),
        Identity::Trial(trial) => (trial, JobStatus::Succeeded, ("step", "in use")),
        Identity::GoneBack(trial, why) => (trial, JobStatus::Failed, ("reason", &**why)),
    };
    // A certificate with which no job can be started is no good either.
    let started = jobs.start_next(StartNext::default()).await;
    let started = started.map_err(|error| error.to_string())?;
    let is_ours = started.is_some_and(|job| match job.job_document.read() {
        Ok(Task::InstallCertificate { certificate }) => {
            Rotation::new(&job, &certificate).is_ok_and(|new| new == *trial)
        }
        _ => false,
    });
    // If it is not under way, it has ended: an update is refused then, and the refusal says how.
    let mut update = Update::any_version(&trial.job_id, JobStatus::InProgress);
    update.execution_number = Some(trial.execution_number);
    if is_ours {
        update.status = status.clone();
        update.status_details = StatusDetails::default().with_text(detail.0, detail.1);
    }
    let ended = match jobs.update(update).await {
        Ok(_) => is_ours.then_some(status), // else it is another of this name
        Err(error) => match error.rejection().map(|no| (&no.execution_state, &no.code)) {
            Some((Some(now), _)) => Some(now.status.clone()),
            Some((None, ErrorCode::ResourceNotFound | ErrorCode::TerminalStateReached)) => None,
            _ => return Err(error.to_string()),
        },
    };
    println!("job {}: reported", trial.job_id);
    match (ended, identity) {
        // If nobody knows, what works is kept.
        (Some(JobStatus::Succeeded), _) | (None, Identity::Trial(_)) => Ok(Some(Stays::New)),
        (Some(ended), Identity::Trial(_)) => Err(format!("its job is {ended}")),
        _ => Ok(Some(Stays::Old)),
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
                let is_no = matches!(kind, Kind::Tls(_) | Kind::Refused | Kind::ClosedEarly);
                left -= u32::from(is_no);
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
/// run ended. `stays` is how the last rotation has ended, if the cloud has accepted a report on it.
async fn work(job: &Job, store: &Store, stays: Option<Stays>) -> WorkResult {
    let new = match job.document() {
        Ok(Task::MakeKey) => return answer(&store.make_key()?),
        Ok(Task::InstallCertificate { certificate }) => {
            Rotation::new(job.execution(), &certificate)?
        }
        Err(error) => return Ok(Outcome::rejected(error.to_string())),
    };
    if store.rotation("trial.pem").is_some() {
        let Some(stays) = stays else {
            return Ok(Outcome::LeftInProgress); // the next connection reports on that first
        };
        let ended = store.end_trial(stays);
        ended.map_err(|error| format!("the last rotation can't be written down: {error}"))?;
    }
    let current = store.rotation("current.pem");
    if current.is_some_and(|current| current.certificate == new.certificate) {
        return Ok(Outcome::succeeded());
    }
    let key = store.waiting_key()?;
    device_key::check_pair(&new.certificate, &key)?;
    let details = StatusDetails::from_pairs([("step", "connecting with it")])?;
    job.checkpoint(details).await?;
    job.check()?; // told to stop: nothing has changed yet
    store.begin_trial(&new, &key)?;
    Ok(Outcome::LeftInProgress)
}

/// The request for a certificate, as what a job was answered with. Its key stays here.
fn answer(request: &str) -> WorkResult {
    let is_base64 = |line: &&str| !line.starts_with('-');
    let csr: String = request.lines().filter(is_base64).collect();
    let details = StatusDetails::from_pairs([("csr", csr)])?;
    Ok(Outcome::Succeeded(details))
}
