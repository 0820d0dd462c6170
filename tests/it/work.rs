//! What a bad network and a bad server do to the jobs. In the order of this list:
//!
//! 1. replies that are lost, late, doubled, foreign, unreadable or huge
//! 2. requests that the service rejects, for now or for good
//! 3. connections that drop, and programs that are killed, at every point of a job
//!
//! The list goes on in `work_and_events.rs`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jobs_mqtt5::sample::lines;
use local_iot_core::{Event, Fault, On, Operation, Times};
use tokio::time::sleep;

use crate::support::{World, done_once, held_work, idle, quick_work, within};

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

// 2. Requests that the service rejects, for now or for good

/// When requests of this operation came.
fn times_of(world: &World, wanted: Operation) -> Vec<Instant> {
    let entries = world.core.journal().entries();
    let requests = entries.into_iter().filter_map(|entry| match entry.event {
        Event::Request { operation, .. } if operation == wanted => Some(entry.at),
        _ => None,
    });
    requests.collect()
}

#[tokio::test]
async fn what_may_pass_is_asked_again_with_growing_waits() {
    for code in ["RequestThrottled", "InternalError", "SomethingNew"] {
        for operation in REQUESTS {
            let world = World::with_jobs(&["job"]).await;
            let fault = Fault::Reject(On::Only(operation), code.to_owned());
            world.core.faults().add(fault, Times::Count(3));
            let mut settings = world.settings();
            settings.jobs.backoff = settings.jobs.backoff.seeded(7);
            let mut schedule = settings.jobs.backoff.clone();
            let running = world.run(settings, quick_work());
            world.succeeds("job").await;
            // The descriptions may take longer than the job.
            while world.requests(operation) < 4 {
                within(sleep(Duration::from_millis(10))).await;
            }
            for pair in times_of(&world, operation)[..4].windows(2) {
                let wait = schedule.next_wait();
                let waited = pair[1] - pair[0];
                assert!(waited >= wait, "{operation}: {waited:?} for {wait:?}");
            }
            running.out.wait_for("is asked again").await; // it may be told after the request has come
            assert_eq!(
                running.out.count("is asked again"),
                1,
                "each trouble is told once"
            );
            done_once(&world, "job", running).await;
        }
    }
}

#[tokio::test]
async fn a_job_that_was_ended_in_the_cloud_while_the_device_worked_is_given_up() {
    type Change = fn(&local_iot_core::Jobs);
    let changes: [(Change, &str); 3] = [
        (
            |jobs| jobs.cancel_job_by_force("job").unwrap(),
            "the job execution is CANCELED now",
        ),
        (
            |jobs| jobs.time_out("job").unwrap(),
            "the job execution is TIMED_OUT now",
        ),
        (
            |jobs| jobs.delete_job("job").unwrap(),
            "the job execution was deleted",
        ),
    ];
    for (change, why) in changes {
        let world = World::with_jobs(&["job"]).await;
        let (work, gate) = held_work();
        let running = world.run(world.settings(), work);
        running.out.wait_for(lines::WORK_STARTED).await;
        change(world.core.jobs());
        world.queue(&["next"]);
        let noticed = lines::no_longer_wanted("job", why);
        running.out.wait_for(&noticed).await;
        assert_eq!(running.out.count(lines::WORK_STARTED), 1); // never two at a time
        gate.add_permits(2);
        world.succeeds("next").await;
        let given_up = format!("How it ended is not reported: {why}. Abandoning job_id:job.");
        running.out.wait_for(&given_up).await;
        idle(&running).await;
        assert_eq!(running.out.count("Publishing request to update"), 1); // that of the next
        running.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_job_that_was_changed_in_the_cloud_is_reported_again_with_its_new_version_not_worked_again()
 {
    let world = World::with_jobs(&["job"]).await;
    let (work, gate) = held_work();
    let running = world.run(world.settings(), work);
    running.out.wait_for(lines::WORK_STARTED).await;
    let note = BTreeMap::from([("note".to_owned(), "from the cloud".to_owned())]);
    world.core.jobs().touch("job", note).unwrap();
    gate.add_permits(2);
    done_once(&world, "job", running).await;
}

#[tokio::test]
async fn an_update_that_is_refused_because_it_was_carried_out_counts_as_done() {
    let world = World::with_jobs(&["job"]).await;
    world
        .core
        .faults()
        .add(Fault::LoseReply(On::Only(Operation::Update)), Times::Once);
    let running = world.run(world.settings(), quick_work());
    running.out.wait_for(lines::REPORT_ACCEPTED).await;
    let refused = |event: &Event| {
        matches!(
            event,
            Event::Reply {
                accepted: false,
                ..
            }
        )
    };
    assert_eq!(world.core.journal().count(refused), 1);
    assert_eq!(running.err.text(), ""); // nobody else has reported on it
    done_once(&world, "job", running).await;
}

#[tokio::test]
async fn a_start_or_a_describe_that_is_refused_is_said_and_the_others_go_on() {
    let world = World::with_jobs(&["first", "second"]).await;
    for operation in [Operation::Describe, Operation::StartNext] {
        let fault = Fault::Reject(On::Only(operation), "InvalidRequest".to_owned());
        world.core.faults().add(fault, Times::Once);
    }
    let running = world.run(world.settings(), quick_work());
    running
        .out
        .wait_for("DescribeJobExecution was rejected with code:'InvalidRequest'")
        .await;
    running
        .out
        .wait_for("Request to start next job failed: StartNextPendingJobExecution was")
        .await;
    running.out.wait_for("Job second: QUEUED").await;
    for job in ["first", "second"] {
        world.succeeds(job).await;
    }
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_list_that_is_refused_is_said_and_the_jobs_are_done() {
    let world = World::with_jobs(&["job"]).await;
    let fault = Fault::Reject(On::Only(Operation::GetPending), "InvalidRequest".to_owned());
    world.core.faults().add(fault, Times::Once);
    let running = world.run(world.settings(), quick_work());
    running
        .out
        .wait_for("The pending jobs could not be listed: GetPendingJobExecutions was")
        .await;
    done_once(&world, "job", running).await;
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
