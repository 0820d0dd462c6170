//! Jobs of several steps that are canceled, stopped or cut off between two of them.

use std::fs;

use local_iot_core::Status;
use tokio::process::Command;

use super::{Scene, TcpListener, document, download, in_steps};
use crate::support::{Program, eventually, example_path, within};

#[tokio::test]
async fn a_canceled_job_ends_its_program_with_all_that_it_has_started() {
    let scene = Scene::with("sleep 600 & echo $! > child; mv child started; wait").await;
    scene.create(
        "long",
        &document("AWS-Start-Application", &[("services", "sensors")]),
    );
    let stop = document("AWS-Stop-Application", &[("services", "sensors")]);
    scene.create("next", &stop);
    let running = scene.device();
    eventually(|| scene.starts() == 1).await;
    let child = fs::read_to_string(scene.path("started")).unwrap();
    let is_alive = || {
        let mut kill = std::process::Command::new("kill");
        kill.args(["-s", "0", child.trim()])
            .output()
            .unwrap()
            .status
            .success()
    };
    assert!(is_alive());
    scene.world.core.jobs().cancel_job_by_force("long").unwrap();
    assert_eq!(scene.world.ended("next").await.status, Status::Succeeded);
    eventually(|| !is_alive()).await;
    running.stop().await.unwrap();
    assert_eq!(scene.world.ended("long").await.status, Status::Canceled);
}

#[tokio::test]
async fn a_canceled_download_is_not_waited_for() {
    let scene = Scene::new().await;
    let server = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = server.local_addr().unwrap().port();
    let url = format!("http://localhost:{port}/model.bin");
    scene.create("long", &download(&url, "model.bin"));
    let stop = document("AWS-Stop-Application", &[("services", "sensors")]);
    scene.create("next", &stop);
    let running = scene.device();
    let _silent = within(server.accept()).await.unwrap();
    scene.world.core.jobs().cancel_job_by_force("long").unwrap();
    assert_eq!(scene.world.ended("next").await.status, Status::Succeeded);
    running.stop().await.unwrap();
    assert!(!scene.path("downloads").exists());
}

#[tokio::test]
async fn a_job_that_was_cut_off_goes_on_with_the_step_it_was_at() {
    let scene =
        Scene::with("echo $* >> started; test $* = sensors || test -e go || sleep 600").await;
    let start = |services| document("AWS-Start-Application", &[("services", services)]);
    scene.create("steps", &in_steps(&[start("sensors"), start("display")]));
    let running = scene.device();
    scene.world.has_detail("steps", "done", "1").await;
    eventually(|| scene.starts() == 2).await;
    running.stop().await.unwrap();
    let left = scene.world.core.jobs().execution("steps").unwrap();
    assert_eq!(left.status, Status::InProgress);
    fs::write(scene.path("go"), "").unwrap();
    let running = scene.device();
    assert_eq!(scene.world.ended("steps").await.status, Status::Succeeded);
    running.stop().await.unwrap();
    let started = fs::read_to_string(scene.path("started")).unwrap();
    assert_eq!(started, "sensors\ndisplay\ndisplay\n");
}

/// The real program, whose power is cut while it waits for the restart.
#[tokio::test]
async fn a_restart_between_two_steps_is_a_step() {
    let scene = Scene::new().await;
    let install = document("AWS-Install-Application", &[("packages", "curl")]);
    let start = document("AWS-Start-Application", &[("services", "sensors")]);
    let reboot = document("AWS-Reboot", &[]);
    let steps = in_steps(&[install, reboot.clone(), start, reboot]);
    scene.create("steps", &steps);
    let boot = scene.path("boot_id");
    let device = |boot_id: &str| {
        fs::write(&boot, boot_id).unwrap();
        let mut command = Command::new(example_path("job_templates"));
        command.args(scene.world.flags(&[])).env("BOOT_ID", &boot);
        Program::start_command(command)
    };
    for (boot_id, step) in [("1", "2 of 4: Reboot"), ("2", "4 of 4: Reboot")] {
        let device = device(boot_id);
        scene.world.has_detail("steps", "restarting", step).await;
        device.kill().await;
    }
    let device = device("3");
    let ended = scene.world.ended("steps").await;
    assert_eq!(
        ended.status,
        Status::Succeeded,
        "{:?}",
        ended.status_details
    );
    assert_eq!(ended.status_details["output"], "restarted");
    device.kill().await;
    let updates = scene.world.updates();
    let done = updates
        .iter()
        .map(|update| update["statusDetails"]["done"].as_str());
    let mut done: Vec<_> = done.flatten().collect();
    assert!(done.is_sorted(), "no step is done twice: {done:?}");
    done.dedup();
    done.retain(|done| *done != "0"); // (a progress of which only the latest is sure to arrive)
    assert_eq!(done, ["1", "2", "3", "4"]);
}

#[cfg(target_os = "linux")] // elsewhere, there is no boot ID
#[tokio::test]
async fn a_program_that_is_started_again_does_not_pass_for_a_restart() {
    let scene = Scene::new().await;
    let start = document("AWS-Start-Application", &[("services", "sensors")]);
    let steps = in_steps(&[document("AWS-Reboot", &[]), start]);
    scene.create("steps", &steps);
    let device = Program::start_example("job_templates", &scene.world.flags(&[]));
    let asked_for = "1 of 2: Reboot";
    scene
        .world
        .has_detail("steps", "restarting", asked_for)
        .await;
    device.kill().await;
    let running = scene.device();
    let ended = scene.world.ended("steps").await;
    running.stop().await.unwrap();
    assert_eq!(ended.status, Status::Failed);
    let reason = &ended.status_details["reason"];
    assert_eq!(reason, "the device did not restart within 100ms");
    assert_eq!(scene.starts(), 0, "the next step was not begun");
}
