//! What the network, the server, the cloud and the end of the program do to a download.

use std::fs;
use std::time::Duration;

use local_iot_core::Status;
use serde_json::json;
use tokio::process::Command;
use tokio::time::sleep;

use super::{JOB, Scene, fails, files, sha256};
use crate::support::{Faults, FileServer, Program, example_path, within};

/// Every tenth of the file, its start included.
fn tenths() -> Vec<u64> {
    (0..10).map(|tenth| tenth * 100_000).collect()
}

/// Has the job succeed in spite of the faults, and returns what was requested: where from.
async fn succeeds(scene: &Scene) -> Vec<u64> {
    let (status, reason) = scene.done(scene.document()).await;
    assert_eq!((status, reason.as_str()), (Status::Succeeded, ""));
    scene.is_installed();
    starts(scene)
}

fn starts(scene: &Scene) -> Vec<u64> {
    let requests = scene.server.requests();
    requests.iter().map(|one| one.from).collect()
}

#[tokio::test]
async fn a_connection_cut_at_every_tenth_goes_on_where_it_was_cut() {
    let scene = Scene::with(Faults {
        cuts: tenths(),
        ..Faults::default()
    })
    .await;
    let starts = succeeds(&scene).await;
    assert_eq!(scene.server.struck(), 10);
    for tenth in tenths() {
        assert!(starts.contains(&tenth), "{tenth}: {starts:?}");
    }
}

#[tokio::test]
async fn a_program_killed_at_every_tenth_goes_on_where_it_was_killed() {
    let scene = Scene::with(Faults {
        holds: tenths(),
        ..Faults::default()
    })
    .await;
    scene.create_job(JOB, scene.document());
    let start = || {
        let mut command = Command::new(example_path("install_firmware"));
        command.args(scene.world.flags(&[]));
        command.env("FIRMWARE_FOLDER", scene.folder.path());
        Program::start_command(command)
    };
    let length = || fs::metadata(scene.path("firmware.part")).map_or(0, |part| part.len());
    for (count, tenth) in (1..).zip(tenths()) {
        let program = start();
        scene.server.has_struck(count).await;
        let is_there = async {
            while length() < tenth {
                sleep(Duration::from_millis(1)).await; // what was sent comes
            }
        };
        within(is_there).await;
        program.kill().await;
        assert_eq!(scene.status(), Status::InProgress);
        assert_eq!(files(scene.folder.path()), ["firmware.part"]);
        assert_eq!(length(), tenth);
    }
    let program = start();
    scene.ended().await;
    assert_eq!(scene.status(), Status::Succeeded);
    program.kill().await;
    scene.is_installed();
    let starts = starts(&scene);
    for tenth in tenths() {
        assert!(starts.contains(&tenth), "{tenth}: {starts:?}");
    }
}

#[tokio::test]
async fn told_to_stop_it_leaves_the_job_and_the_next_run_goes_on() {
    let scene = Scene::with(Faults {
        holds: vec![400_000, 600_000],
        ..Faults::default()
    })
    .await;
    scene.create_job(JOB, scene.document());
    let running = scene.run();
    scene.server.has_struck(1).await;
    let out = running.out.clone();
    let (stopped, ()) = tokio::join!(running.stop(), async { scene.server.let_go() });
    stopped.unwrap();
    let said = "the next run takes it up again";
    assert_eq!(out.count(said), 1, "{}", out.text());
    assert_eq!(scene.status(), Status::InProgress);
    assert_eq!(files(scene.folder.path()), ["firmware.part"]);

    let before = starts(&scene).len();
    let running = scene.run();
    scene.server.let_go();
    scene.ended().await;
    running.stop().await.unwrap();
    assert_eq!(scene.status(), Status::Succeeded);
    assert!(starts(&scene)[before] >= 400_000, "{:?}", starts(&scene));
    scene.is_installed();
}

#[tokio::test]
async fn a_job_that_is_canceled_in_the_middle_leaves_nothing() {
    let scene = Scene::with(Faults {
        holds: vec![400_000],
        ..Faults::default()
    })
    .await;
    scene.create_job(JOB, scene.document());
    let running = scene.run();
    scene.server.has_struck(1).await;
    let jobs = scene.world.core.jobs();
    jobs.cancel_job_by_force(JOB).unwrap();
    running.out.wait_for("is no longer wanted").await;
    scene.server.let_go();
    running.out.wait_for("Abandoning job_id:firmware.").await;
    running.stop().await.unwrap();
    assert_eq!(scene.status(), Status::Canceled);
    assert_eq!(files(scene.folder.path()), [""; 0]);
    assert_eq!(starts(&scene), [0, 262_144], "no further piece");
}

#[tokio::test]
async fn what_is_wrong_on_the_disk_is_downloaded_again() {
    for (left, first) in [(vec![0; 300_000], 300_000), (vec![0; 2_000_000], 0)] {
        let scene = Scene::with(Faults::default()).await;
        fs::write(scene.path("firmware.part"), left).unwrap();
        let starts = succeeds(&scene).await;
        assert_eq!(starts[0], first);
        assert!(starts.contains(&0));
    }
}

#[tokio::test]
async fn an_expired_url_is_replaced_by_a_fresh_one() {
    let scene = Scene::with(Faults {
        uses_of_a_url: Some(1),
        ..Faults::default()
    })
    .await;
    let starts = succeeds(&scene).await;
    assert_eq!(scene.server.struck(), 3, "{starts:?}");
    let requests = scene.server.requests();
    let mut urls: Vec<&str> = requests.iter().map(|one| one.query.as_str()).collect();
    urls.dedup();
    assert_eq!(urls.len(), 4, "one for each piece: {urls:?}");
}

#[tokio::test]
async fn an_error_of_the_server_is_waited_out_but_not_for_ever() {
    let with = |count| Faults {
        status: Some((503, count)),
        ..Faults::default()
    };
    let scene = Scene::with(with(10)).await;
    assert_eq!(succeeds(&scene).await.len(), 14);
    assert_eq!(scene.server.struck(), 10);

    let scene = Scene::with(with(11)).await;
    fails(&scene, scene.document(), "503").await;
    assert_eq!(scene.server.struck(), 11);
}

#[tokio::test]
async fn a_server_that_lies_about_the_length_is_not_believed() {
    for size in [1_000_002, 1_000_004] {
        let scene = Scene::with(Faults {
            size: Some(size),
            ..Faults::default()
        })
        .await;
        fails(
            &scene,
            scene.document(),
            "the server sent 206 Partial Content, not bytes 0-",
        )
        .await;
        assert!(scene.server.struck() > 0);
    }
    // And a job document that does.
    let scene = Scene::with(Faults::default()).await;
    let mut document = scene.document();
    document["size"] = json!(1_000_002);
    document["sha256"] = json!(sha256(&scene.firmware[..1_000_002]));
    fails(
        &scene,
        document,
        "the server sent 206 Partial Content, not bytes 0-",
    )
    .await;
    // What was not asked for is not taken.
    let scene = Scene::with(Faults {
        surplus: 1000,
        ..Faults::default()
    })
    .await;
    assert_eq!(succeeds(&scene).await.len(), 4);
    assert_eq!(scene.server.struck(), 4);
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let elsewhere = FileServer::start(b"", Faults::default()).await;
    for url in [elsewhere.url(), "http://192.0.2.1/firmware.bin".to_owned()] {
        let scene = Scene::with(Faults {
            redirect: Some(url),
            ..Faults::default()
        })
        .await;
        fails(
            &scene,
            scene.document(),
            "the server sent 307 Temporary Redirect",
        )
        .await;
        assert!(scene.server.struck() > 0);
    }
    assert_eq!(elsewhere.requests(), []);
}

#[tokio::test]
async fn https_from_a_server_that_nobody_vouches_for_is_failed() {
    let scene = Scene::with(Faults::default()).await;
    let mut document = scene.document();
    let port = scene.world.core.port(); // TLS, with a certificate of the tests' own
    document["url"] = json!(format!("https://localhost:{port}/firmware.bin"));
    fails(&scene, document, "invalid peer certificate: UnknownIssuer").await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_is_failed() {
    let scene = Scene::with(Faults::default()).await;
    std::os::unix::fs::symlink("/dev/full", scene.path("firmware.part")).unwrap();
    fails(&scene, scene.document(), "No space left on device").await;
}
