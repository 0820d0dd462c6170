//! A device that is updated on a disk with a fault: it is started until its job has ended.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jobs_mqtt5::agent::Job;
use jobs_mqtt5::mqtt::Backoff;
use local_iot_core::Status;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::task::spawn_blocking;

use super::{Brings, Planted, StartedBy, Sweep};
use crate::install_firmware::example::device::{Device, Times};
use crate::install_firmware::example::slots::{SLOTS, Slot, Slots, State, Update};
use crate::install_firmware::example::trial::{After, judge};
use crate::install_firmware::example::{self, application::make_executable};
use crate::install_firmware::{opened, state_in};
use crate::support::FaultyDisk;

/// One update on one device.
pub(super) struct TriedOn<'a> {
    pub(super) sweep: &'a Sweep,
    pub(super) job: String,
    pub(super) folder: TempDir,
    pub(super) disk: FaultyDisk,
}

impl TriedOn<'_> {
    fn status(&self) -> Status {
        let job = self.sweep.world.core.jobs().execution(&self.job);
        job.unwrap().status
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn state(&self) -> State {
        state_in(self.folder.path())
    }

    /// Runs `boot`, and returns what it has started.
    async fn booted(&self) -> Result<(Slot, String), String> {
        let boot = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/deploy/boot");
        let mut command = Command::new(boot);
        command.env("FIRMWARE_FOLDER", self.folder.path());
        command.env("TRIAL_SECONDS", "5");
        let tools = tempfile::tempdir().unwrap();
        if self.disk.is_stuck() {
            let sync = tools.path().join("sync"); // what it writes does not arrive
            fs::write(&sync, "#!/bin/sh\nexit 1\n").unwrap();
            make_executable(&sync).unwrap();
            let path = std::env::var("PATH").unwrap();
            command.env("PATH", format!("{}:{path}", tools.path().display()));
        }
        let output = command.output().await.unwrap();
        let _ = fs::remove_file(self.path("boot.new")); // (it may not be there)
        self.disk.sync_all();
        let said = String::from_utf8(output.stdout).unwrap();
        let (slot, why) = said.trim().split_once('|').ok_or("nothing was started")?;
        Ok((SLOTS[usize::from(slot == "b")], why.to_owned()))
    }

    /// One life of the device: until it is killed, restarts, or its job has ended. What main.rs does.
    /// Returns the slot that ran, if there is nothing left to do.
    async fn live(&self) -> Result<Option<Slot>, String> {
        let (sweep, world) = (self.sweep, &self.sweep.world);
        self.disk.restart();
        self.disk.on_kill(|| ());
        let booted = match sweep.started_by {
            StartedBy::Boot => Some(self.booted().await?),
            StartedBy::Example => None,
        };
        let times = Times {
            self_test: Duration::from_secs(20),
            first_seconds: Duration::ZERO,
            patience: Duration::from_secs(20),
            backoff: Backoff::new(Duration::from_millis(1), Duration::from_millis(2)),
        };
        let slots = self.slots().await;
        let started = spawn_blocking(move || Device::start(slots, booted, times)).await;
        let Ok(mut device) = started else {
            return Ok(None);
        };
        if !device.is_firmware && device.application.is_none() {
            return Err("no slot can be started".to_owned());
        }
        if sweep.planted == Planted::UnknownIsOlder && device.firmware.is_none() {
            device.firmware = Some("thermostat 0.0.0".to_owned());
        }
        let state = device.slots.state();
        let is_trial = matches!(state.update, Update::Trial { .. });
        if is_trial && sweep.update == Brings::Canceled {
            let _ = world.core.jobs().cancel_job_by_force(&self.job);
        }
        let settles_first =
            is_trial && sweep.planted == Planted::SettledBeforeTheReport && device.failed.is_none();
        let (jobs, mqtt) = world.jobs_client();
        let judged = tokio::spawn(async move {
            if settles_first {
                let update = Update::Settled;
                device.slots.decide(State { update, ..state });
            }
            let after = judge(&mut device, &jobs).await;
            (device, after)
        });
        let judged = in_time("the trial", judged).await?;
        mqtt.disconnect();
        let Ok((device, after)) = judged else {
            return Ok(None);
        };
        if after.map_err(|error| error.to_string())? == After::Restart {
            return Ok(None);
        }
        let ran = device.running;
        if self.status().is_terminal() {
            return Ok(Some(ran));
        }
        let shared = Arc::new(device);
        let mut running = world.run(world.settings(), async move |job: &Job| {
            example::install(job, &shared, None).await
        });
        let handle = running.abort_handle();
        self.disk.on_kill(move || handle.abort());
        let jobs = world.core.jobs();
        let over = jobs.wait_until(|books| {
            let job = books.execution(&self.job);
            job.is_some_and(|job| job.status.is_terminal())
        });
        tokio::select! {
            over = in_time("the job", over) => over?,
            () = running.gone() => return Ok(None),
        };
        running.stop().await.map_err(|error| error.to_string())?;
        Ok(Some(ran))
    }

    /// The slots, when the life before has let go of them.
    async fn slots(&self) -> Slots {
        opened(self.folder.path(), Arc::new(self.disk.clone())).await
    }

    /// Lives until the job has ended and nothing more happens; the device is started once more, and
    /// if the disk was stuck, again when that is mended. What the cloud shows must be what runs, when it says so and in the end.
    pub(super) async fn ends_well(&self) -> Result<Status, String> {
        let (mut lives, mut idle, mut was_stuck) = (0, 0, false);
        while idle < if was_stuck { 3 } else { 2 } {
            lives += 1;
            if lives > 20 {
                return Err("it does not come to an end".to_owned());
            }
            if let Some(ran) = self.live().await? {
                self.is_what_the_cloud_shows(ran, idle > 0)?;
                idle += 1;
                was_stuck |= self.disk.is_stuck();
                if idle == 2 {
                    self.disk.mend();
                }
            }
        }
        let leftovers = ["boot.new", "part"].map(|name| self.path(name).exists());
        if leftovers != [false; 2] && !self.disk.was_killed() && !was_stuck {
            return Err("it leaves something behind".to_owned());
        }
        Ok(self.status())
    }

    fn is_what_the_cloud_shows(&self, ran: Slot, is_written: bool) -> Result<(), String> {
        let (status, state) = (self.status(), self.state());
        let content = fs::read(self.path(ran)).unwrap_or_default();
        let is_new = content == self.sweep.new;
        if !is_new && content != self.sweep.old {
            return Err(format!("what runs from slot {ran} is neither of the two"));
        }
        if is_new != (status == Status::Succeeded) && !self.disk.is_stuck() {
            return Err(format!("{status:?}, and the new one runs: {is_new}"));
        }
        let is_settled = !matches!(state.update, Update::Trial { .. }) && state.active == ran;
        // (What could not be written is, at the latest, at the next start.)
        if is_written && !is_settled && !self.disk.is_stuck() {
            return Err(format!(
                "{status:?} from slot {ran}, and the disk says {state:?}"
            ));
        }
        if !self.sweep.may_end(status) {
            return Err(format!("it ends {status:?}"));
        }
        Ok(())
    }
}

/// What takes longer than anything here is a fault as well.
async fn in_time<F: Future>(what: &str, future: F) -> Result<F::Output, String> {
    let limit = Duration::from_secs(60);
    let ended = tokio::time::timeout(limit, future).await;
    ended.map_err(|_| format!("{what} does not end"))
}
