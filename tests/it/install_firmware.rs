//! The worked example `install_firmware`: how a job for it ends, and what is on the disk then. The
//! firmware is a shell script with a megabyte of noise behind it.
#![cfg(unix)]

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use local_iot_core::{JobExecution, Status};
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::{Faults, faulty_disk_for, within};

mod boot;
mod canceled;
mod checked;
mod cut_off;
mod deploy;
mod every_step;
mod good_half;
mod scene;
mod server;
mod trial;
mod unreachable;

#[path = "../examples/install_firmware/main.rs"]
#[allow(dead_code)] // its `main`
mod example;

use example::durable::Disk;
use example::slots::{Slots, State};
use scene::Scene;

faulty_disk_for!(crate::install_firmware::example::durable::Disk);

/// The job.
const JOB: &str = "firmware";
/// How many bytes a firmware has.
const SIZE: usize = 1_000_003;

/// A firmware of this version; its self-test is this command.
fn firmware(version: &str, self_test: &str) -> Vec<u8> {
    firmware_that(
        &format!("thermostat {version}"),
        self_test,
        "exec cat > /dev/null",
    )
}

/// A firmware of this name, which tests itself and runs by these commands.
fn firmware_that(name: &str, self_test: &str, runs: &str) -> Vec<u8> {
    let script = format!(
        "#!/bin/sh\ncase \"$1\" in\n--version) echo {name} ;;\n--self-test) {self_test} ;;\n\
         *) {runs} ;;\nesac\nexit\n"
    );
    let mut random = fastrand::Rng::with_seed(7);
    let noise = (script.len()..SIZE).map(|_| random.u8(..));
    script.bytes().chain(noise).collect()
}

/// One of the keys that sign firmware.
fn signing_key(number: u8) -> SigningKey {
    SigningKey::from_slice(&[number; 32]).unwrap()
}

/// What `openssl dgst -sha256 -sign` would make of this.
fn signature(key: &SigningKey, content: &[u8]) -> String {
    let signature: Signature = key.sign_prehash(&Sha256::digest(content)).unwrap();
    BASE64_STANDARD.encode(signature.to_der())
}

/// The child processes of a process, zombies as well.
#[cfg(target_os = "linux")]
fn children(id: u32) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{id}/task")).unwrap();
    let paths = threads.map(|thread| thread.unwrap().path().join("children"));
    let children = paths.flat_map(fs::read_to_string); // a thread may have ended
    let children: String = children.collect();
    children.split_whitespace().map(str::to_owned).collect()
}

/// The slots in a folder, when whoever had them before has let go of them.
async fn opened(folder: &Path, disk: Arc<dyn Disk>) -> Slots {
    let open = async {
        loop {
            match Slots::open(folder, disk.clone()) {
                Ok(slots) => return slots,
                Err(error) if error.kind() == ErrorKind::ResourceBusy => {}
                Err(error) => panic!("{error}"),
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    within(open).await
}

/// How things stand in a folder.
fn state_in(folder: &Path) -> State {
    State::read(&fs::read_to_string(folder.join("boot")).unwrap_or_default())
}

/// What is in a folder, in order.
fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Has the job end so before anything is put into a slot.
async fn ends(scene: &Scene, document: Value, expected: Status, reason: &str) {
    let (status, said) = scene.done(document).await;
    assert_eq!(status, expected, "{said}");
    assert!(said.contains(reason), "{said}");
    scene.is_as_before();
    assert_eq!(scene.slots_and_parts(), ["a", "boot", "lock"]);
}

#[tokio::test]
async fn it_is_installed_and_the_job_shows_how_far_it_is() {
    let scene = Scene::with(Faults {
        holds: vec![700_000],
        ..Faults::default()
    })
    .await;
    scene.create_job(scene.document());
    let running = scene.run().await;
    scene.server.has_struck(1).await;
    let shows = |job: &JobExecution, name: &str, value: &str| {
        job.status_details.get(name).is_some_and(|it| it == value)
    };
    scene.reaches(|job| shows(job, "percent", "69")).await;
    assert_eq!(scene.job().status, Status::InProgress);
    assert!(shows(&scene.job(), "step", "downloading"));
    running.out.wait_for("percent:69").await; // it is seen on the device as well
    scene.server.let_go();
    scene.reaches(|job| shows(job, "step", "restarting")).await;
    running.end().await.unwrap();
    assert_eq!(
        scene.job().status,
        Status::InProgress,
        "it has not proved itself"
    );
    assert_eq!(scene.boot().active, "b");

    let running = scene.run().await;
    let job = scene.job();
    running.stop().await.unwrap();
    assert_eq!(job.status, Status::Succeeded, "it was judged before");
    for (name, value) in [
        ("step", "running"),
        ("version", "1.4.2"),
        ("percent", "100"),
    ] {
        assert!(shows(&job, name, value), "{:?}", job.status_details);
    }
    scene.is_installed();
    let requests = scene.server.requests();
    let ranges = requests.into_iter().map(|one| (one.from, one.to));
    let pieces = [
        (0, 262_143),
        (262_144, 524_287),
        (524_288, 786_431),
        (786_432, 1_000_002),
    ];
    assert!(ranges.eq(pieces), "it downloads in ranges");
}
