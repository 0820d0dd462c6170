//! The worked example `reboot`: a job that restarts the device, and one that crashes it.

use std::fs;
use std::time::Duration;

use jobs_mqtt5::agent::Job;
use local_iot_core::{JobExecution, Status};
use serde_json::json;
use tokio::process::Command;

use crate::support::{Program, World, example_path, within};

#[path = "../examples/reboot.rs"]
#[allow(dead_code)] // its `main`
mod example;

/// A world with a job that restarts the device.
async fn world() -> World {
    let world = World::new().await;
    let document = json!({"operation": "reboot"});
    world.core.jobs().create_job("restart", document).unwrap();
    world
}

/// The program, in a system whose boot ID is this.
fn in_boot(world: &World, boot_id: &str) -> Program {
    let file = world.folder.path().join("boot_id");
    fs::write(&file, format!("{boot_id}\n")).unwrap();
    let mut command = Command::new(example_path("reboot"));
    command.args(world.flags(&[])).env("BOOT_ID", file);
    Program::start_command(command)
}

/// Has the device do it in this process, with this command, until it has ended.
async fn done(world: &World, command: &'static str) -> JobExecution {
    let limit = Duration::from_millis(100);
    let work = async move |job: &Job| example::reboot(job, Some(command), limit).await;
    let running = world.run(world.settings(), work);
    let ended = world.ended("restart").await;
    running.stop().await.unwrap();
    ended
}

#[tokio::test]
async fn a_job_restarts_the_device_and_the_next_run_reports_that_it_is_back() {
    let world = world().await;
    let jobs = world.core.jobs();
    jobs.create_job("unknown", json!({"operation": "dance"}))
        .unwrap();
    let first = in_boot(&world, "1").end().await;
    assert_eq!(first.code, Some(0), "{}", first.err);
    let left = jobs.execution("restart").unwrap();
    assert_eq!(left.status, Status::InProgress);
    assert_eq!(left.status_details["step"], "restarting");
    let second = in_boot(&world, "2");
    world.succeeds("restart").await;
    let done = jobs.execution("restart").unwrap();
    assert_eq!(
        (done.starts, done.status_details["step"].as_str()),
        (1, "back")
    );
    within(jobs.wait_for_status("unknown", Status::Rejected)).await;
    second.kill().await;
}

#[cfg(target_os = "linux")] // elsewhere, there is no boot ID
#[tokio::test]
async fn a_program_that_is_started_again_without_a_restart_of_the_device_does_not_succeed() {
    let world = world().await;
    let jobs = world.core.jobs();
    let first = Program::start_example("reboot", &world.flags(&[]));
    assert_eq!(first.end().await.code, Some(0));
    let left = jobs.execution("restart").unwrap();
    assert_eq!(left.status_details["step"], "restarting");
    // The same system: the command is not run once more, and no restart comes.
    let ended = done(&world, "no-such-program").await;
    assert_eq!(ended.status, Status::Failed);
    let reason = &ended.status_details["reason"];
    assert_eq!(reason, "the device did not restart within 100ms");
}

#[cfg(unix)]
#[tokio::test]
async fn a_restart_that_is_refused_fails_the_job() {
    for (command, expected) in [
        (
            "false",
            "the restart was refused: false ended with exit status: 1",
        ),
        ("no-such-program", "no-such-program can't be run: "),
        ("true", "the device did not restart within 100ms"),
    ] {
        let ended = done(&world().await, command).await;
        assert_eq!(ended.status, Status::Failed, "{command}");
        let reason = &ended.status_details["reason"];
        assert!(reason.starts_with(expected), "{reason}");
    }
}

#[tokio::test]
async fn a_job_that_crashes_the_device_is_failed_after_so_many_starts_and_the_queue_goes_on() {
    let world = World::new().await;
    let jobs = world.core.jobs();
    jobs.create_job("poison", json!({"operation": "self-test"}))
        .unwrap();
    jobs.create_job("unknown", json!({"operation": "dance"}))
        .unwrap();
    for nth in ["1", "2"] {
        let crashed = Program::start_example("reboot", &world.flags(&[]));
        let crashed = crashed.end().await;
        assert_ne!(crashed.code, Some(0), "it crashes");
        let poison = jobs.execution("poison").unwrap();
        assert_eq!(poison.status, Status::InProgress, "{}", crashed.err);
        assert_eq!(poison.status_details["starts"], nth);
    }
    let third = Program::start_example("reboot", &world.flags(&[]));
    within(jobs.wait_for_status("unknown", Status::Rejected)).await;
    third.kill().await;
    let poison = jobs.execution("poison").unwrap();
    assert_eq!(poison.status, Status::Failed);
    let reason = &poison.status_details["reason"];
    assert_eq!(reason, "it was started 2 times, and never ended");
}
