//! Every step on the disk fails, in every way, while a certificate is rotated: the device is never lost,
//! and what the cloud was told is how things stand.
#![cfg(unix)]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jobs_mqtt5::cli::Flags;
use local_iot_core::{JobExecution, Pki, Status};
use serde_json::json;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use super::example;
use super::scene::{Scene, decoded};
use crate::support::{Fault, FaultyDisk, Moment, faulty_disk_for};
use example::durable::Folder;

faulty_disk_for!(super::example::durable::Disk);

/// How many rotations go on at once: each waits most of its time.
const AT_ONCE: usize = 8;

/// The device: started again whenever it ends, as systemd does it.
struct Device(JoinHandle<()>);

impl Device {
    /// Starts it; this is what it was delivered with.
    fn start(scene: &Scene, disk: &FaultyDisk, cert: &Path, key: &Path) -> Self {
        let [cert, key] = [cert, key].map(|path| path.to_str().unwrap());
        let mut flags = scene.world.flags(&["--cert", cert, "--key", key]);
        flags.insert(0, "program".to_owned());
        let flags = Flags::from_arguments(flags).unwrap();
        let (path, disk) = (scene.path(""), disk.clone());
        Self(tokio::spawn(async move {
            loop {
                disk.restart();
                // What was killed may take its time to let go of the lock.
                let Ok(folder) = Folder::open(&path, Arc::new(disk.clone())) else {
                    sleep(Duration::from_millis(5)).await;
                    continue;
                };
                let mut life = JoinSet::new(); // it ends with this task
                let flags = flags.clone();
                let killed = life.spawn(async move {
                    let ended = example::run(flags, folder).await;
                    ended.map_err(|error| error.to_string())
                });
                disk.on_kill(move || killed.abort());
                if let Some(Ok(ended)) = life.join_next().await {
                    eprintln!("The device has ended: {ended:?}");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }))
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A certificate that the server takes, or one that it refuses.
#[derive(Clone, Copy, Debug, PartialEq)]
enum New {
    Good,
    Strange,
}

/// What became of a rotation.
struct Ended {
    /// Whether the fault came to pass.
    has_struck: bool,
    /// What is wrong with that.
    broken: Option<String>,
}

async fn job(scene: &Scene, name: &str, document: serde_json::Value) -> JobExecution {
    scene.world.core.jobs().create_job(name, document).unwrap();
    scene.world.ended(name).await
}

/// Rotates a certificate on a disk on which that happens at that step.
async fn rotate(new: New, fault: Fault, step: usize, ignores_syncs: bool) -> Ended {
    let scene = Scene::new().await;
    fs::create_dir(scene.path("")).unwrap();
    let disk = FaultyDisk::new(&scene.path(""), Some((step, fault)));
    if ignores_syncs {
        disk.ignore_syncs();
    }
    let broken = is_broken(&scene, &disk, new).await;
    let steps = disk.steps();
    let broken =
        broken.map(|what| format!("{new:?}, {fault:?} at step {step} of {steps:?}: {what}"));
    Ended {
        has_struck: disk.has_struck(),
        broken,
    }
}

async fn is_broken(scene: &Scene, disk: &FaultyDisk, new: New) -> Option<String> {
    let files = &scene.world.files;
    let device = Device::start(scene, disk, &files.cert, &files.key);
    let mut done = job(scene, "key", json!({"operation": "make-key"})).await;
    if done.status != Status::Succeeded {
        disk.mend();
        done = job(scene, "key-again", json!({"operation": "make-key"})).await;
    }
    if done.status != Status::Succeeded {
        return Some(format!("no key: {:?}", done.status_details));
    }
    let csr = decoded(&done.status_details["csr"]);
    let certificate = match new {
        New::Good => scene.certificate(&csr),
        New::Strange => Pki::unknown()
            .unwrap()
            .certificate_from_csr(&csr, 2020)
            .unwrap(),
    };
    let install = json!({"operation": "install-certificate", "certificate": certificate});
    let done = job(scene, "certificate", install).await;
    // On a full disk as well, it does what needs no space.
    let next = job(scene, "next", json!({"operation": "dance"})).await;
    if next.status != Status::Rejected {
        return Some(format!("the next job: {next:?}"));
    }
    drop(device);
    disk.mend();
    let reason = done
        .status_details
        .get("reason")
        .cloned()
        .unwrap_or_default();
    let current = || fs::read_to_string(scene.path("current.pem")).unwrap_or_default();
    match (new, done.status) {
        (New::Good, Status::Succeeded) => {
            // The cloud withdraws the old one.
            let nothing = Path::new("/withdrawn");
            let _device = Device::start(scene, disk, nothing, nothing);
            job(scene, "after", json!({"operation": "dance"})).await;
            if !current().contains(certificate.trim()) || scene.path("trial.pem").exists() {
                return Some("the new one is not in use".to_owned());
            }
        }
        (_, Status::Failed) => {
            // The cloud withdraws the new one.
            let _device = Device::start(scene, disk, &files.cert, &files.key);
            job(scene, "after", json!({"operation": "dance"})).await;
            if !current().is_empty() || scene.path("trial.pem").exists() {
                return Some(format!("the old one is not in use: {reason}"));
            }
            let is_told = reason.contains("gone back to the old certificate");
            if new == New::Strange && !is_told && !disk.has_struck() {
                return Some(reason);
            }
            // Its key waits still, for another certificate or for the same.
            let certificate = scene.certificate(&csr);
            let install = json!({"operation": "install-certificate", "certificate": certificate});
            let mut again = job(scene, "again", install.clone()).await;
            if again.status != Status::Succeeded {
                disk.mend(); // the fault may have come as late as this
                again = job(scene, "once-more", install).await;
            }
            if again.status != Status::Succeeded {
                return Some(format!("not a second time: {:?}", again.status_details));
            }
        }
        _ => return Some(format!("{:?}", done.status)),
    }
    let left: Vec<_> = fs::read_dir(scene.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    let is_leftover = |name: &std::ffi::OsString| name.to_str().unwrap().ends_with(".new");
    left.iter()
        .any(is_leftover)
        .then(|| format!("left behind: {left:?}"))
}

/// Rotates with each of these faults at each step. Returns how many have struck, and what is broken.
async fn rotate_with(new: New, faults: &[Fault], ignores_syncs: bool) -> (usize, Vec<String>) {
    let (mut struck, mut broken) = (0, Vec::new());
    let mut lives = JoinSet::new();
    // The step at which a fault has not struck any longer.
    let mut ends = vec![usize::MAX; faults.len()];
    let mut next = (0, 0); // fault, step
    loop {
        while lives.len() < AT_ONCE && next.0 < faults.len() {
            let (number, step) = next;
            if step >= ends[number] {
                next = (number + 1, 0);
                continue;
            }
            let fault = faults[number];
            lives.spawn(
                async move { (number, step, rotate(new, fault, step, ignores_syncs).await) },
            );
            next.1 += 1;
        }
        let Some(ended) = lives.join_next().await else {
            return (struck, broken);
        };
        let (number, step, ended) = match ended {
            Ok(ended) => ended,
            Err(stuck) => {
                broken.push(stuck.to_string());
                continue;
            }
        };
        if ended.has_struck {
            struck += 1;
        } else {
            ends[number] = ends[number].min(step);
        }
        broken.extend(ended.broken);
    }
}

async fn is_never_lost(new: New) {
    let (struck, broken) = rotate_with(new, &Fault::all(), false).await;
    assert_eq!(broken, [""; 0]);
    println!("{struck} faults have struck");
    assert!(struck > 150, "{struck}");
}

#[tokio::test]
async fn a_device_that_rotates_is_never_lost_whatever_fails() {
    is_never_lost(New::Good).await;
}

#[tokio::test]
async fn a_device_that_goes_back_is_never_lost_whatever_fails() {
    is_never_lost(New::Strange).await;
}

#[tokio::test]
async fn a_sync_that_is_missing_is_found() {
    let faults = [Fault::NamesOnly, Fault::PowerCut(Moment::After)];
    let (_, broken) = rotate_with(New::Good, &faults, true).await;
    assert!(!broken.is_empty());
}
