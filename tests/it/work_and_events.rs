//! What events and the work itself do to the jobs: the list of `work.rs` goes on.
//!
//! 4. deliveries and events that come twice, in a burst, while working, or never
//! 5. work that fails or panics
//! 6. a thousand jobs

use std::sync::atomic::Ordering;
use std::time::Duration;

use jobs_mqtt5::agent::{Job, Outcome};
use jobs_mqtt5::sample::lines;
use local_iot_core::{Event, Fault, On, Operation, Status, Times};

use crate::support::{
    World, counted_work, done_once, held_work, idle, long_waits, quick_work, within,
};

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
async fn a_rejection_that_is_delivered_twice_counts_once() {
    let world = World::with_jobs(&["job"]).await;
    let faults = world.core.faults();
    faults.add(Fault::DoubleDeliveries, Times::Always);
    let throttled = "RequestThrottled".to_owned();
    let fault = Fault::Reject(On::Only(Operation::GetPending), throttled);
    faults.add(fault, Times::Count(4)); // after five without result it would be given up
    // The second copy comes before the next try, as it would with the waits of a real device.
    let mut settings = world.settings();
    settings.jobs.backoff = long_waits(Duration::from_millis(500));
    let running = world.run(settings, quick_work());
    running.out.wait_for("Pending Jobs:").await;
    assert_eq!(world.requests(Operation::GetPending), 5);
    done_once(&world, "job", running).await;
}

#[tokio::test]
async fn jobs_that_are_queued_while_one_is_worked_on_are_done_after_it() {
    let world = World::with_jobs(&["first"]).await;
    let (work, gate) = held_work();
    let running = world.run(world.settings(), work);
    running.out.wait_for(lines::WORK_STARTED).await;
    let burst: Vec<String> = (0..20).map(|n| format!("burst-{n}")).collect();
    world.queue(&burst.iter().map(String::as_str).collect::<Vec<_>>());
    gate.add_permits(21);
    for job in ["first"]
        .into_iter()
        .chain(burst.iter().map(String::as_str))
    {
        world.succeeds(job).await;
    }
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_lost_event_is_made_up_for_after_an_idle_stretch() {
    let world = World::new().await;
    let fault = Fault::LoseReply(On::Only(Operation::NotifyNext));
    world.core.faults().add(fault, Times::Always);
    let mut settings = world.settings();
    settings.agent.idle_timeout = Duration::from_millis(300);
    let running = world.run(settings, quick_work());
    idle(&running).await;
    world.queue(&["unannounced"]);
    world.succeeds("unannounced").await;
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
    world.cut_off(&running).await;
    world.core.forget_sessions(); // a new session is a hint as well
    world.core.resume_listening().await.unwrap();
    running.out.wait_for_count(2, lines::NOTHING_TO_START).await;
    let fault = Fault::LateReply(On::Only(Operation::NotifyNext), Duration::from_millis(300));
    world.core.faults().add(fault, Times::Once);
    world.queue(&["withdrawn"]);
    world.core.jobs().cancel_job("withdrawn").unwrap(); // its event is late
    running.out.wait_for_count(3, lines::NOTHING_TO_START).await;
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
    let work = async |job: &Job| match job.id().as_str() {
        "bad" => Err("the disk\nis full".into()),
        _ => Ok(Outcome::succeeded()),
    };
    let running = world.run(world.settings(), work);
    world.succeeds("good").await;
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
    let work = async |job: &Job| {
        assert!(job.id().as_str() != "bad", "out of {}", "cheese");
        Ok(Outcome::succeeded())
    };
    let running = world.run(world.settings(), work);
    world.succeeds("good").await;
    let bad = world.core.jobs().execution("bad").unwrap();
    assert_eq!(bad.status, Status::Failed);
    assert_eq!(
        bad.status_details["reason"],
        "the work panicked: out of cheese"
    );
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_failure_without_a_reason_fails_the_job_all_the_same() {
    let world = World::with_jobs(&["bad"]).await;
    let work = async |_: &Job| Err(String::new().into());
    let running = world.run(world.settings(), work);
    within(world.core.jobs().wait_for_status("bad", Status::Failed)).await;
    let bad = world.core.jobs().execution("bad").unwrap();
    assert_eq!(bad.status_details["reason"], "no reason was given");
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_long_reason_is_cut_to_what_the_service_takes() {
    let world = World::with_jobs(&["bad"]).await;
    let work = async |_: &Job| Err("世".repeat(5_000).into());
    let running = world.run(world.settings(), work);
    within(world.core.jobs().wait_for_status("bad", Status::Failed)).await;
    let reason = &world.core.jobs().execution("bad").unwrap().status_details["reason"];
    assert_eq!(reason.chars().count(), 1024);
    assert!(reason.starts_with('…'), "its end says most");
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
