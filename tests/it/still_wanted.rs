//! Whether a job is still wanted: what the device hears while it works or reports, and what it makes
//! of it. And what a report holds on through.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jobs_mqtt5::agent::{Interrupted, Job, Outcome, ReportResult, Unwanted};
use jobs_mqtt5::jobs::JobStatus;
use jobs_mqtt5::sample::lines;
use local_iot_core::{Fault, NewJob, On, Operation, Status, Times};

use crate::support::{World, counted_work, detail, done_once, held_work, idle, within};

/// From the service's word to the work's knowledge.
const NOTICED: Duration = Duration::from_secs(1);

/// Why the job is no longer wanted, once that is known.
async fn unwanted(job: &Job) -> Unwanted {
    match within(job.interrupted()).await {
        Interrupted::Unwanted(why) => why,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn what_the_cloud_ends_is_noticed_within_a_second_without_a_question_before() {
    type Change = fn(&local_iot_core::Jobs);
    let changes: [(&str, Change); 4] = [
        ("canceled", |jobs| jobs.cancel_job_by_force("job").unwrap()),
        ("timed out", |jobs| jobs.time_out("job").unwrap()),
        ("deleted", |jobs| jobs.delete_job("job").unwrap()),
        ("created anew", |jobs| {
            jobs.delete_job("job").unwrap();
            jobs.create(NewJob::new("job", "{}")).unwrap();
        }),
    ];
    for (what, change) in changes {
        for describes_terminal in [false, true] {
            let world =
                World::set(|options| options.dialect.describes_terminal = describes_terminal).await;
            world.queue(&["job"]);
            let (job, _device) = world.running_job().await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert_eq!(world.requests(Operation::Describe), 0, "it is polled");
            assert_eq!(job.unwanted(), None);
            change(world.core.jobs());
            let since = Instant::now();
            let why = unwanted(&job).await;
            assert!(since.elapsed() < NOTICED, "{what}: {:?}", since.elapsed());
            let is_gone = matches!(what, "deleted" | "created anew");
            assert_eq!(why == Unwanted::Deleted, is_gone, "{what}: {why}");
            let ended = within(job.finish(Outcome::succeeded())).await;
            assert_eq!(ended, Ok(ReportResult::Unwanted(why)));
            assert_eq!(world.core.jobs().execution("job").unwrap().succeeded, 0);
        }
    }
}

#[tokio::test]
async fn the_story_gives_up_what_was_created_anew_and_then_works_on_the_new_one() {
    let world = World::with_jobs(&["job"]).await;
    let (work, gate) = held_work();
    let running = world.run(world.settings(), work);
    running.out.wait_for(lines::WORK_STARTED).await;
    world.core.jobs().delete_job("job").unwrap();
    world.queue(&["job"]);
    running
        .out
        .wait_for(&lines::no_longer_wanted("job", Unwanted::Deleted))
        .await;
    assert_eq!(running.out.count(lines::WORK_STARTED), 1); // never two at a time
    gate.add_permits(2);
    world.succeeds("job").await;
    idle(&running).await;
    running.out.wait_for(&lines::abandoning("job")).await;
    assert_eq!(running.out.count(lines::WORK_STARTED), 2);
    assert_eq!(world.core.jobs().execution("job").unwrap().starts, 1);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_job_created_anew_during_an_outage_is_not_taken_for_the_one_that_was_done() {
    for session_lost in [false, true] {
        let world = World::with_jobs(&["job"]).await;
        let (work, count) = counted_work();
        let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
        let held = std::sync::Arc::clone(&gate);
        let work = async move |job: &Job| {
            held.acquire().await?.forget();
            work(job).await
        };
        let running = world.run(world.settings(), work);
        running.out.wait_for(lines::WORK_STARTED).await;
        world.cut_off(&running).await;
        gate.add_permits(2);
        running
            .out
            .wait_for("Publishing request to update job status")
            .await;
        world.core.jobs().delete_job("job").unwrap();
        world.queue(&["job"]);
        if session_lost {
            world.core.forget_sessions();
        }
        world.core.resume_listening().await.unwrap();
        world.succeeds("job").await;
        idle(&running).await;
        assert_eq!(count.load(Ordering::SeqCst), 2, "{}", running.out.text());
        assert_eq!(running.err.count("Somebody else"), 0);
        let execution = world.core.jobs().execution("job").unwrap();
        assert_eq!((execution.starts, execution.succeeded), (1, 1));
        running.stop().await.unwrap();
        assert_eq!(world.core.journal().violations(), [""; 0]);
    }
}

#[tokio::test]
async fn a_next_job_that_overtakes_the_reply_to_our_own_update_is_no_cancel() {
    let world = World::with_jobs(&["job", "next"]).await;
    let overtaken = Fault::OvertakenReply(On::Outcome);
    world.core.faults().add(overtaken, Times::Always);
    let (work, count) = counted_work();
    let running = world.run(world.settings(), work);
    world.succeeds("next").await;
    idle(&running).await;
    assert_eq!(world.struck(), 2);
    assert_eq!(running.out.count(lines::REPORT_ACCEPTED), 2);
    assert_eq!(running.out.count(&lines::abandoning("job")), 0);
    assert_eq!(count.load(Ordering::SeqCst), 2);
    assert_eq!(running.err.text(), "");
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_refused_progress_tells_when_the_event_is_lost() {
    let world = World::with_jobs(&["job"]).await;
    let (job, _device) = world.running_job().await;
    let lost = Fault::LoseReply(On::Only(Operation::NotifyNext));
    world.core.faults().add(lost, Times::Always);
    world.core.jobs().cancel_job_by_force("job").unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(job.unwanted(), None); // nobody has said it
    job.progress(detail("step", "1"));
    let why = unwanted(&job).await;
    assert_eq!(why, Unwanted::Status(JobStatus::Canceled));
    assert!(world.struck() > 0);
    let sent = world.requests(Operation::Update);
    job.progress(detail("step", "2"));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.requests(Operation::Update), sent, "nobody wants it");
}

#[tokio::test]
async fn what_was_ended_while_the_session_was_lost_is_noticed_when_the_connection_is_back() {
    let world = World::with_jobs(&["job"]).await;
    let (job, _device) = world.running_job().await;
    world.core.stop_listening().await;
    world.core.drop_connections();
    world.core.forget_sessions();
    world.core.jobs().cancel_job_by_force("job").unwrap();
    world.core.resume_listening().await.unwrap();
    let why = unwanted(&job).await;
    assert_ne!(why, Unwanted::Deleted);
}

#[tokio::test]
async fn a_report_holds_on_through_all_that_passes_and_no_work_is_done_twice() {
    let throttled = |operation| Fault::Reject(operation, "RequestThrottled".to_owned());
    for (fault, times) in [
        (throttled(On::Outcome), 12),
        (Fault::LoseReply(On::Outcome), 3),
        (Fault::DropAfter(On::Outcome), 3),
        (Fault::DropAfterLost(On::Outcome), 3),
        (Fault::DropBefore(On::Outcome), 3),
        (Fault::Puback(0x97, "/update".to_owned()), 8),
    ] {
        let world = World::with_jobs(&["job"]).await;
        // A URL that is signed anew in each copy: no two copies of the document are the same.
        let document = r#"{"url": "${aws:iot:s3-presigned-url:https://example.com/a}"}"#;
        world.core.jobs().delete_job("job").unwrap();
        let jobs = world.core.jobs();
        jobs.create_job_with_text("job", document).unwrap();
        world.core.faults().add(fault.clone(), Times::Count(times));
        let mut settings = world.settings();
        settings.jobs.reply_timeout = Duration::from_millis(100);
        let running = world.run(settings, async |_: &Job| Ok(Outcome::succeeded()));
        let err = running.err.clone();
        done_once(&world, "job", running).await;
        assert!(world.struck() > 0, "{fault}");
        assert_eq!(err.count("Somebody else"), 0, "{fault}");
    }
}

#[tokio::test]
async fn an_execution_that_ended_is_known_by_its_refusal_in_either_dialect() {
    for version_first in [false, true] {
        let world = World::set(|options| options.dialect.version_first = version_first).await;
        world.queue(&["job"]);
        let (job, _device) = world.running_job().await;
        let lost = Fault::LoseReply(On::Only(Operation::NotifyNext));
        world.core.faults().add(lost, Times::Always);
        world.core.jobs().cancel_job_by_force("job").unwrap();
        let ended = within(job.finish(Outcome::succeeded())).await;
        let canceled = Unwanted::Status(JobStatus::Canceled);
        assert_eq!(
            ended,
            Ok(ReportResult::Unwanted(canceled)),
            "{version_first}"
        );
        assert_eq!(
            world.core.jobs().execution("job").unwrap().status,
            Status::Canceled
        );
    }
}
