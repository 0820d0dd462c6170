//! Each step on the disk of an update fails in turn, in each way: the program is killed, the power is cut, an
//! error comes once, or the disk is full or read-only from there on. The device is started as often as it
//! takes, and then what the cloud shows must be what runs.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use jobs_mqtt5::agent::Job;
use jobs_mqtt5::mqtt::Backoff;
use local_iot_core::Status;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::task::spawn_blocking;

use super::example::device::{Device, Times};
use super::example::slots::{SLOTS, Slot, Slots, State, Update};
use super::example::trial::{After, judge};
use super::example::{self, application::make_executable};
use super::{opened, signature, signing_key, state_in};
use crate::support::{Fault, FaultyDisk, FileServer, Moment, World};

/// What the update brings, and what becomes of its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Brings {
    Good,
    FailsItsSelfTest,
    /// Its job is canceled when it is on trial.
    Canceled,
    /// The device does not know what it has now.
    OnAnUnknownOne,
}

/// Who starts the firmware: the example, as an application of its own; or `boot`, as the device program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StartedBy {
    Example,
    Boot,
}

/// A fault in the code, which these tests must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Planted {
    Nothing,
    SettledBeforeTheReport,
    NoSync,
    UnknownIsOlder,
}

struct Sweep {
    world: World,
    server: FileServer,
    old: Vec<u8>,
    new: Vec<u8>,
    update: Brings,
    started_by: StartedBy,
    planted: Planted,
}

/// One update on one device.
struct TriedOn<'a> {
    sweep: &'a Sweep,
    job: String,
    folder: TempDir,
    disk: FaultyDisk,
}

/// A firmware for either way of being started.
fn firmware(name: &str, self_test: &str) -> Vec<u8> {
    let script = format!(
        "#!/bin/sh\ncase \"$1\" in\n--version) echo {name} ;;\n--self-test) {self_test} ;;\n*)\n\
         if [ -n \"$BOOT_SLOT\" ]; then echo \"$BOOT_SLOT|$BOOT_WHY\"; else exec cat > /dev/null; fi ;;\n\
         esac\n"
    );
    script.into_bytes()
}

impl Sweep {
    async fn new(update: Brings, started_by: StartedBy, planted: Planted) -> Self {
        let old = match (started_by, update) {
            (StartedBy::Boot, _) => "jobs-mqtt5 0.1.0",
            (_, Brings::OnAnUnknownOne) => "",
            _ => "thermostat 1.4.1",
        };
        let new = match started_by {
            StartedBy::Boot => "jobs-mqtt5 0.2.0",
            StartedBy::Example => "thermostat 1.4.2",
        };
        let self_test = match update {
            Brings::FailsItsSelfTest => "exit 3",
            _ => "true",
        };
        let new = firmware(new, self_test);
        Self {
            world: World::new().await,
            server: FileServer::start(&new, Default::default()).await,
            old: firmware(old, "true"),
            new,
            update,
            started_by,
            planted,
        }
    }

    /// A device with the old firmware in slot `a`, and a job for it.
    fn device(&self, number: usize, fault: Option<(usize, Fault)>) -> TriedOn<'_> {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("a"), &self.old).unwrap();
        make_executable(&path("a")).unwrap();
        let key = signing_key(1).verifying_key().to_owned();
        let key = p256::pkcs8::EncodePublicKey::to_public_key_pem(&key, Default::default());
        fs::write(path("signing-key-1.pem"), key.unwrap()).unwrap();
        let disk = FaultyDisk::new(folder.path(), fault);
        if self.planted == Planted::NoSync {
            disk.ignore_syncs();
        }
        let (product, version) = match self.started_by {
            StartedBy::Boot => ("jobs-mqtt5", "0.2.0"),
            StartedBy::Example => ("thermostat", "1.4.2"),
        };
        let job = format!("update-{number}");
        let document = json!({
            "operation": "install-firmware",
            "product": product,
            "version": version,
            "url": self.server.url(),
            "size": self.new.len(),
            "signature": signature(&signing_key(1), &self.new),
        });
        self.world.core.jobs().create_job(&job, document).unwrap();
        TriedOn {
            sweep: self,
            job,
            folder,
            disk,
        }
    }
}

impl TriedOn<'_> {
    fn status(&self) -> Status {
        let job = self.sweep.world.core.jobs().execution(&self.job);
        job.unwrap().status
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
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
    async fn ends_well(&self) -> Result<Status, String> {
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

impl Sweep {
    fn may_end(&self, status: Status) -> bool {
        match self.update {
            Brings::Good => matches!(status, Status::Succeeded | Status::Failed),
            Brings::FailsItsSelfTest if self.started_by == StartedBy::Boot => true,
            Brings::FailsItsSelfTest => status == Status::Failed,
            Brings::Canceled => matches!(status, Status::Canceled | Status::Failed),
            Brings::OnAnUnknownOne => matches!(status, Status::Rejected | Status::Failed),
        }
    }

    /// Has this fault strike at each step. Returns how often it has struck, and what went wrong.
    async fn fault(&self, fault: Fault) -> (usize, Vec<String>) {
        let mut problems = Vec::new();
        let mut ends: BTreeMap<String, usize> = BTreeMap::new();
        for step in 0.. {
            let device = self.device(step, Some((step, fault)));
            let ended = device.ends_well().await;
            let _ = self.world.core.jobs().delete_job(&device.job);
            match ended {
                Ok(status) => *ends.entry(format!("{status:?}")).or_default() += 1,
                Err(problem) => {
                    let steps = device.disk.steps();
                    let around = steps.get(step.saturating_sub(3)..=step);
                    problems.push(format!("{fault:?} at step {step} {around:?}: {problem}"));
                }
            }
            if !device.disk.has_struck() {
                println!(
                    "{fault:?}, {:?}, {:?}: {step} times, {ends:?}",
                    self.update, self.started_by
                );
                return (step, problems);
            }
        }
        unreachable!("an update has an end")
    }
}

/// What kills, and what lasts: for the ways that differ little from the first.
fn the_worst() -> Vec<Fault> {
    vec![
        Fault::Kill(Moment::Before),
        Fault::PowerCut(Moment::After),
        Fault::NamesOnly,
        Fault::Full,
        Fault::ReadOnly,
        Fault::Error(ErrorKind::Other, Moment::After),
    ]
}

/// Has each of these faults strike at each step, a few side by side, each in a world of its own.
async fn tried(
    update: Brings,
    started_by: StartedBy,
    planted: Planted,
    faults: &[Fault],
) -> (usize, Vec<String>) {
    let tried = faults.iter().map(async |fault| {
        let sweep = Sweep::new(update, started_by, planted).await;
        sweep.fault(*fault).await
    });
    let tried: Vec<_> = stream::iter(tried).buffered(3).collect().await;
    let (struck, problems): (Vec<usize>, Vec<Vec<String>>) = tried.into_iter().unzip();
    (struck.into_iter().sum(), problems.concat())
}

async fn holds(update: Brings, started_by: StartedBy, faults: &[Fault], least: usize) {
    let (struck, problems) = tried(update, started_by, Planted::Nothing, faults).await;
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(struck >= least, "only {struck} faults have struck");
}

#[tokio::test]
async fn an_update_survives_a_kill_at_whatever_step() {
    let kills = [Moment::Before, Moment::Middle, Moment::After].map(Fault::Kill);
    holds(Brings::Good, StartedBy::Example, &kills, 50).await;
}

#[tokio::test]
async fn an_update_survives_a_power_cut_at_whatever_step() {
    let cuts = [Moment::Before, Moment::Middle, Moment::After].map(Fault::PowerCut);
    holds(Brings::Good, StartedBy::Example, &cuts, 50).await;
    holds(Brings::Good, StartedBy::Example, &[Fault::NamesOnly], 15).await;
}

#[tokio::test]
async fn an_update_survives_an_error_at_whatever_step() {
    let errors = Fault::all().into_iter();
    let errors = errors.filter(|fault| matches!(fault, Fault::Error(..)));
    let errors: Vec<Fault> = errors.collect();
    holds(Brings::Good, StartedBy::Example, &errors, 60).await;
}

#[tokio::test]
async fn an_update_survives_a_disk_that_is_full_or_read_only_from_whatever_step_on() {
    let lasting = [Fault::Full, Fault::ReadOnly];
    holds(Brings::Good, StartedBy::Example, &lasting, 30).await;
}

#[tokio::test]
async fn an_update_of_the_device_program_survives_whatever_fails_at_whatever_step() {
    holds(Brings::Good, StartedBy::Boot, &the_worst(), 80).await;
}

#[tokio::test]
async fn an_update_that_is_no_good_is_gone_back_on_whatever_fails_at_whatever_step() {
    holds(
        Brings::FailsItsSelfTest,
        StartedBy::Example,
        &the_worst(),
        100,
    )
    .await;
}

#[tokio::test]
async fn an_update_that_is_canceled_on_trial_is_gone_back_on_whatever_fails_at_whatever_step() {
    holds(Brings::Canceled, StartedBy::Example, &the_worst(), 80).await;
    holds(
        Brings::Canceled,
        StartedBy::Boot,
        &[Fault::Full, Fault::NamesOnly],
        30,
    )
    .await;
}

#[tokio::test]
async fn these_tests_find_a_fault_in_the_code() {
    use Planted::{NoSync, SettledBeforeTheReport, UnknownIsOlder};
    for (planted, update) in [
        (SettledBeforeTheReport, Brings::Canceled),
        (NoSync, Brings::Good),
        (UnknownIsOlder, Brings::OnAnUnknownOne),
    ] {
        let faults = [Fault::PowerCut(Moment::Before)];
        let (_, problems) = tried(update, StartedBy::Example, planted, &faults).await;
        assert!(!problems.is_empty(), "{planted:?} was not found");
        println!("{planted:?}: {}", problems[0]);
        if update == Brings::OnAnUnknownOne {
            // Without it, nothing is written at all.
            holds(update, StartedBy::Example, &faults, 0).await;
        }
    }
}
