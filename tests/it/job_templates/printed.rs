//! What the programs print, and how the job tells of it.

use std::fs;

use local_iot_core::Status;
use tokio::process::Command;

use super::{Scene, document, in_steps};
use crate::support::{Program, World, eventually, example_path};

#[tokio::test]
async fn a_step_that_fails_is_the_last_and_says_how_it_ended() {
    let scene = Scene::with("seq 100000; echo $* >> started; echo no more >&2; exit 7").await;
    let start = document("AWS-Start-Application", &[("services", "sensors")]);
    let stop = document("AWS-Stop-Application", &[("services", "sensors")]);
    let (status, details) = scene.done(&in_steps(&[stop.clone(), start, stop])).await;
    assert_eq!(status, Status::Failed);
    for part in [
        "ended with exit status: 7",
        r"99999\\n100000\\nno more",
        "2 of 3: Start-Application",
    ] {
        assert!(details.contains(part), "{part}: {details}");
    }
    assert_eq!(scene.starts(), 1);
}

#[tokio::test]
async fn what_a_program_prints_takes_no_disk() {
    let world = World::new().await;
    let start = document("AWS-Start-Application", &[("services", "sensors")]);
    world.core.jobs().create_job("start", start).unwrap();
    let mut command = Command::new(example_path("job_templates"));
    command.args(world.flags(&[])).env("TMPDIR", "/nonexistent");
    let device = Program::start_command(command);
    let ended = world.ended("start").await;
    let details = &ended.status_details;
    assert_eq!(ended.status, Status::Succeeded, "{details:?}");
    assert!(details["output"].starts_with("systemctl start sensors"));
    device.kill().await;
}

/// As a service is that prints where its starter did.
#[tokio::test]
async fn what_a_program_leaves_running_is_not_waited_for_and_may_go_on_printing() {
    let script =
        "(echo begun; while test -e run; do echo on; sleep 0.01; done; echo $? > started) &";
    let scene = Scene::with(script).await;
    fs::write(scene.path("run"), "").unwrap();
    let start = document("AWS-Start-Application", &[("services", "sensors")]);
    let (status, details) = scene.done(&start).await;
    assert_eq!(status, Status::Succeeded, "{details}");
    assert!(details.contains("begun"), "{details}");
    assert_eq!(scene.starts(), 0, "it still runs");
    fs::remove_file(scene.path("run")).unwrap();
    eventually(|| scene.starts() == 1).await;
}

#[tokio::test]
async fn of_a_long_output_the_end_is_kept() {
    let scene = Scene::with("seq 100000").await;
    let start = document("AWS-Start-Application", &[("services", "sensors")]);
    let (status, details) = scene.done(&start).await;
    assert_eq!(status, Status::Succeeded);
    assert!(details.contains(r"99999\\n100000"), "{details}");
}
