//! A firmware update as it is done: signed, tried, and gone back on if it is no good.
//!
//! ```text
//! {"operation": "install-firmware", "product": "thermostat", "version": "1.4.2", "size": 1000000,
//!  "url": "${aws:iot:s3-presigned-url-v2:https://s3.us-east-1.amazonaws.com/my-bucket/firmware.bin}",
//!  "signature": "MEUCIQ…"}
//! ```
//!
//! `signature` is what `openssl dgst -sha256 -sign key.pem firmware.bin | base64` prints (`-w0`, or without
//! line feeds). An older version is installed by `"allow_downgrade": 3` only, a number that is higher each
//! time; then the signature is over the file and, behind it, the words `allow_downgrade=3`.
//!
//! The way of an update (lesson 3 has a table of its states, and of what a start does in each):
//!
//! 1. `part` is downloaded in ranges, through the program's proxy, and goes on where it was cut off
//! 2. its signature is checked with the keys on the device, and that it is what it is said to be
//! 3. it is put into the slot that does not run
//! 4. a checkpoint: from here on, the cloud knows; if it no longer wants the job, that is the end of it
//! 5. that slot is made the active one, on trial (`slots`), and the device restarts
//! 6. the new firmware tests itself, and lives through its first seconds (`device`)
//! 7. SUCCEEDED: when the cloud has accepted that, the firmware is settled (`trial`). Whatever goes wrong
//!    before, the old slot is active again, and FAILED is reported with the reason
//!
//! The firmware is an application of its own here (`application`). It may be the device program itself:
//! tests/deploy/README.md. Keys (`signing-key-1.pem`) and slots are in the folder `installed` (or that in
//! `FIRMWARE_FOLDER`). A new device has its first firmware in slot `a`.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::{env, fs};

use jobs_mqtt5::agent::{Interrupted, Job, Outcome, WorkResult};
use jobs_mqtt5::cli::Flags;
use jobs_mqtt5::program;

pub(crate) mod application;
pub(crate) mod device;
pub(crate) mod document;
#[path = "../download.rs"]
pub(crate) mod download;
#[path = "../durable.rs"]
pub(crate) mod durable;
#[path = "../presigned.rs"]
pub(crate) mod presigned;
pub(crate) mod slots;
pub(crate) mod trial;

use device::{Device, Times};
use document::{Firmware, parts};
use download::{AnyError, Download};
use slots::{Slots, State, Update, other};
use trial::After;

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("The device can't be started: {error}.");
        ExitCode::FAILURE
    })
}

/// Starts the device, ends the trial of its firmware, if there is one, and does jobs.
fn run() -> Result<ExitCode, Box<dyn Error>> {
    let flags = Flags::of_this_process(); // with --version, that is all
    let folder = env::var_os("FIRMWARE_FOLDER").unwrap_or("installed".into());
    let slots = Slots::open(folder, Arc::new(durable::RealDisk))?;
    let mut device = Device::start(slots, device::booted(), Times::from_env());
    match trial::run(&mut device, &flags)? {
        After::NextJob => {}
        After::Restart => return Ok(device::restart()),
        After::Stop => return Ok(ExitCode::SUCCESS),
    }
    let application = device.application.take();
    let device = Arc::new(device);
    let shared = Arc::clone(&device);
    let code = program::run(async move |job: &Job, flags: &Flags| {
        install(job, &shared, presigned::proxy(flags)?).await
    });
    drop(application); // it has ended before the next one begins
    Ok(match device.restart.load(Ordering::Relaxed) {
        true => device::restart(),
        false => code,
    })
}

/// Does the job. An error becomes FAILED, with its words as the reason.
pub async fn install(job: &Job, device: &Device, proxy: Option<ureq::Proxy>) -> WorkResult {
    let firmware = match Firmware::of(job.execution()) {
        Ok(firmware) => firmware,
        Err(reason) => return Ok(Outcome::rejected(reason)),
    };
    let key = document::key(job.execution());
    let state = device.slots.state();
    let running = device.firmware.as_deref().unwrap_or("the one before");
    if let Update::Refused { key: of, reason } = &state.update
        && *of == key
    {
        return Ok(Outcome::failed(format!("gone back to {running}: {reason}")));
    }
    let path = device.slots.folder.path(device.running);
    let is_there = || firmware.is_in(&path, &device.slots.folder);
    if running == firmware.name() && matches!(is_there(), Ok(true)) {
        let details = firmware.details("running", firmware.size)?;
        return Ok(Outcome::Succeeded(details));
    }
    if let Err(reason) = is_for_this_device(&firmware, device, &state) {
        return Ok(Outcome::rejected(reason));
    }
    let switched = match fetch(job, device, &firmware, proxy).await {
        Ok(()) => switch(job, device, &firmware).await,
        Err(error) => Err(error),
    };
    // An error does not say how things stand: the disk does.
    let now = device.slots.state();
    let is_on_trial = matches!(&now.update, Update::Trial { key: of, .. } if *of == key);
    if let (Some(why), true) = (job.unwanted(), is_on_trial) {
        // Canceled while that was written down. (Any later, and the next start goes back.)
        let (active, update) = (device.running, Update::Settled);
        device.slots.decide(State {
            active,
            update,
            ..now
        });
        return Ok(Outcome::Unwanted(why));
    }
    if let (Err(error), false) = (switched, is_on_trial) {
        // What has come by a stop is for the next run.
        if !matches!(error.downcast_ref(), Some(Interrupted::Stopping)) {
            let _ = device.slots.folder.remove("part");
        }
        return Err(error);
    }
    // The next run reports what became of it. Told to stop, it is not for us to start it.
    device.restart.store(!job.is_stopping(), Ordering::Relaxed);
    Ok(Outcome::LeftInProgress)
}

/// Whether it may be installed here. What is not known is refused.
fn is_for_this_device(firmware: &Firmware, device: &Device, state: &State) -> Result<(), String> {
    let installed = device.firmware.as_deref().unwrap_or_default();
    let (name, last) = (firmware.name(), state.downgrades);
    let (Some(new), Some(old)) = (parts(&name), parts(installed)) else {
        return Err("what runs here does not say its product and version".to_owned());
    };
    match firmware.allow_downgrade {
        _ if new.0 != old.0 => Err(format!("this device is a {}, not a {}", old.0, new.0)),
        Some(number) if number <= last => Err(format!(
            "allow_downgrade is {number}, and {last} was used already"
        )),
        None if new.1 <= old.1 => Err(format!("{name} is not newer than {installed}")),
        _ => Ok(()),
    }
}

/// Puts what was downloaded into the slot that does not run, and makes that the active one, on trial.
async fn switch(job: &Job, device: &Device, firmware: &Firmware) -> Result<(), AnyError> {
    let (slots, new) = (&device.slots, other(device.running));
    job.check()?; // it took its time
    slots.fill(new)?;
    let details = firmware.details("restarting", firmware.size)?;
    job.checkpoint(details).await?;
    job.check()?;
    let mut state = slots.state();
    state.active = new;
    state.installed.insert(new, firmware.name());
    state.downgrades = firmware.allow_downgrade.unwrap_or(state.downgrades);
    let key = document::key(job.execution());
    state.update = Update::Trial { key, starts: 0 };
    Ok(slots.set(&state)?)
}

/// Downloads the firmware, and checks that it is its maker's, and what it is said to be.
async fn fetch(
    job: &Job,
    device: &Device,
    firmware: &Firmware,
    proxy: Option<ureq::Proxy>,
) -> Result<(), AnyError> {
    let folder = &device.slots.folder;
    let part = folder.path("part");
    loop {
        let is_resumed = fs::metadata(&part).is_ok_and(|part| part.len() > 0);
        let download = Download {
            job,
            url: firmware.url.clone(),
            size: firmware.size,
            disk: folder.disk(),
            path: &part,
            proxy: proxy.clone(),
            backoff: device.times.backoff.clone(),
            patience: device.times.patience,
        };
        let progress = |length| {
            job.progress(firmware.details("downloading", length)?);
            Ok(())
        };
        let url_of = |now: &_| Firmware::of(now).map(|it| it.url);
        download.run(url_of, progress).await?;
        if firmware.is_in(&part, folder)? {
            break;
        }
        folder.remove("part")?;
        if !is_resumed {
            return Err("none of this device's keys has signed this file".into());
        }
        // What an earlier run has left may be what is wrong: once more, from the start.
    }
    // The signature is over the file, not over the document: so it is the file that says what it is.
    application::make_executable(&part)?;
    match (application::name(&part)?, firmware.name()) {
        (says, name) if says == name => Ok(()),
        (says, name) => Err(format!("the file is {says}, not {name}").into()),
    }
}
