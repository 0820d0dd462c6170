//! A download that the network, the cloud or the end of the program cuts off: the next one goes on with what
//! is there, and a canceled one leaves nothing.

use std::fs;
use std::time::Duration;

use jobs_mqtt5::agent::Unwanted;
use jobs_mqtt5::jobs::JobStatus;
use jobs_mqtt5::sample::lines;
use local_iot_core::Status;

use super::{JOB, Scene};
use crate::support::{Faults, eventually};

/// Every tenth of the file, its start included.
fn tenths() -> Vec<u64> {
    (0..10).map(|tenth| tenth * 100_000).collect()
}

#[tokio::test]
async fn a_connection_cut_at_every_tenth_goes_on_where_it_was_cut() {
    let scene = Scene::with(Faults {
        cuts: tenths(),
        ..Faults::default()
    })
    .await;
    let starts = scene.succeeds().await;
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
    scene.create_job(scene.document());
    let length = || fs::metadata(scene.path("part")).map_or(0, |part| part.len());
    for (count, tenth) in (1..).zip(tenths()) {
        let program = scene.start();
        scene.server.has_struck(count).await;
        eventually(|| length() >= tenth).await; // what was sent comes
        program.kill().await;
        assert_eq!(scene.job().status, Status::InProgress);
        assert_eq!(length(), tenth);
    }
    let program = scene.start();
    assert_eq!(scene.ended().await.status, Status::Succeeded);
    scene.settles().await;
    program.kill().await;
    scene.is_installed();
    let starts = scene.starts();
    for tenth in tenths() {
        assert!(starts.contains(&tenth), "{tenth}: {starts:?}");
    }
}

#[tokio::test]
async fn told_to_stop_it_leaves_the_job_and_the_next_run_goes_on() {
    let scene = Scene::with(Faults {
        holds: vec![400_000],
        ..Faults::default()
    })
    .await;
    scene.create_job(scene.document());
    let running = scene.run().await;
    scene.server.has_struck(1).await;
    let out = running.out.clone();
    let (stopped, ()) = tokio::join!(running.stop(), async { scene.server.let_go() });
    stopped.unwrap();
    let said = "the next run resumes it";
    assert_eq!(out.count(said), 1, "{}", out.text());
    assert_eq!(scene.job().status, Status::InProgress);
    assert_eq!(scene.slots_and_parts(), ["a", "boot", "lock", "part"]);

    let left = fs::metadata(scene.path("part")).unwrap().len();
    assert!(left > 262_144, "{left}");
    let before = scene.starts().len();
    let program = scene.start();
    assert_eq!(scene.ended().await.status, Status::Succeeded);
    scene.settles().await;
    program.kill().await;
    assert_eq!(scene.starts()[before], left);
    scene.is_installed();
}

#[tokio::test]
async fn a_job_that_is_canceled_in_the_middle_leaves_nothing() {
    let scene = Scene::with(Faults {
        holds: vec![400_000],
        ..Faults::default()
    })
    .await;
    scene.create_job(scene.document());
    let running = scene.run().await;
    scene.server.has_struck(1).await;
    let jobs = scene.world.core.jobs();
    jobs.cancel_job_by_force(JOB).unwrap();
    let noticed = lines::no_longer_wanted(JOB, Unwanted::Status(JobStatus::Canceled));
    running.out.wait_for(&noticed).await;
    scene.server.let_go();
    running.out.wait_for(&lines::abandoning(JOB)).await;
    running.stop().await.unwrap();
    assert_eq!(scene.job().status, Status::Canceled);
    scene.is_as_before();
    assert_eq!(scene.starts(), [0, 262_144], "no further piece");
}

#[tokio::test]
async fn a_server_that_falls_silent_does_not_hold_a_job_that_is_canceled() {
    let mut scene = Scene::with(Faults {
        has_no_ranges: true,
        holds: vec![400_000],
        ..Faults::default()
    })
    .await;
    scene.patience = Duration::from_secs(1);
    scene.create_job(scene.document());
    let running = scene.run().await;
    scene.server.has_struck(2).await;
    scene.world.core.jobs().cancel_job_by_force(JOB).unwrap();
    running.out.wait_for(&lines::abandoning(JOB)).await; // it is never let go
    running.stop().await.unwrap();
    scene.is_as_before();
}

#[tokio::test]
async fn what_is_wrong_on_the_disk_is_downloaded_again() {
    for (left, first) in [(vec![0; 300_000], 300_000), (vec![0; 2_000_000], 0)] {
        let scene = Scene::with(Faults::default()).await;
        fs::write(scene.path("part"), left).unwrap();
        let starts = scene.succeeds().await;
        assert_eq!(starts[0], first);
        assert!(starts.contains(&0));
    }
}

#[tokio::test]
async fn a_link_in_the_place_of_the_download_is_not_followed() {
    let scene = Scene::with(Faults::default()).await;
    let precious = scene.world.folder.path().join("precious");
    fs::write(&precious, "precious").unwrap();
    std::os::unix::fs::symlink(&precious, scene.path("part")).unwrap();
    scene.succeeds().await;
    assert_eq!(fs::read(&precious).unwrap(), b"precious");
}
