//! Requests that the service rejects: what may pass is asked again, what is for good is said, and no job is
//! worked on twice.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jobs_mqtt5::sample::lines;
use local_iot_core::{Event, Fault, Jobs, On, Operation, Times};
use tokio::time::sleep;

use super::REQUESTS;
use crate::support::{World, done_once, held_work, idle, quick_work, within};

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
    type Change = fn(&Jobs);
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
