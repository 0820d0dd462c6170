//! The worked example `write_config`: the README's "Make it yours" puts it in place of the simulated
//! work.

use std::path::Path;

use jobs_mqtt5::agent::Job;
use local_iot_core::Status;
use serde_json::Value;

use crate::readme::marked;
use crate::support::{World, idle};

#[cfg(all(target_os = "linux", target_env = "gnu"))] // what fails is loaded in front of glibc
mod each_step;
#[cfg(unix)]
mod where_it_lies;

#[allow(dead_code)] // the way in from `program::run`
#[path = "../examples/write_config.rs"]
mod example;

fn json_in(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Has the work do jobs with these documents, and returns the world with their outcomes.
async fn done(documents: &[(&str, &str)], path: &Path) -> World {
    let world = World::new().await;
    for (job_id, document) in documents {
        let jobs = world.core.jobs();
        jobs.create_job_with_text(job_id, document).unwrap();
    }
    let path = path.to_owned();
    let running = world.run(world.settings(), async move |job: &Job| {
        example::write_config(job, &path)
    });
    idle(&running).await;
    running.stop().await.unwrap();
    world
}

fn outcome(world: &World, job_id: &str) -> (Status, String) {
    let execution = world.core.jobs().execution(job_id).unwrap();
    let reason = execution.status_details.get("reason").cloned();
    (execution.status, reason.unwrap_or_default())
}

#[tokio::test]
async fn what_the_readme_shows_is_what_happens() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    let shown = marked("documents");
    let documents: Vec<_> = shown
        .lines()
        .map(|line| {
            line.strip_prefix("create-job ")
                .unwrap()
                .split_once(' ')
                .unwrap()
        })
        .collect();
    let world = done(&documents, &file).await;
    assert_eq!(outcome(&world, "good"), (Status::Succeeded, String::new()));
    assert_eq!(json_in(&file)["report_every_seconds"], 60);
    let reasons = marked("reasons");
    let mut reasons = reasons.lines().map(str::to_owned);
    let bad = (Status::Failed, reasons.next().unwrap());
    assert_eq!(outcome(&world, "bad"), bad);
    let unknown = (Status::Rejected, reasons.next().unwrap());
    assert_eq!(outcome(&world, "unknown"), unknown);
}

#[tokio::test]
async fn the_file_is_replaced_as_a_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    let old = "the old content, which is a good deal longer than the new";
    std::fs::write(&file, old).unwrap();
    let not_done = [
        ("a", r#"{"operation": "reboot"}"#, Status::Rejected),
        ("b", r#"{"operation": "write-config"}"#, Status::Failed),
        (
            "c",
            r#"{"operation": "write-config", "config": {"report_every_seconds": -1}}"#,
            Status::Failed,
        ),
        (
            "d",
            r#"{"operation": "write-config", "config": {"report_every_seconds": 1, "x": 2}}"#,
            Status::Failed,
        ),
        (
            "e",
            r#"{"operation": "write-config", "config": "\ud83d"}"#,
            Status::Failed,
        ),
        ("f", r#"{"no": "operation"}"#, Status::Failed),
    ];
    let documents = not_done.map(|(job_id, document, _)| (job_id, document));
    let world = done(&documents, &file).await;
    for (job_id, _, status) in not_done {
        let (ended, reason) = outcome(&world, job_id);
        assert_eq!(ended, status, "{job_id}");
        assert!(!reason.is_empty(), "{job_id}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), old);

    let good = r#"{"operation": "write-config", "config": {"report_every_seconds": 1}}"#;
    done(&[("first", good), ("again", good)], &file).await; // work may be repeated
    assert_eq!(json_in(&file)["report_every_seconds"], 1);
    assert_eq!(
        std::fs::read_dir(&folder).unwrap().count(),
        1,
        "something is left behind"
    );

    let nowhere = folder.path().join("no/such/folder");
    let world = done(&[("nowhere", good)], &nowhere).await;
    let (ended, reason) = outcome(&world, "nowhere");
    assert_eq!(ended, Status::Failed);
    let words = format!("{} can't be replaced: ", nowhere.display());
    assert!(reason.starts_with(&words), "{reason}");
}
