//! Two copies of the program on one thing do each job twice. The service can't forbid it; the program
//! that sees it says so, and never says so of itself.

use std::time::Duration;

use jobs_mqtt5::agent::{Event as Heard, Job, Outcome, ReportResult};
use jobs_mqtt5::mqtt::Events;
use jobs_mqtt5::sample::lines;
use local_iot_core::{Fault, On, Operation, Times};

use crate::support::{World, detail, held_work, idle, within};

/// The event that another one works on the job, if it comes in half a second.
async fn another_works(events: &mut Events<Heard>) -> bool {
    let heard = async {
        while let Some(event) = events.next().await {
            if matches!(event, Heard::Conflict { .. }) {
                return true;
            }
        }
        false
    };
    tokio::time::timeout(Duration::from_millis(500), heard)
        .await
        .unwrap_or(false)
}

#[tokio::test]
async fn two_copies_on_one_thing_are_told_whoever_is_second() {
    for seen_by in ["the event", "the report", "the progress"] {
        let world = World::with_jobs(&["job"]).await;
        let (first, _one) = world.running_job_as("test-first", |_| {}).await;
        let (second, other) = world.running_job_as("test-second", |_| {}).await;
        let mut events = other.agent.events();
        match seen_by {
            "the event" => {
                within(first.finish(Outcome::succeeded())).await.unwrap();
                within(second.interrupted()).await;
            }
            "the report" => {
                let lost = Fault::LoseReply(On::Only(Operation::NotifyNext));
                world.core.faults().add(lost, Times::Always);
                within(first.finish(Outcome::succeeded())).await.unwrap();
                within(second.finish(Outcome::succeeded())).await.unwrap();
            }
            _ => {
                within(first.checkpoint(detail("step", "1"))).await.unwrap();
                within(second.checkpoint(detail("step", "1")))
                    .await
                    .unwrap();
            }
        }
        assert!(another_works(&mut events).await, "seen by {seen_by}");
    }
}

#[tokio::test]
async fn the_second_copy_says_so_in_one_sentence() {
    let world = World::with_jobs(&["job"]).await;
    let (work, gate) = held_work();
    let first = world.run(world.settings(), work.clone());
    first.out.wait_for(lines::WORK_STARTED).await;
    let mut settings = world.settings();
    settings.mqtt.client_id = "test-second".to_owned();
    let second = world.run(settings, async |job: &Job| {
        job.interrupted().await;
        Ok(Outcome::succeeded())
    });
    second.out.wait_for(lines::WORK_STARTED).await;
    gate.add_permits(1);
    second
        .err
        .wait_for(
            "Somebody else has reported on job_id:job while this program worked on it: most likely a \
             second program does the jobs of this thing, and each job is done twice. Stop one.",
        )
        .await;
    idle(&second).await;
    assert_eq!(second.err.count("Somebody else"), 1);
    assert_eq!(first.err.text(), "");
    first.stop().await.unwrap();
    second.stop().await.unwrap();
}

#[tokio::test]
async fn one_copy_alone_is_not_taken_for_two_whatever_is_lost_or_comes_twice() {
    for faults in [
        vec![Fault::DoubleDeliveries],
        vec![Fault::DoubleReply(On::Any)],
        vec![Fault::LoseReply(On::Progress)],
        vec![Fault::LoseReply(On::Outcome)],
        vec![
            Fault::DropAfter(On::Progress),
            Fault::LoseReply(On::Progress),
        ],
        vec![Fault::DropAfter(On::Outcome), Fault::LoseReply(On::Outcome)],
        vec![Fault::NoPuback, Fault::LoseReply(On::Progress)],
    ] {
        let world = World::with_jobs(&["job"]).await;
        let (job, device) = world.running_job().await;
        let mut events = device.agent.events();
        for fault in &faults {
            world.core.faults().add(fault.clone(), Times::Once);
        }
        within(job.checkpoint(detail("step", "1"))).await.unwrap();
        let ended = within(job.finish(Outcome::succeeded())).await;
        assert_eq!(ended, Ok(ReportResult::Accepted), "{faults:?}");
        assert_eq!(world.struck(), faults.len(), "{faults:?}");
        assert!(!another_works(&mut events).await, "{faults:?}");
        assert_eq!(world.core.jobs().execution("job").unwrap().succeeded, 1);
    }
}
