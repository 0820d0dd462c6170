//! The story on stdout: in the words and the order of the Python sample.
#![cfg(unix)] // it ends by Ctrl-C

use std::time::Duration;

use jobs_mqtt5::sample::lines;
use local_iot_core::{Event, Operation, Options, Status};
use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn three_pending_jobs_are_listed_described_started_and_succeeded_in_python_s_words() {
    let world = World::with_jobs(&["first", "second", "third"]).await;
    let program = world.start(&["--client_id", "test-story"]);
    program.out.wait_for(lines::NOTHING_TO_START).await;
    let ended = program.interrupt().await;

    let lines: Vec<&str> = ended.out.lines().collect();
    assert_eq!(
        lines[..8],
        [
            "Connecting to localhost with client ID 'test-story'...",
            "Lifecycle Connection Success",
            "Connected!",
            "Subscribing to Next Changed events...",
            "Subscribing to Start responses...",
            "Subscribing to Update responses...",
            "Pending Jobs:",
            lines[7],
        ]
    );
    for job in ["first", "second", "third"] {
        let listed = lines[7..10]
            .iter()
            .find(|line| line.starts_with(&format!("  {job} @ 20")));
        assert!(listed.unwrap().ends_with(" UTC"), "{listed:?}");
        let described = ended
            .out
            .lines()
            .find(|line| line.starts_with(&format!("Job {job}: ")));
        let described = described.unwrap();
        assert!(
            described.contains(&format!(r#"job_document:{{"do":"{job}"}}"#)),
            "{described}"
        );
        assert!(described.contains(", queued 20") && described.contains(", version "));
    }
    // Each job from its start to its report, in creation order, between what comes in on the side.
    let mut rest = lines[10..].iter();
    for job in ["first", "second", "third"] {
        for line in [
            "Trying to start the next job...",
            "Publishing request to start next job...",
            "Published request to start the next job.",
            &format!(
                "Request to start next job was accepted. job_id:{job} job_document:{{\"do\":\"{job}\"}}"
            ),
            "Starting local work on job...",
            "Done working on job.",
            "Publishing request to update job status to SUCCEEDED...",
            "Published request to update job.",
            "Request to update job was accepted.",
        ] {
            assert!(
                rest.any(|told| *told == line),
                "{line}\n in \n{}",
                ended.out
            );
        }
        let status = world.core.jobs().execution(job).unwrap().status;
        assert_eq!(status, Status::Succeeded);
    }
    for line in [
        "Trying to start the next job...",
        "Request to start next job was accepted, but there are no jobs to be done. Waiting for further jobs...",
        "Exiting Sample: interrupted by Ctrl-C",
        "Disconnecting...",
        "Client Stopped.",
    ] {
        assert!(
            rest.any(|told| *told == line),
            "{line}\n in \n{}",
            ended.out
        );
    }
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    assert_eq!(world.core.journal().violations(), [""; 0]);
}

#[tokio::test]
async fn nothing_pending_is_said_and_a_job_created_later_is_done_when_its_event_comes() {
    let world = World::new().await;
    let program = world.start(&[]);
    program
        .out
        .wait_for("No pending or queued jobs found!")
        .await;
    program.out.wait_for(lines::NOTHING_TO_START).await;
    world
        .core
        .jobs()
        .create_job("late", json!({"do": "late"}))
        .unwrap();
    world.succeeds("late").await;
    program
        .out
        .wait_for(
            r#"Received Next Job Execution Changed event. job_id:late job_document:{"do":"late"}"#,
        )
        .await;
    program
        .out
        .wait_for("Received Next Job Execution Changed event: None. Waiting for further jobs...")
        .await;
    assert_eq!(program.interrupt().await.code, Some(0));
}

#[tokio::test]
async fn one_subscribe_with_five_filters_and_requests_that_leave_together() {
    let world = World::with_jobs(&["one"]).await;
    let program = world.start(&[]);
    program.out.wait_for(lines::NOTHING_TO_START).await;
    program.interrupt().await;
    let events = world.core.journal().events();
    let filters: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Subscribe { filters, .. } => Some(filters.len()),
            _ => None,
        })
        .collect();
    assert_eq!(filters, [5]);
    let requests: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Request { operation, .. } => Some(*operation),
            _ => None,
        })
        .collect();
    use Operation as O;
    assert_eq!(
        requests,
        [
            O::GetPending,
            O::Describe,
            O::StartNext,
            O::Update,
            O::StartNext
        ]
    );
}

#[tokio::test]
async fn of_two_hundred_pending_jobs_as_many_as_aws_lists_are_described_while_the_first_is_started()
{
    let world = World::with(Options {
        listed_executions: 200,              // AWS lists 10 or 15
        latency: Duration::from_millis(150), // so the descriptions take a second and a half
        ..Options::default()
    })
    .await;
    let jobs: Vec<String> = (0..200).map(|n| format!("job-{n:03}")).collect();
    world.queue(&jobs.iter().map(String::as_str).collect::<Vec<_>>());
    let program = world.start(&["--job_time", "3600"]);
    program.out.wait_for(lines::WORK_STARTED).await;
    program.out.wait_for("Job job-014: QUEUED").await;
    let lines = program.interrupt().await.out;
    let lines: Vec<_> = lines.lines().collect();
    let jobs = &jobs[..15];
    let listed = lines
        .iter()
        .filter(|line| line.starts_with("  job-"))
        .map(|line| &line[2..9]);
    assert!(listed.eq(jobs.iter()), "{lines:#?}");
    let described = lines
        .iter()
        .filter(|line| line.starts_with("Job job-"))
        .map(|line| &line[4..11]);
    assert!(described.eq(jobs.iter()), "{lines:#?}");
    // The work did not wait for all the descriptions.
    let at = |part: &str| {
        lines
            .iter()
            .position(|line| line.starts_with(part))
            .unwrap()
    };
    assert!(at(lines::WORK_STARTED) < at("Job job-014: "));
    let longest = lines.iter().map(|line| line.chars().count()).max();
    assert!(longest < Some(700), "{longest:?}");
    assert_eq!(world.core.journal().violations(), [""; 0]);
}

#[tokio::test]
async fn a_long_document_is_cut_in_the_description_and_whole_at_the_start() {
    let world = World::new().await;
    let long = "x".repeat(30_000);
    world
        .core
        .jobs()
        .create_job("long", json!({ "text": long }))
        .unwrap();
    let program = world.start(&[]);
    program.out.wait_for(lines::REPORT_ACCEPTED).await;
    let lines = program.out.lines();
    program.kill().await;
    let described = lines
        .iter()
        .find(|line| line.starts_with("Job long: "))
        .unwrap();
    assert!(
        described.len() < 700 && described.ends_with('…'),
        "{described}"
    );
    let started = lines
        .iter()
        .find(|line| line.contains("job_id:long job_document:"))
        .unwrap();
    assert!(started.ends_with(&format!("{{\"text\":\"{long}\"}}")));
}

#[tokio::test]
async fn text_from_the_cloud_can_not_repaint_the_terminal() {
    let world = World::new().await;
    let document = json!({ "evil\u{1b}[2J": "\u{9b}31m\u{202e}\u{7f}" });
    world.core.jobs().create_job("evil", document).unwrap();
    let program = world.start(&["--verbosity", "Trace"]);
    program.out.wait_for(lines::NOTHING_TO_START).await;
    let ended = program.interrupt().await;
    let strange = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!ended.out.contains(strange), "{:?}", ended.out);
    assert!(!ended.err.contains(strange), "{:?}", ended.err);
    assert!(
        ended.out.contains(r"\u{9b}31m\u{202e}\u{7f}"),
        "{}",
        ended.out
    );
}
