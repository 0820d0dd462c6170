//! A firmware on trial. The cloud is asked about its job, and told how it went; only a SUCCEEDED that the
//! cloud has accepted settles it. Whatever else becomes of the job, the device goes back to the firmware
//! before, so that what the cloud shows is what runs.

use std::error::Error;
use std::time::{Duration, Instant};

use jobs_mqtt5::cli::Flags;
use jobs_mqtt5::jobs::{Client, ErrorCode, JobExecution, JobId, JobStatus, RequestError, Update};
use jobs_mqtt5::mqtt::{self, Event};
use jobs_mqtt5::{output::Output, sample::Settings, stop};
use tokio::time::sleep;

use super::device::Device;
use super::document::{self, Firmware};
use super::slots::{self, other};

/// What is to be done after the trial.
#[derive(Debug, PartialEq, Eq)]
pub enum After {
    NextJob,
    /// So that the other slot runs.
    Restart,
    /// The program was told to stop.
    Stop,
}

/// Connects, and ends the trial. Without one, it returns at once. What somebody has to fix, as a clock that
/// is wrong, is waited for like an outage: it does not speak against the firmware. An error means that the
/// cloud can't be told, and that no waiting helps: that start counts as a failed one.
pub fn run(device: &mut Device, flags: &Flags) -> Result<After, Box<dyn Error>> {
    if !matches!(device.slots.state().update, slots::Update::Trial { .. }) {
        return Ok(After::NextJob);
    }
    let mut settings = Settings::from_flags(flags, &Output::on_stdout_and_stderr()?)?;
    settings.mqtt.patience = Duration::MAX;
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build()?.block_on(async {
        let (mqtt, mut events) = mqtt::connect(settings.mqtt);
        let jobs = Client::with_options(&mqtt, &settings.thing_name, settings.jobs);
        let problems = tokio::spawn(async move {
            while let Some(event) = events.next().await {
                if let Event::Interrupted { error, .. } | Event::Ended(Err(error)) = event {
                    eprintln!("{error}");
                }
            }
        });
        let after = tokio::select! {
            judged = judge(device, &jobs) => judged,
            _ = stop::signal()? => Ok(After::Stop),
        };
        mqtt.disconnect();
        problems.await?; // why the connection has ended comes last
        Ok(after?)
    })
}

/// Ends the trial, by what the cloud says of its job: writes down how, and has the active slot run.
pub async fn judge(device: &mut Device, jobs: &Client) -> Result<After, RequestError> {
    let mut state = device.slots.state();
    let slots::Update::Trial { key, .. } = state.update.clone() else {
        return Ok(After::NextJob);
    };
    // One that passes its self-test can still crash.
    let start = Instant::now();
    while !has_failed(device) && start.elapsed() < device.times.first_seconds {
        sleep(Duration::from_millis(20)).await;
    }
    let mut backoff = device.times.backoff.clone();
    state.update = loop {
        let reported = match look_up(jobs, &key).await {
            // A run before this one has reported it, and could not write that down.
            Ok(Found::Ended(status)) if status == "SUCCEEDED" => Ok(()),
            Ok(Found::InProgress(job)) if !has_failed(device) => report(jobs, &job).await,
            // Back to the firmware before. The job comes to it next, and it reports FAILED.
            Ok(found) => {
                if let Found::Ended(status) = found {
                    let reason = format!("its job is {status}");
                    device.failed.get_or_insert(reason);
                }
                let reason = device.failed.take().unwrap_or_default();
                state.active = other(state.active);
                break slots::Update::Refused { key, reason };
            }
            Err(error) => Err(error),
        };
        match reported {
            Ok(()) => break slots::Update::Settled,
            Err(error) if error.is_fatal() => return Err(error),
            Err(error) => eprintln!("{error}. It is tried again."),
        }
        sleep(backoff.next_wait()).await;
    };
    let (active, goes_back) = (state.active, state.update != slots::Update::Settled);
    let is_written = device.slots.decide(state);
    if device.running != active && !device.is_firmware {
        device.run(active);
    } else if device.running != active && (is_written || goes_back) {
        return Ok(After::Restart); // (a start that can't be counted goes back as well)
    }
    Ok(After::NextJob)
}

fn has_failed(device: &mut Device) -> bool {
    if let Some(application) = &device.application
        && let Some(status) = application.first_end.get()
    {
        let reason = || format!("it ended with {status}");
        device.failed.get_or_insert_with(reason);
    }
    device.failed.is_some()
}

/// The job that has brought the firmware.
enum Found {
    InProgress(Box<JobExecution>),
    /// With this status, or gone.
    Ended(String),
}

async fn look_up(jobs: &Client, key: &str) -> Result<Found, RequestError> {
    let gone = Ok(Found::Ended("gone".to_owned()));
    let mut parts = key.split('/');
    let Ok(job_id) = JobId::new(parts.next().unwrap_or_default()) else {
        return gone;
    };
    match jobs.describe(&job_id).await {
        Ok(Some(job)) if document::key(&job) == key => Ok(match job.status {
            JobStatus::InProgress => Found::InProgress(Box::new(job)),
            status => Found::Ended(status.to_string()),
        }),
        Err(error) if error.code() == Some(&ErrorCode::TerminalStateReached) => {
            // The service does not describe one that has ended; but it refuses an update, and says why.
            let mut update = Update::any_version(&job_id, JobStatus::InProgress);
            update.execution_number = parts.next().and_then(|number| number.parse().ok());
            let Err(refused) = jobs.update(update).await else {
                return gone;
            };
            let rejection = refused.rejection();
            let state = rejection.and_then(|it| it.execution_state.as_ref());
            let ended = state.map(|it| Found::Ended(it.status.to_string()));
            ended.ok_or(refused)
        }
        Err(error) if error.code() != Some(&ErrorCode::ResourceNotFound) => Err(error),
        _ => gone,
    }
}

/// Reports that the firmware is good. Returns when the cloud has accepted that.
async fn report(jobs: &Client, job: &JobExecution) -> Result<(), RequestError> {
    let mut update = Update::execution(job, JobStatus::Succeeded);
    if let Ok(firmware) = Firmware::of(job) {
        let details = firmware.details("running", firmware.size);
        update.status_details = details.unwrap_or_default();
    }
    jobs.update(update).await?;
    println!("job {}: SUCCEEDED was accepted", job.job_id);
    Ok(())
}
