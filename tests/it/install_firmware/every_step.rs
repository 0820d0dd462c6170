//! Each step on the disk of an update fails in turn, in each way: the program is killed, the power is cut, an
//! error comes once, or the disk is full or read-only from there on. The device is started as often as it
//! takes, and then what the cloud shows must be what runs.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;

use futures_util::stream::{self, StreamExt};
use local_iot_core::Status;
use serde_json::json;

use super::example::application::make_executable;
use super::{signature, signing_key};
use crate::support::{Fault, FaultyDisk, FileServer, Moment, World};

mod device;

use device::TriedOn;

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
