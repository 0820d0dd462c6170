//! A firmware update as it is done: signed, tried, and gone back on if it is no good.
//!
//! ```text
//! {"operation": "install-firmware", "version": "1.4.2", "size": 1000000,
//!  "url": "${aws:iot:s3-presigned-url-v2:https://s3.us-east-1.amazonaws.com/my-bucket/firmware.bin}",
//!  "signature": "MEUCIQ…"}
//! ```
//!
//! `signature` is what `openssl dgst -sha256 -sign key.pem firmware.bin | base64` prints (`-w0`, or without
//! line feeds), or AWS's Signer has it put in the place of `${aws:iot:code-sign-signature:s3://…}`. An older
//! version is installed by `"allow_downgrade": true` only; then the signature is over the file and, behind
//! it, the word `allow_downgrade`.
//!
//! The way of an update, each step safe from a power cut:
//!
//! 1. `part` is downloaded in ranges, through the program's proxy, and goes on where it was cut off
//! 2. its signature is checked with the keys on the device, and that it is the version it is said to be
//! 3. it is put into the slot that is not active
//! 4. a checkpoint: from here on, the cloud knows; if it no longer wants the job, that is the end of it
//! 5. that slot is made the active one, on trial, and the device restarts
//! 6. the new firmware tests itself, within a time limit; if it does not pass, the old slot is active again
//! 7. only then the job ends: SUCCEEDED, or FAILED with the reason
//!
//! The firmware is an application of its own here (`application.rs`). It may be the device program itself:
//! tests/deploy/README.md. Flags are those of the sample; keys (`signing-key-1.pem`) and slots are in the
//! folder `installed` (or that in `FIRMWARE_FOLDER`). A new device has its first firmware in slot `a`.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::{env, fs};

use jobs_mqtt5::agent::{Interrupted, Job, Outcome, WorkResult};
use jobs_mqtt5::cli::Flags;
use jobs_mqtt5::program;

pub(crate) mod application;
pub(crate) mod boot;
mod document;
pub(crate) mod download;
mod signature;
pub(crate) mod slots;

use boot::{Device, SELF_TEST_LIMIT, cut};
use document::Firmware;
use download::Download;
use slots::{Slots, Update};

fn main() -> ExitCode {
    let _ = Flags::of_this_process(); // with --version, that is all
    let folder = PathBuf::from(env::var_os("FIRMWARE_FOLDER").unwrap_or("installed".into()));
    let limit = env::var("SELF_TEST_SECONDS").ok();
    let limit = limit.and_then(|seconds| seconds.parse().ok());
    let limit = limit.map_or(SELF_TEST_LIMIT, Duration::from_secs);
    let booted = Slots::open(folder).and_then(|slots| boot::start(slots, limit));
    let (device, application) = match booted {
        Ok((device, application)) => (Arc::new(device), application),
        Err(error) => {
            eprintln!("The device can't be started: {error}.");
            return ExitCode::FAILURE;
        }
    };
    let shared = Arc::clone(&device);
    let code = program::run(async move |job: &Job, flags: &Flags| {
        install(job, &shared, download::proxy(flags)?).await
    });
    drop(application);
    match device.restart.load(Ordering::Relaxed) {
        true => boot::restart(),
        false => code,
    }
}

/// Does the job. An error becomes FAILED, with its words as the reason.
pub async fn install(job: &Job, device: &Device, proxy: Option<ureq::Proxy>) -> WorkResult {
    let firmware = match Firmware::of(job.execution()) {
        Ok(firmware) => firmware,
        Err(reason) => return Ok(Outcome::rejected(reason)),
    };
    let (slots, key) = (&device.slots, document::key(job.execution()));
    let succeeded = || {
        Ok(Outcome::Succeeded(
            firmware.details("running", firmware.size)?,
        ))
    };
    let boot = slots.boot()?;
    match boot.update {
        // This program is the new firmware, and has come so far as to hold its job again: the place
        // for what else it can test. Whoever has started it goes back if it does not come here.
        Update::Trial { key: new, .. }
            if new == key && device.is_firmware && boot.active == device.active =>
        {
            slots.set(device.active, &Update::Done { key })?;
            return succeeded();
        }
        // This job has brought the firmware that runs, or the one that was gone back on.
        Update::Done { key: done } if done == key => return succeeded(),
        Update::Refused { key: other, reason } if other == key => {
            let running = device.version.as_deref().unwrap_or("none");
            return Ok(Outcome::failed(format!("gone back to {running}: {reason}")));
        }
        Update::Trial { .. } => return leave(device), // the restart is still to come
        _ => {}
    }
    let active = slots.path(device.active);
    let is_there = active.exists() && firmware.signature.is_of(&active, slots.folder())?;
    if is_there && device.version.as_ref() == Some(&firmware.version) {
        return succeeded();
    }
    if let Some(installed) = &device.version
        && document::numbers(&firmware.version) <= document::numbers(installed)
        && !firmware.allow_downgrade
    {
        let reason = format!("{} is not newer than {installed}", firmware.version);
        return Ok(Outcome::rejected(reason));
    }
    let fetched = fetch(job, device, &firmware, proxy).await;
    match fetched {
        Ok(()) => {}
        // What has come by now is for the next run.
        Err(error) if is_stop(&*error) => return Err(error),
        Err(error) => {
            let _ = fs::remove_file(slots.part());
            return Err(error);
        }
    }
    slots.fill(device.active.other())?;
    cut("in its slot");
    let details = firmware.details("restarting", firmware.size)?;
    job.checkpoint(details).await?;
    cut("checkpointed");
    slots.set(device.active.other(), &Update::Trial { key, starts: 0 })?;
    cut("switched");
    leave(device)
}

fn is_stop(error: &(dyn Error + Send + Sync + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(Interrupted::Stopping))
}

/// Restarts the device, with the job IN_PROGRESS: the next run reports what became of it.
fn leave(device: &Device) -> WorkResult {
    device.restart.store(true, Ordering::Relaxed);
    Ok(Outcome::LeftInProgress)
}

/// Downloads the firmware, and checks that it is its maker's.
async fn fetch(
    job: &Job,
    device: &Device,
    firmware: &Firmware,
    proxy: Option<ureq::Proxy>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let part = device.slots.part();
    loop {
        let is_resumed = fs::metadata(&part).is_ok_and(|part| part.len() > 0);
        let download = Download {
            job,
            url: firmware.url.clone(),
            size: firmware.size,
            path: part.clone(),
            proxy: proxy.clone(),
            backoff: device.backoff.clone(),
        };
        let url_of = |now: &_| Ok(Firmware::of(now)?.url);
        let progress = |length| {
            job.progress(firmware.details("downloading", length)?);
            Ok(())
        };
        download.run(url_of, progress).await?;
        if firmware.signature.is_of(&part, device.slots.folder())? {
            break;
        }
        fs::remove_file(&part)?;
        if !is_resumed {
            return Err("none of this device's keys has signed this file".into());
        }
        // What an earlier run has left may be what is wrong: once more, from the start.
    }
    cut("verified");
    // The signature is over the file, not over the document: so it is the file that says what it is.
    application::make_executable(&part)?;
    match application::version(&part)? {
        version if version == firmware.version => Ok(()),
        version => Err(format!("the file is version {version}, not {}", firmware.version).into()),
    }
}
