//! The limits of the server are kept, and a job with a report that is too large for them fails alone.

use jobs_mqtt5::agent::Job;
use jobs_mqtt5::sample::lines;
use local_iot_core::{Event, Fault, Limits, Status, Times};

use super::{connects, start, still_works};
use crate::support::{World, idle, within};

#[tokio::test]
async fn a_small_receive_maximum_and_packet_size_and_keep_alive_are_honoured() {
    let world = World::set(|options| {
        options.limits.receive_maximum = 1;
        options.limits.maximum_packet_size = 512;
        options.limits.server_keep_alive = Some(1);
    })
    .await;
    let jobs: Vec<String> = (0..12).map(|n| format!("job-{n}")).collect();
    world.queue(&jobs.iter().map(String::as_str).collect::<Vec<_>>());
    let running = start(&world);
    idle(&running).await;
    within(
        world
            .core
            .journal()
            .wait_for_count(2, |event| *event == Event::Pingreq),
    )
    .await;
    assert_eq!(connects(&world), 1);
    // A packet id must not be in use twice (MQTT5, section 2.2.1), and here there is only one.
    let events = world.core.journal().events();
    let first = |fits: fn(&Event) -> bool| events.iter().position(fits).unwrap();
    let published = first(|event| matches!(event, Event::Publish { .. }));
    assert!(first(|event| matches!(event, Event::Suback { .. })) < published);
    still_works(&world, running).await;
}

#[tokio::test]
async fn a_reason_that_is_too_large_for_the_server_is_left_out_and_the_job_failed() {
    let world = World::set(|options| options.limits.maximum_packet_size = 512).await;
    world.queue(&["wordy", "next"]);
    let work = async |_: &Job| Err("x".repeat(1000).into());
    let running = world.run(world.settings(), work);
    within(world.core.jobs().wait_for_status("next", Status::Failed)).await;
    let wordy = world.core.jobs().execution("wordy").unwrap();
    assert_eq!(wordy.status_details["reason"], "see the device's own log");
    assert_eq!(connects(&world), 1);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_packet_that_is_too_large_since_the_session_was_resumed_does_not_end_every_connection() {
    let world = World::new().await;
    world.queue(&["wordy"]);
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let held = std::sync::Arc::clone(&gate);
    let work = async move |_: &Job| {
        held.acquire().await?.forget();
        Err("x".repeat(1000).into())
    };
    let running = world.run(world.settings(), work);
    running.out.wait_for("Job wordy: ").await;
    running.out.wait_for(lines::WORK_STARTED).await;
    // The long report is sent, not acknowledged, and would be sent again on the next connection.
    world.core.faults().add(Fault::NoPuback, Times::Once);
    world.core.set_limits(Limits {
        maximum_packet_size: 512,
        ..Limits::default()
    });
    gate.add_permits(2);
    let again = |event: &Event| {
        matches!(
            event,
            Event::Connack {
                session_present: true,
                ..
            }
        )
    };
    within(world.core.journal().wait_for(again)).await;
    world.queue(&["next"]);
    within(world.core.jobs().wait_for_status("next", Status::Failed)).await;
    assert!(connects(&world) <= 4, "{}", running.err.text());
    running.stop().await.unwrap();
}
