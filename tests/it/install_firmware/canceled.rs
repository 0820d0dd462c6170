//! A job that is canceled while its firmware is put into its place: what runs is the old one, at the next start
//! as well.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, mpsc};

use jobs_mqtt5::agent::Unwanted;
use jobs_mqtt5::jobs::JobStatus;
use jobs_mqtt5::sample::lines;
use local_iot_core::Status;
use serde_json::json;
use tokio::sync::oneshot;

use super::example::durable::{Disk, RealDisk};
use super::example::slots::Update;
use super::{JOB, Scene, firmware};
use crate::support::{Faults, LIMIT, Running, within};

/// A disk that waits for the test once, when a file has taken its place.
struct HoldsAt {
    file: fn(&Path) -> bool,
    ends: Mutex<Option<(oneshot::Sender<()>, mpsc::Receiver<()>)>>,
}

impl Disk for HoldsAt {
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)?;
        if (self.file)(to)
            && let Some((reached, goes_on)) = self.ends.lock().unwrap().take()
        {
            reached.send(()).unwrap();
            goes_on.recv_timeout(LIMIT).unwrap();
        }
        Ok(())
    }
}

/// The test's ends of it.
struct Held {
    waits: oneshot::Receiver<()>,
    let_go: mpsc::Sender<()>,
}

fn holds_at(file: fn(&Path) -> bool) -> (Arc<HoldsAt>, Held) {
    let ((reached, waits), (let_go, goes_on)) = (oneshot::channel(), mpsc::channel());
    let ends = Mutex::new(Some((reached, goes_on)));
    (Arc::new(HoldsAt { file, ends }), Held { waits, let_go })
}

/// Cancels the job while the disk waits: the device has noticed when it goes on, and abandons it.
async fn is_canceled(scene: &Scene, running: &Running, held: Held) {
    within(held.waits).await.unwrap();
    let jobs = scene.world.core.jobs();
    jobs.cancel_job_by_force(JOB).unwrap();
    let noticed = lines::no_longer_wanted(JOB, Unwanted::Status(JobStatus::Canceled));
    running.out.wait_for(&noticed).await;
    held.let_go.send(()).unwrap();
    running.out.wait_for(&lines::abandoning(JOB)).await;
    assert_eq!(scene.job().status, Status::Canceled);
    jobs.delete_job(JOB).unwrap();
}

#[tokio::test]
async fn a_job_canceled_while_its_trial_is_written_down_leaves_the_old_firmware_active() {
    let scene = Scene::with(Faults::default()).await;
    let is_trial = |file: &Path| fs::read_to_string(file).is_ok_and(|boot| boot.contains("trial="));
    let (disk, held) = holds_at(is_trial);
    let (running, device) = scene.run_on(disk).await;
    scene.create_job(scene.document());
    is_canceled(&scene, &running, held).await;
    scene.is_as_before();
    assert_eq!(scene.boot().update, Update::Settled);
    assert!(!device.restart.load(Ordering::Relaxed));

    scene.create_job(json!({"operation": "dance"}));
    assert_eq!(scene.ended().await.status, Status::Rejected);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_left_of_a_canceled_trial_does_not_try_the_firmware_of_the_next_job() {
    let scene = Scene::with_firmware(firmware("1.4.2", "exit 1"), Faults::default()).await;
    let (disk, held) = holds_at(|file| file.ends_with("b"));
    let (running, device) = scene.run_on(disk).await;
    // So it is after a cancel that was noticed when the trial was written down.
    fs::write(scene.path("boot"), "active=b\ntrial=gone/1/0\nstarts=0\n").unwrap();
    scene.create_job(scene.document());
    is_canceled(&scene, &running, held).await;
    assert!(fs::read(scene.path("b")).unwrap() == scene.firmware);
    running.stop().await.unwrap();
    drop(device);

    let (running, device) = scene.run_on(Arc::new(RealDisk)).await;
    scene.is_as_before();
    assert_eq!(device.firmware.as_deref(), Some("thermostat 1.4.1"));
    running.stop().await.unwrap();
}
