//! What a bad network, a bad server and bad work do to the jobs. In the order of this list:
//!
//! 1. replies that are lost, late, doubled, foreign, unreadable or huge
//! 2. requests that the service rejects, for now or for good
//! 3. connections that drop, and programs that are killed, at every point of a job
//! 4. deliveries and events that come twice, in a burst, while working, or never
//! 5. work that fails or panics
//! 6. a thousand jobs

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jobs_mqtt5::jobs::JobExecution;
use jobs_mqtt5::sample::Work;
use local_iot_core::{Event, Fault, On, Operation, Status, Times};
use tokio::sync::Semaphore;

use crate::support::{Running, World, quick_work, within};

const REQUESTS: [Operation; 4] = [
    Operation::GetPending,
    Operation::Describe,
    Operation::StartNext,
    Operation::Update,
];

/// Work that counts how often it is done.
fn counted_work() -> (Work, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let work = move |_: &JobExecution| {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(())
    };
    (Arc::new(work), count)
}

/// Work that waits until it is let go, and says how often it has begun.
fn held_work() -> (Work, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let work = move |_: &JobExecution| {
        let permit = tokio::runtime::Handle::current().block_on(held.acquire());
        permit.map_err(|error| error.to_string())?.forget();
        Ok(())
    };
    (Arc::new(work), gate)
}

async fn idle(running: &Running) {
    running.out.wait_for("there are no jobs to be done").await;
}

/// The job is done, once, and no rule was broken on the way.
async fn done_once(world: &World, job_id: &str, running: Running) {
    within(world.core.jobs().wait_for_status(job_id, Status::Succeeded)).await;
    idle(&running).await;
    let execution = world.core.jobs().execution(job_id).unwrap();
    assert_eq!((execution.starts, execution.succeeded), (1, 1), "{job_id}");
    assert_eq!(
        running.out.count("Starting local work on job..."),
        1,
        "{}",
        running.out.text()
    );
    running.stop().await.unwrap();
    assert_eq!(world.core.journal().violations(), [""; 0]);
}

// 1. Replies that are lost, late, doubled, foreign, unreadable or huge

#[tokio::test]
async fn a_reply_that_is_of_no_use_is_ignored_or_asked_for_again() {
    let faults: [fn(On) -> Fault; 8] = [
        Fault::LoseReply,
        |on| Fault::LateReply(on, Duration::from_millis(1_000)), // the limit here is 700 ms
        Fault::DoubleReply,
        Fault::OtherThingReply,
        Fault::ForeignTokenReply,
        Fault::NoTokenReply,
        Fault::NotJsonReply,
        Fault::WrongShapeReply,
    ];
    let mut tests = tokio::task::JoinSet::new();
    for fault in faults {
        for operation in REQUESTS {
            tests.spawn(async move {
                let world = World::with_jobs(&["job"]).await;
                world
                    .core
                    .faults()
                    .add(fault(On::Only(operation)), Times::Once);
                let running = world.run(world.settings(), quick_work());
                done_once(&world, "job", running).await;
            });
        }
    }
    tests.join_all().await;
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
    settings.patience.reply_limit = Duration::from_millis(50);
    let running = world.run(settings, quick_work());
    running
        .out
        .wait_for(
            "Job job: DescribeJobExecution was asked 5 times without success. The last time, no reply \
             came within 0.05 seconds",
        )
        .await;
    done_once(&world, "job", running).await;
}

// 2. Requests that the service rejects, for now or for good

#[tokio::test]
async fn what_may_pass_is_asked_again_with_growing_waits() {
    for code in ["RequestThrottled", "InternalError", "SomethingNew"] {
        for operation in REQUESTS {
            let world = World::with_jobs(&["job"]).await;
            let fault = Fault::Reject(On::Only(operation), code.to_owned());
            world.core.faults().add(fault, Times::Count(3));
            let running = world.run(world.settings(), quick_work());
            done_once(&world, "job", running).await;
        }
    }
}

#[tokio::test]
async fn a_job_that_was_ended_in_the_cloud_while_the_device_worked_is_given_up() {
    type Change = fn(&local_iot_core::Jobs);
    let changes: [(Change, (&str, &str)); 3] = [
        (
            |jobs| jobs.cancel_job("job").unwrap(),
            (
                "InvalidStateTransition",
                "; the job execution is CANCELED now",
            ),
        ),
        (
            |jobs| jobs.time_out("job").unwrap(),
            (
                "InvalidStateTransition",
                "; the job execution is TIMED_OUT now",
            ),
        ),
        (
            |jobs| jobs.delete_job("job").unwrap(),
            ("ResourceNotFound", ""),
        ),
    ];
    for (change, words) in changes {
        let world = World::with_jobs(&["job"]).await;
        let (work, gate) = held_work();
        let running = world.run(world.settings(), work);
        running.out.wait_for("Starting local work on job...").await;
        change(world.core.jobs());
        world.queue(&["next"]);
        gate.add_permits(2);
        within(world.core.jobs().wait_for_status("next", Status::Succeeded)).await;
        let lines = running.out.lines();
        let said = lines
            .iter()
            .find(|line| line.starts_with("Request to update job failed"))
            .unwrap();
        let (code, now) = words;
        let begins = "Request to update job failed: UpdateJobExecution was rejected with code:";
        assert!(
            said.starts_with(&format!("{begins}'{code}' message:'")),
            "{said}"
        );
        assert!(
            said.ends_with(&format!("'{now}. Giving job_id:job up.")),
            "{said}"
        );
        running.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_job_that_was_changed_in_the_cloud_is_reported_again_with_its_new_version_not_worked_again()
 {
    let world = World::with_jobs(&["job"]).await;
    let (work, gate) = held_work();
    let running = world.run(world.settings(), work);
    running.out.wait_for("Starting local work on job...").await;
    let note = BTreeMap::from([("note".to_owned(), "from the cloud".to_owned())]);
    world.core.jobs().touch("job", note).unwrap();
    gate.add_permits(2);
    running
        .out
        .wait_for("rejected with code:'VersionMismatch'")
        .await;
    running
        .out
        .wait_for("The work on it is done; reporting once more...")
        .await;
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
    running
        .out
        .wait_for("Request to update job was accepted.")
        .await;
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
        within(world.core.jobs().wait_for_status(job, Status::Succeeded)).await;
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
    let faults: [fn(On) -> Fault; 3] = [Fault::DropBefore, Fault::DropAfter, Fault::DropAfterLost];
    let mut tests = tokio::task::JoinSet::new();
    for fault in faults {
        for operation in REQUESTS {
            tests.spawn(async move {
                let world = World::with_jobs(&["job"]).await;
                world
                    .core
                    .faults()
                    .add(fault(On::Only(operation)), Times::Once);
                let running = world.run(world.settings(), quick_work());
                done_once(&world, "job", running).await;
            });
        }
    }
    tests.join_all().await;
}

#[tokio::test]
async fn work_goes_on_while_offline_and_is_reported_when_the_connection_is_back() {
    for session_lost in [false, true] {
        let world = World::with_jobs(&["job"]).await;
        let (work, gate) = held_work();
        let running = world.run(world.settings(), work);
        running.out.wait_for("Starting local work on job...").await;
        world.core.stop_listening().await;
        world.core.drop_connections();
        running.err.wait_for("Trying again").await;
        gate.add_permits(1);
        running.out.wait_for("Done working on job.").await; // offline
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
        "Starting local work on job...",
        "Publishing request to update job status to SUCCEEDED...",
        "Request to update job was accepted.",
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
        within(world.core.jobs().wait_for_status("job", Status::Succeeded)).await;
        second.out.wait_for("there are no jobs to be done").await;
        let execution = world.core.jobs().execution("job").unwrap();
        assert_eq!(
            (execution.starts, execution.succeeded),
            (1, 1),
            "killed at '{point}'"
        );
        second.kill().await;
    }
}

// 4. Deliveries and events that come twice, in a burst, while working, or never

#[tokio::test]
async fn every_message_twice_makes_no_difference() {
    let mut stories = Vec::new();
    for fault in [None, Some(Fault::DoubleDeliveries)] {
        let world = World::with_jobs(&["first", "second"]).await;
        fault
            .into_iter()
            .for_each(|fault| world.core.faults().add(fault, Times::Always));
        let running = world.run(world.settings(), quick_work());
        idle(&running).await;
        running.out.wait_for("event: None.").await;
        let mut lines = running.out.lines();
        running.stop().await.unwrap();
        lines.retain(|line| !line.starts_with("Connecting") && !line.contains(" UTC"));
        lines.sort(); // what comes in on the side may come at another place
        stories.push(lines);
        assert_eq!(world.core.journal().violations(), [""; 0]);
    }
    assert_eq!(stories[0], stories[1]);
}

#[tokio::test]
async fn jobs_that_are_queued_while_one_is_worked_on_are_done_after_it() {
    let world = World::with_jobs(&["first"]).await;
    let (work, gate) = held_work();
    let running = world.run(world.settings(), work);
    running.out.wait_for("Starting local work on job...").await;
    let burst: Vec<String> = (0..20).map(|n| format!("burst-{n}")).collect();
    world.queue(&burst.iter().map(String::as_str).collect::<Vec<_>>());
    gate.add_permits(21);
    for job in ["first"]
        .into_iter()
        .chain(burst.iter().map(String::as_str))
    {
        within(world.core.jobs().wait_for_status(job, Status::Succeeded)).await;
    }
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_lost_event_is_made_up_for_after_an_idle_stretch() {
    let world = World::new().await;
    let fault = Fault::LoseReply(On::Only(Operation::NotifyNext));
    world.core.faults().add(fault, Times::Always);
    let mut settings = world.settings();
    settings.idle_limit = Duration::from_millis(300);
    let running = world.run(settings, quick_work());
    idle(&running).await;
    world.queue(&["unannounced"]);
    within(
        world
            .core
            .jobs()
            .wait_for_status("unannounced", Status::Succeeded),
    )
    .await;
    running.stop().await.unwrap();
}

#[tokio::test]
async fn an_idle_device_asks_nothing() {
    let world = World::with_jobs(&["job"]).await;
    let running = world.run(world.settings(), quick_work());
    idle(&running).await;
    running.out.wait_for("event: None.").await;
    assert!(
        running.out.is_quiet_for(Duration::from_millis(500)).await,
        "{}",
        running.out.text()
    );
    assert_eq!(running.out.count("Trying to start the next job..."), 2);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_hint_that_leads_to_no_job_is_followed_once() {
    let world = World::new().await;
    let running = world.run(world.settings(), quick_work());
    idle(&running).await;
    world.core.drop_connections();
    world.core.forget_sessions(); // a new session is a hint as well
    running
        .out
        .wait_for_count(2, "there are no jobs to be done")
        .await;
    let fault = Fault::LateReply(On::Only(Operation::NotifyNext), Duration::from_millis(300));
    world.core.faults().add(fault, Times::Once);
    world.queue(&["withdrawn"]);
    world.core.jobs().cancel_job("withdrawn").unwrap(); // its event is late
    running
        .out
        .wait_for_count(3, "there are no jobs to be done")
        .await;
    assert!(
        running.out.is_quiet_for(Duration::from_millis(500)).await,
        "{}",
        running.out.text()
    );
    assert_eq!(running.out.count("Trying to start the next job..."), 3);
    running.stop().await.unwrap();
}

// 5. Work that fails or panics

#[tokio::test]
async fn work_that_fails_is_reported_as_failed_with_its_reason_and_the_next_job_is_done() {
    let world = World::with_jobs(&["bad", "good"]).await;
    let work = Arc::new(|execution: &JobExecution| match execution.job_id.as_str() {
        "bad" => Err("the disk\nis full".to_owned()),
        _ => Ok(()),
    });
    let running = world.run(world.settings(), work);
    within(world.core.jobs().wait_for_status("good", Status::Succeeded)).await;
    let bad = world.core.jobs().execution("bad").unwrap();
    assert_eq!(bad.status, Status::Failed);
    assert_eq!(bad.status_details["reason"], r"the disk\nis full");
    assert_eq!(
        running.out.count(r"Work on job failed: the disk\nis full"),
        1
    );
    assert_eq!(
        running
            .out
            .count("Publishing request to update job status to FAILED..."),
        1
    );
    running.stop().await.unwrap();
}

#[tokio::test]
async fn work_that_panics_is_reported_as_failed_and_the_next_job_is_done() {
    let world = World::with_jobs(&["bad", "good"]).await;
    let work = Arc::new(|execution: &JobExecution| {
        assert!(execution.job_id != "bad", "out of {}", "cheese");
        Ok(())
    });
    let running = world.run(world.settings(), work);
    within(world.core.jobs().wait_for_status("good", Status::Succeeded)).await;
    let bad = world.core.jobs().execution("bad").unwrap();
    assert_eq!(bad.status, Status::Failed);
    assert_eq!(
        bad.status_details["reason"],
        "the work panicked: out of cheese"
    );
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_long_reason_is_cut_to_what_the_service_takes() {
    let world = World::with_jobs(&["bad"]).await;
    let work = Arc::new(|_: &JobExecution| Err("世".repeat(5_000)));
    let running = world.run(world.settings(), work);
    within(world.core.jobs().wait_for_status("bad", Status::Failed)).await;
    let reason = &world.core.jobs().execution("bad").unwrap().status_details["reason"];
    assert_eq!(reason.chars().count(), 1024);
    assert!(reason.ends_with('…'));
    running.stop().await.unwrap();
}

// 6. A thousand jobs

#[tokio::test]
async fn a_thousand_jobs_are_done_in_creation_order_within_a_hundred_publishes_a_second() {
    let world = World::new().await;
    let jobs: Vec<String> = (0..1_000).map(|n| format!("job-{n:04}")).collect();
    world.queue(&jobs.iter().map(String::as_str).collect::<Vec<_>>());
    let (work, count) = counted_work();
    let running = world.run(world.settings(), work);
    let all = |books: &local_iot_core::Books| books.count(Status::Succeeded) == 1_000;
    tokio::time::timeout(Duration::from_secs(90), world.core.jobs().wait_until(all))
        .await
        .unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 1_000);
    let ended: Vec<String> = world
        .core
        .journal()
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::StateChange {
                job_id,
                to: Status::Succeeded,
                ..
            } => Some(job_id),
            _ => None,
        })
        .collect();
    assert_eq!(ended, jobs);
    running.stop().await.unwrap();
    // local_iot_core counts more than 100 publishes in any second as a violation.
    assert_eq!(world.core.journal().violations(), [""; 0]);
}
