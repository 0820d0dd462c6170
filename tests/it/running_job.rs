//! A running job: what the work reports, what it finds, and how it ends.

use std::time::{Duration, Instant};

use jobs_mqtt5::agent::{self, Agent, Job, Outcome, ReportResult};
use jobs_mqtt5::jobs::{RequestErrorKind, StatusDetails};
use jobs_mqtt5::sample::Settings;
use local_iot_core::{Event, Fault, On, Operation, Status, Times};
use serde::Deserialize;

use crate::support::{Device, World, detail, idle, within};

/// Progress at most once in this time: long enough to count, short enough to wait for.
const INTERVAL: Duration = Duration::from_millis(400);

/// What the service has under this name.
fn left(world: &World, job_id: &str, name: &str) -> Option<String> {
    let execution = world.core.jobs().execution(job_id).unwrap();
    execution.status_details.get(name).cloned()
}

/// A job that was started, with other options.
async fn started(world: &World, set: impl FnOnce(&mut Settings)) -> (Job, Device) {
    world.running_job_as("test-device", set).await
}

/// Progress at most once in this time: long enough to count, short enough to wait for.
fn seldom(settings: &mut Settings) {
    settings.agent.progress_interval = INTERVAL;
}

#[tokio::test]
async fn the_document_is_a_type_of_the_reader_s_or_the_text_it_came_as() {
    #[derive(Deserialize, PartialEq, Debug)]
    struct Document {
        operation: String,
        retries: u8,
    }
    let world = World::set(|options| options.dialect.rewrites_documents = false).await;
    let text = r#"{ "operation" : "a", "retries": 3 }"#;
    world.core.jobs().create_job_with_text("job", text).unwrap();
    let (job, _device) = started(&world, seldom).await;
    let expected = Document {
        operation: "a".to_owned(),
        retries: 3,
    };
    assert_eq!(job.document::<Document>().unwrap(), expected);
    assert_eq!(job.execution().job_document.text(), text);
    let wrong = job.document::<Vec<u8>>().unwrap_err();
    assert!(wrong.to_string().contains("expected a sequence"), "{wrong}");
}

#[tokio::test]
async fn progress_never_waits_the_latest_wins_and_at_most_one_is_sent_in_the_interval() {
    let world = World::with_jobs(&["job"]).await;
    let (job, _device) = started(&world, seldom).await;
    let began = Instant::now();
    for percent in 0..1_000 {
        job.progress(detail("percent", &percent.to_string()));
    }
    assert!(began.elapsed() < INTERVAL, "progress has waited");
    world.has_detail("job", "percent", "999").await;
    job.progress(detail("percent", "1000"));
    world.has_detail("job", "percent", "1000").await;
    let sent = world.core.journal().entries();
    let sent: Vec<Instant> = sent
        .iter()
        .filter(|entry| {
            matches!(
                &entry.event,
                Event::Request {
                    operation: Operation::Update,
                    ..
                }
            )
        })
        .map(|entry| entry.at)
        .collect();
    assert!((2..=3).contains(&sent.len()), "{} updates", sent.len());
    for (number, at) in (0..).zip(sent) {
        let after = at - began;
        assert!(
            after >= INTERVAL * number,
            "update {number} arrived after {after:?} already"
        );
    }
}

#[tokio::test]
async fn one_progress_is_under_way_at_a_time_and_those_meanwhile_are_left_out() {
    let world = World::with_jobs(&["job"]).await;
    let late = Duration::from_secs(2); // far more than three pieces of progress take
    world
        .core
        .faults()
        .add(Fault::LateReply(On::Progress, late), Times::Once);
    let (job, _device) = started(&world, |settings| {
        settings.agent.progress_interval = Duration::from_millis(1);
        settings.jobs.reply_timeout = late * 10;
    })
    .await;
    job.progress(detail("step", "first"));
    world.has_detail("job", "step", "first").await;
    for step in ["second", "third", "last"] {
        job.progress(detail("step", step));
        tokio::time::sleep(Duration::from_millis(50)).await; // longer than the interval
    }
    assert_eq!(left(&world, "job", "step").as_deref(), Some("first"));
    world.has_detail("job", "step", "last").await;
    assert_eq!(world.updates().len(), 2);
}

#[tokio::test]
async fn a_checkpoint_returns_when_the_service_has_it_and_the_next_run_finds_it() {
    let world = World::with_jobs(&["job"]).await;
    let (job, device) = world.running_job().await;
    assert!(job.status_details().is_empty());
    let checkpoint = StatusDetails::from_pairs([("step", "restarting"), ("slot", "b")]).unwrap();
    within(job.checkpoint(checkpoint.clone())).await.unwrap();
    assert_eq!(left(&world, "job", "slot").as_deref(), Some("b"));
    let ended = within(job.finish(Outcome::LeftInProgress)).await;
    assert_eq!(ended, Ok(ReportResult::LeftInProgress));
    device.mqtt.disconnect();
    let (job, _device) = world.running_job().await; // as after a restart
    assert_eq!(*job.status_details(), checkpoint);
    within(job.finish(Outcome::succeeded())).await.unwrap();
    world.succeeds("job").await;
    assert_eq!(left(&world, "job", "slot").as_deref(), Some("b")); // nothing new was said
    assert_eq!(world.core.jobs().execution("job").unwrap().starts, 1);
}

#[tokio::test]
async fn a_loop_of_ones_own_ends_on_a_job_that_is_left_in_progress_and_when_told_to_stop() {
    let world = World::with_jobs(&["job"]).await;
    let (job, mut device) = world.running_job().await;
    within(job.finish(Outcome::LeftInProgress)).await.unwrap();
    for _ in 0..3 {
        assert!(within(device.agent.next()).await.unwrap().is_none());
    }
    assert_eq!(world.requests(Operation::StartNext), 1);
    world.core.jobs().cancel_job_by_force("job").unwrap();
    let mut agent = Agent::new(&device.jobs);
    let (stopper, mut told) = (agent.stopper(), agent.events());
    let (next, ()) = tokio::join!(within(agent.next()), async {
        let mut told_so = async || told.next().await.unwrap();
        while !matches!(told_so().await, agent::Event::NothingToStart) {}
        stopper.stop();
    });
    assert!(next.unwrap().is_none());
}

#[tokio::test]
async fn a_checkpoint_is_not_undone_by_an_older_progress() {
    let world = World::with_jobs(&["job"]).await;
    let (job, _device) = started(&world, seldom).await;
    job.progress(detail("step", "1"));
    world.has_detail("job", "step", "1").await;
    job.progress(detail("step", "2")); // its turn is only after the interval
    within(job.checkpoint(detail("step", "checkpoint")))
        .await
        .unwrap();
    tokio::time::sleep(INTERVAL * 2).await;
    assert_eq!(left(&world, "job", "step").as_deref(), Some("checkpoint"));
}

#[tokio::test]
async fn a_job_that_succeeds_keeps_the_details_of_its_last_progress() {
    let world = World::with_jobs(&["job"]).await;
    let (job, _device) = started(&world, |settings| {
        settings.agent.progress_interval = Duration::from_secs(3600);
    })
    .await;
    job.progress(detail("percent", "50"));
    world.has_detail("job", "percent", "50").await;
    job.progress(detail("percent", "100")); // its turn never comes
    within(job.finish(Outcome::succeeded())).await.unwrap();
    world.succeeds("job").await;
    assert_eq!(left(&world, "job", "percent").as_deref(), Some("100"));
}

#[tokio::test]
async fn a_checkpoint_that_the_service_refuses_is_an_error_and_no_other_takes_its_place() {
    let world = World::with_jobs(&["job"]).await;
    let refuse = Fault::Reject(On::Progress, "InvalidRequest".to_owned());
    world.core.faults().add(refuse, Times::Once);
    let (job, _device) = started(&world, seldom).await;
    let refused = within(job.checkpoint(detail("step", "1"))).await;
    let Err(agent::Error::Request(refused)) = refused else {
        panic!("{refused:?}");
    };
    assert!(matches!(refused.kind(), RequestErrorKind::Rejected(_)));
    assert_eq!(world.updates().len(), 1);
    within(job.checkpoint(detail("step", "2"))).await.unwrap();
    assert_eq!(left(&world, "job", "step").as_deref(), Some("2"));
}

#[tokio::test]
async fn an_update_that_was_taken_but_whose_reply_was_lost_is_no_mismatch_to_the_caller() {
    for fault in [
        Fault::LoseReply(On::Progress),
        Fault::DropAfterLost(On::Progress),
    ] {
        let world = World::with_jobs(&["job"]).await;
        world.core.faults().add(fault.clone(), Times::Once);
        let (job, _device) = started(&world, seldom).await;
        within(job.checkpoint(detail("step", "1"))).await.unwrap();
        within(job.checkpoint(detail("step", "2"))).await.unwrap();
        let ended = within(job.finish(Outcome::succeeded())).await;
        assert_eq!(ended, Ok(ReportResult::Accepted));
        let mismatch = |event: &Event| matches!(event, Event::Reply { code: Some(code), .. } if code == "VersionMismatch");
        assert_eq!(world.core.journal().count(mismatch), 1, "{fault} struck");
        world.succeeds("job").await;
    }
}

#[tokio::test]
async fn the_work_ends_as_it_says_or_fails_by_any_error_string_or_panic() {
    let world = World::with_jobs(&[
        "plain", "details", "failed", "rejected", "io", "string", "panic", "left",
    ])
    .await;
    let work = async |job: &Job| match job.id().as_str() {
        "plain" => Ok(Outcome::succeeded()),
        "details" => Ok(Outcome::Succeeded(detail("installed", "1.2"))),
        "failed" => Ok(Outcome::failed("no room")),
        "rejected" => Ok(Outcome::rejected("not for me")),
        "io" => {
            std::fs::read("/no/such/file")?;
            Ok(Outcome::succeeded())
        }
        "string" => {
            Err("only words".to_owned())?;
            Ok(Outcome::succeeded())
        }
        "panic" => panic!("out of ideas"),
        _ => Ok(Outcome::LeftInProgress),
    };
    let running = world.run(world.settings(), work);
    let out = running.out.clone();
    running.end().await.unwrap();
    let no_file = std::fs::read("/no/such/file").unwrap_err().to_string();
    for (job_id, status, name, value) in [
        ("plain", Status::Succeeded, "reason", None),
        ("details", Status::Succeeded, "installed", Some("1.2")),
        ("failed", Status::Failed, "reason", Some("no room")),
        ("rejected", Status::Rejected, "reason", Some("not for me")),
        ("io", Status::Failed, "reason", Some(no_file.as_str())),
        ("string", Status::Failed, "reason", Some("only words")),
        (
            "panic",
            Status::Failed,
            "reason",
            Some("the work panicked: out of ideas"),
        ),
        ("left", Status::InProgress, "reason", None),
    ] {
        let execution = world.core.jobs().execution(job_id).unwrap();
        assert_eq!(execution.status, status, "{job_id}");
        assert_eq!(left(&world, job_id, name).as_deref(), value, "{job_id}");
    }
    assert!(
        out.text()
            .contains("job_id:left is left IN_PROGRESS, and the next run resumes it"),
        "{}",
        out.text()
    );
    // The next run resumes what was left.
    let running = world.run(world.settings(), async |_: &Job| Ok(Outcome::succeeded()));
    idle(&running).await;
    world.succeeds("left").await;
    running.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn work_on_the_agent_s_own_task_is_done_in_virtual_time() {
    let world = World::with_jobs(&["job", "next"]).await;
    let mut device = world.device(|settings| {
        settings.mqtt.transport = world.tunnel(Duration::ZERO);
    });
    let hour = async |_: &Job| {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        Ok(Outcome::succeeded())
    };
    let began = tokio::time::Instant::now();
    let done = world.core.jobs().wait_for_status("next", Status::Succeeded);
    tokio::select! {
        ended = device.agent.run_here(hour) => panic!("{ended:?}"),
        _ = done => {}
    }
    assert!(began.elapsed() >= Duration::from_secs(7200));
}
