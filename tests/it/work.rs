//! What a bad network and a bad server do to the jobs. In the order of this list:
//!
//! 1. replies that are lost, late, doubled, foreign, unreadable or huge
//! 2. requests that the service rejects, for now or for good: `work/rejected.rs`
//! 3. connections that drop, and programs that are killed, at every point of a job
//!
//! The list goes on in `work_and_events.rs`.

use std::time::Duration;

use jobs_mqtt5::sample::lines;
use local_iot_core::{Fault, On, Operation, Times};

use crate::support::{World, done_once, held_work, idle, quick_work};

mod rejected;

const REQUESTS: [Operation; 4] = [
    Operation::GetPending,
    Operation::Describe,
    Operation::StartNext,
    Operation::Update,
];

/// For each fault and each request: it strikes once, and the job is done once all the same.
async fn costs_no_job(faults: &[fn(On) -> Fault]) {
    let mut tests = tokio::task::JoinSet::new();
    for &fault in faults {
        for operation in REQUESTS {
            tests.spawn(async move {
                let world = World::with_jobs(&["job"]).await;
                let fault = fault(On::Only(operation));
                world.core.faults().add(fault, Times::Once);
                let running = world.run(world.settings(), quick_work());
                done_once(&world, "job", running).await;
            });
        }
    }
    tests.join_all().await;
}

#[tokio::test]
#[should_panic(expected = "lose-reply update (once) struck 0 times only")]
async fn a_test_whose_fault_does_not_strike_fails() {
    let world = World::new().await;
    let fault = Fault::LoseReply(On::Only(Operation::Update));
    world.core.faults().add(fault, Times::Once);
    let running = world.run(world.settings(), quick_work());
    idle(&running).await; // there is no job, and so no update
    running.stop().await.unwrap();
}

// 1. Replies that are lost, late, doubled, foreign, unreadable or huge

#[tokio::test]
async fn a_reply_that_is_of_no_use_is_ignored_or_asked_for_again() {
    costs_no_job(&[
        Fault::LoseReply,
        |on| Fault::LateReply(on, Duration::from_millis(1_000)), // the limit here is 700 ms
        Fault::DoubleReply,
        Fault::OtherThingReply,
        Fault::ForeignTokenReply,
        Fault::NoTokenReply,
        Fault::NotJsonReply,
        Fault::WrongShapeReply,
    ])
    .await;
}

#[tokio::test]
async fn a_reply_of_a_hundred_kib_is_read() {
    let world = World::with_jobs(&["job"]).await;
    world
        .core
        .faults()
        .add(Fault::HugeReply(On::Any), Times::Always);
    let running = world.run(world.settings(), quick_work());
    done_once(&world, "job", running).await;
}

#[tokio::test]
async fn a_request_without_an_answer_is_given_up_at_last_and_said() {
    let world = World::with_jobs(&["job"]).await;
    let fault = Fault::LoseReply(On::Only(Operation::Describe));
    world.core.faults().add(fault, Times::Always);
    let mut settings = world.settings();
    settings.jobs.reply_timeout = Duration::from_millis(50);
    let running = world.run(settings, quick_work());
    running
        .out
        .wait_for(
            "Job job: DescribeJobExecution was asked 5 times without success: no reply came within \
             0.05 seconds",
        )
        .await;
    done_once(&world, "job", running).await;
}

#[tokio::test]
async fn a_policy_that_does_not_let_replies_through_is_named_as_what_to_check() {
    let world = World::with_jobs(&["job"]).await;
    let policy = include_str!("../../policy.json").replace("iot:Receive", "iot:Nothing");
    world.core.set_policy(policy).unwrap();
    let mut settings = world.settings();
    settings.ci = true;
    settings.jobs.reply_timeout = Duration::from_millis(50);
    let error = world.run(settings, quick_work()).end().await.unwrap_err();
    assert_eq!(
        error.explained(),
        "GetPendingJobExecutions was asked 5 times without success: no reply came within 0.05 \
         seconds. Check that the policy of your certificate allows iot:Receive on all of policy.json, \
         and that --thing_name is the name of this certificate's thing."
    );
}

#[tokio::test]
async fn a_policy_that_does_not_let_one_reply_through_is_named_on_stderr_once() {
    let world = World::with_jobs(&["job"]).await;
    let policy = include_str!("../../policy.json");
    let start_next = "topic/$aws/things/<thingname>/jobs/start-next/*";
    assert!(policy.contains(start_next), "{policy}");
    let policy = policy.replace(start_next, "topic/nothing");
    world.core.set_policy(policy).unwrap();
    let mut settings = world.settings();
    settings.jobs.reply_timeout = Duration::from_millis(50);
    let running = world.run(settings, quick_work());
    let failed = "Request to start next job failed: StartNextPendingJobExecution was asked 5 times";
    running.out.wait_for_count(2, failed).await;
    let err = running.err.text();
    let words = "no reply came within 0.05 seconds. Check that the policy of your certificate allows \
                 iot:Receive on all of policy.json";
    assert_eq!(err.matches(words).count(), 1, "{err}");
    running.stop().await.unwrap();
}

// 3. Connections that drop, and programs that are killed, at every point of a job

#[tokio::test]
async fn a_connection_that_drops_at_any_request_costs_no_job_and_no_work_twice() {
    costs_no_job(&[Fault::DropBefore, Fault::DropAfter, Fault::DropAfterLost]).await;
}

#[tokio::test]
async fn work_goes_on_while_offline_and_is_reported_when_the_connection_is_back() {
    for session_lost in [false, true] {
        let world = World::with_jobs(&["job"]).await;
        let (work, gate) = held_work();
        let running = world.run(world.settings(), work);
        running.out.wait_for(lines::WORK_STARTED).await;
        world.cut_off(&running).await;
        gate.add_permits(1);
        running.out.wait_for(lines::WORK_DONE).await; // offline
        if session_lost {
            world.core.forget_sessions();
        }
        world.core.resume_listening().await.unwrap();
        done_once(&world, "job", running).await;
    }
}

#[tokio::test]
async fn a_program_that_is_killed_at_any_point_leaves_the_job_to_the_next_run() {
    for point in [
        "Published request to start the next job.",
        lines::WORK_STARTED,
        "Publishing request to update job status to SUCCEEDED...",
        lines::REPORT_ACCEPTED,
    ] {
        let world = World::with_jobs(&["job"]).await;
        let time = if point.starts_with("Starting") {
            "3600"
        } else {
            "0"
        };
        let first = world.start(&["--job_time", time]);
        first.out.wait_for(point).await;
        first.kill().await;
        let second = world.start(&[]);
        world.succeeds("job").await;
        second.out.wait_for(lines::NOTHING_TO_START).await;
        let execution = world.core.jobs().execution("job").unwrap();
        assert_eq!(
            (execution.starts, execution.succeeded),
            (1, 1),
            "killed at '{point}'"
        );
        second.kill().await;
    }
}
