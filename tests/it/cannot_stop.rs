//! What work does, and what the service says, never stops a device: work that hangs, kills the process or
//! is for somebody else.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jobs_mqtt5::agent::{self, Event, Job, Options, Outcome, Unwanted};
use jobs_mqtt5::jobs::{JobStatus, StatusDetails};
use jobs_mqtt5::sample::{SampleError, lines};
use local_iot_core::{Fault, On, Status, Times};
use tokio::time::sleep;

use crate::support::{World, counted_work, held_work, idle, long_waits, quick_work, within};

mod somebody_else;

// Work that does not end

#[tokio::test]
async fn work_that_hangs_after_its_job_was_canceled_is_said_and_ends_the_program_with_its_reason() {
    let world = World::with_jobs(&["job", "next"]).await;
    let (work, _gate) = held_work();
    let mut settings = world.settings();
    settings.agent.overdue_after = Duration::from_millis(100);
    settings.agent.overdue_limit = Duration::from_millis(500);
    let running = world.run(settings, work);
    running.out.wait_for(lines::WORK_STARTED).await;
    world.core.jobs().cancel_job_by_force("job").unwrap();
    running
        .err
        .wait_for("The work on job_id:job was to end 0.1 seconds ago, and goes on")
        .await;
    let (out, err) = (running.out.clone(), running.err.clone());
    let error = running.end().await.unwrap_err();
    assert!(
        matches!(&error, SampleError::Work(agent::Error::WorkOverdue { job_id, .. }) if *job_id == "job"),
        "{error:?}"
    );
    assert_eq!(err.count("was to end"), 1);
    // The last line is true: the job is CANCELED, and stays nothing.
    let last = out
        .lines()
        .into_iter()
        .find(|line| line.starts_with("Exiting Sample"));
    assert!(!last.unwrap().contains("IN_PROGRESS"));
    assert_eq!(world.core.jobs().execution("next").unwrap().starts, 0);
}

#[tokio::test]
async fn an_agent_that_is_told_to_stop_gives_up_work_that_hangs() {
    let world = World::with_jobs(&["job"]).await;
    let mut device = world.device(|settings| {
        settings.agent.overdue_after = Duration::from_millis(50);
        settings.agent.overdue_limit = Duration::from_millis(200);
    });
    let (mut events, stopper) = (device.agent.events(), device.agent.stopper());
    let (work, _gate) = held_work();
    let agent = tokio::spawn(async move { device.agent.run(work).await });
    while !matches!(within(events.next()).await, Some(Event::WorkStarted { .. })) {}
    stopper.stop();
    while !matches!(within(events.next()).await, Some(Event::WorkOverdue { .. })) {}
    let ended = within(agent).await.unwrap();
    assert!(
        matches!(ended, Err(agent::Error::WorkOverdue { .. })),
        "{ended:?}"
    );
    // It is the next run's.
    let execution = world.core.jobs().execution("job").unwrap();
    assert_eq!(execution.status, Status::InProgress);
}

#[tokio::test]
async fn the_last_line_on_hung_work_is_true_whether_its_job_is_wanted_or_not() {
    for is_canceled in [false, true] {
        let world = World::with_jobs(&["job"]).await;
        let (work, _gate) = held_work();
        let running = world.run(world.settings(), work);
        running.out.wait_for(lines::WORK_STARTED).await;
        if is_canceled {
            world.core.jobs().cancel_job_by_force("job").unwrap();
            let noticed = lines::no_longer_wanted("job", Unwanted::Status(JobStatus::Canceled));
            running.out.wait_for(&noticed).await;
        }
        let out = running.out.clone();
        running.stop().await.unwrap();
        assert_eq!(
            out.count("job_id:job stays IN_PROGRESS"),
            usize::from(!is_canceled)
        );
    }
}

#[test]
fn how_long_work_may_take_to_end() {
    let options = Options::default();
    assert_eq!(options.overdue_after, Duration::from_secs(10));
    assert_eq!(options.overdue_limit, Duration::from_secs(5 * 60));
    assert!(options.filter.is_none());
}

#[tokio::test]
async fn that_a_job_is_no_longer_wanted_is_said_every_time_and_its_end_is_not_called_failed() {
    let ids: Vec<String> = (0..20).map(|nth| format!("job-{nth}")).collect();
    let world = World::new().await;
    // It ends the moment that it hears of it: this must not overtake the line.
    let work = async |job: &Job| Err(job.interrupted().await.into());
    let running = world.run(world.settings(), work);
    for (nth, id) in ids.iter().enumerate() {
        world.queue(&[id]);
        let working = lines::WORK_STARTED;
        running.out.wait_for_count(nth + 1, working).await;
        world.core.jobs().cancel_job_by_force(id).unwrap();
        running.out.wait_for(&lines::abandoning(id)).await;
        let said = lines::no_longer_wanted(id, Unwanted::Status(JobStatus::Canceled));
        assert_eq!(running.out.count(&said), 1, "{}", running.out.text());
    }
    assert_eq!(running.out.count("Stopped working on job."), ids.len());
    assert_eq!(running.out.count("failed"), 0, "{}", running.out.text());
    running.stop().await.unwrap();
}

// Output of any kind

#[tokio::test]
async fn work_that_reports_any_text_succeeds() {
    let long = format!("begin\n{}\nthe end", "x".repeat(5_000));
    for (output, kept) in [
        ("", "(empty)"),
        ("a\nb\u{1b}[2J", r"a\nb\u{1b}[2J"),
        (&*long, "the end"),
    ] {
        let world = World::with_jobs(&["job"]).await;
        let text = output.to_owned();
        let work = async move |job: &Job| {
            let details = StatusDetails::default().with_text("std out", &text);
            job.checkpoint(details.clone()).await?;
            Ok(Outcome::Succeeded(details))
        };
        let running = world.run(world.settings(), work);
        world.succeeds("job").await;
        let details = world.core.jobs().execution("job").unwrap().status_details;
        let value = &details["std_out"];
        assert!(
            value.ends_with(kept) && value.chars().count() <= 1024,
            "{value}"
        );
        running.stop().await.unwrap();
    }
}

// A service that contradicts itself

#[tokio::test]
async fn a_service_that_starts_again_what_it_has_called_ended_does_not_have_work_started_many_times_a_second()
 {
    for code in ["TerminalStateReached", "ResourceNotFound"] {
        let world = World::with_jobs(&["job"]).await;
        let fault = Fault::Reject(On::Outcome, code.to_owned());
        world.core.faults().add(fault, Times::Always);
        let mut settings = world.settings();
        settings.agent.backoff = long_waits(Duration::from_secs(60));
        let (work, count) = counted_work();
        let running = world.run(settings, work);
        // Once more is no proof of anything; from then on, it is paced.
        running
            .out
            .wait_for_count(2, &lines::abandoning("job"))
            .await;
        sleep(Duration::from_millis(500)).await;
        assert_eq!(count.load(Ordering::SeqCst), 2, "{code}");
        running.stop().await.unwrap();
    }
}

// A policy without iot:Receive

#[tokio::test]
async fn that_no_reply_is_let_through_is_on_stderr_within_20_seconds() {
    let world = World::with_jobs(&["job"]).await;
    let policy = include_str!("../../policy.json").replace("iot:Receive", "iot:Nothing");
    world.core.set_policy(policy).unwrap();
    let program = world.start(&[]); // with the limits of a real device
    let began = Instant::now();
    program
        .err
        .wait_for("allows iot:Receive on all of policy.json")
        .await;
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    let line = program.err.lines().remove(0);
    assert!(
        line.contains("and the service has never answered"),
        "{line}"
    );
    program.kill().await;
}

// What is printed of a document

#[tokio::test]
async fn a_long_document_is_cut_in_an_event() {
    let world = World::new().await;
    let running = world.run(world.settings(), quick_work());
    idle(&running).await;
    let document = serde_json::json!({ "text": "x".repeat(30_000) });
    world.core.jobs().create_job("long", document).unwrap();
    world.succeeds("long").await;
    let begins = "Received Next Job Execution Changed event. job_id:long";
    let event = running
        .out
        .lines()
        .into_iter()
        .find(|line| line.starts_with(begins))
        .unwrap();
    assert!(event.len() < 700 && event.ends_with('…'), "{event}");
    running.stop().await.unwrap();
}
