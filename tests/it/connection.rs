//! What a bad network and a bad server do to the connection. In the order of this list:
//!
//! 1. no PINGRESP, no SUBACK, no PUBACK
//! 2. reconnect with and without the session
//! 3. DISCONNECT from the server
//!
//! How a connection comes to be is in `connection/tried_again.rs`, and the limits of the server are in
//! `connection/limits.rs`. The schedule of the waits has its tests in `src/mqtt/backoff.rs`; permanent
//! causes theirs in `permanent_causes.rs`.

use std::time::Duration;

use jobs_mqtt5::sample::lines;
use local_iot_core::{Event, Fault, On, Operation, Times};

use crate::support::{Running, World, idle, quick_work, within};

mod limits;
mod tried_again;

fn is_connect(event: &Event) -> bool {
    matches!(event, Event::Connect { .. })
}

fn subscribes(world: &World) -> usize {
    world
        .core
        .journal()
        .count(|event| matches!(event, Event::Subscribe { .. }))
}

fn connects(world: &World) -> usize {
    world.core.journal().count(is_connect)
}

fn start(world: &World) -> Running {
    world.run(world.settings(), quick_work())
}

/// The job gets done, whatever happened before, and nothing that the client sent broke a rule.
async fn still_works(world: &World, running: Running) {
    world.queue(&["after-all"]);
    world.succeeds("after-all").await;
    running.stop().await.unwrap();
    assert_eq!(world.core.journal().violations(), [""; 0]);
}

// 1. No PINGRESP, no SUBACK, no PUBACK

#[tokio::test]
async fn without_pingresp_the_connection_is_given_up_within_one_and_a_half_keep_alives() {
    let keep_alive = 4;
    let world = World::set(|options| options.limits.server_keep_alive = Some(keep_alive)).await;
    let running = start(&world);
    idle(&running).await;
    world.core.faults().add(Fault::NoPingresp, Times::Once);
    let journal = world.core.journal();
    let pinged = |event: &Event| *event == Event::Pingreq;
    let unanswered = within(journal.wait_for_entry(0, 1, pinged)).await.at;
    let again = within(journal.wait_for_entry(0, 2, is_connect)).await.at;
    // After half a keep-alive, and the wait to connect again. Well before a second PINGREQ is due:
    // without a time limit of ours, it is only then that the first one is missed.
    let took = again - unanswered;
    let half = Duration::from_secs(keep_alive.into()) / 2;
    assert!(took >= half && took < half * 2, "{took:?}");
    running.err.wait_for(lines::CONNECTION_BACK).await;
    still_works(&world, running).await;
}

#[tokio::test]
async fn without_suback_the_subscription_is_asked_for_again_on_a_new_connection() {
    let world = World::new().await;
    world.core.faults().add(Fault::NoSuback, Times::Count(2));
    let running = start(&world);
    within(
        world
            .core
            .journal()
            .wait_for(|event| matches!(event, Event::Suback { .. })),
    )
    .await;
    assert_eq!(subscribes(&world), 3);
    still_works(&world, running).await;
}

#[tokio::test]
async fn without_puback_a_publish_is_sent_again_only_on_a_new_connection_and_marked_as_duplicate() {
    let world = World::with_jobs(&["job"]).await;
    world.core.faults().add(Fault::NoPuback, Times::Count(3));
    let running = start(&world);
    let again = |event: &Event| matches!(event, Event::Publish { dup: true, .. });
    within(world.core.journal().wait_for(again)).await;
    assert_eq!(world.core.jobs().execution("job").unwrap().succeeded, 1);
    still_works(&world, running).await;
}

// 2. Reconnect with and without the session

#[tokio::test]
async fn a_resumed_session_needs_no_subscribe_and_what_waited_in_it_is_taken() {
    let world = World::new().await;
    let running = start(&world);
    idle(&running).await;
    world.cut_off(&running).await;
    world.queue(&["meanwhile"]); // its event waits in the session
    world.core.resume_listening().await.unwrap();
    world.succeeds("meanwhile").await;
    running
        .out
        .wait_for("Received Next Job Execution Changed event. job_id:meanwhile")
        .await;
    assert_eq!(subscribes(&world), 1);
    let resumed = Event::Connack {
        code: 0,
        session_present: true,
    };
    assert_eq!(world.core.journal().count(|event| *event == resumed), 1);
    still_works(&world, running).await;
}

#[tokio::test]
async fn a_lost_session_is_subscribed_anew_and_the_list_is_looked_at_again() {
    let world = World::new().await;
    let running = start(&world);
    idle(&running).await;
    world.cut_off(&running).await;
    world.core.forget_sessions();
    world.queue(&["missed"]); // nobody keeps its event
    world.core.resume_listening().await.unwrap();
    world.succeeds("missed").await;
    running.out.wait_for("missed @ 20").await;
    assert_eq!(subscribes(&world), 2);
    still_works(&world, running).await;
}

#[tokio::test]
async fn a_request_whose_session_is_lost_is_asked_again() {
    for operation in [
        Operation::GetPending,
        Operation::Describe,
        Operation::StartNext,
        Operation::Update,
    ] {
        let world = World::with_jobs(&["job"]).await;
        world
            .core
            .faults()
            .add(Fault::DropAfterLost(On::Only(operation)), Times::Once);
        let running = start(&world);
        world.succeeds("job").await;
        idle(&running).await;
        assert_eq!(running.out.count(lines::WORK_STARTED), 1, "{operation}");
        assert_eq!(world.core.jobs().execution("job").unwrap().succeeded, 1);
        still_works(&world, running).await;
    }
}

// 3. DISCONNECT from the server

#[tokio::test]
async fn a_server_that_shuts_down_is_connected_to_again() {
    for code in [0x8b, 0x89, 0x97, 0x98, 0x80] {
        let world = World::new().await;
        let running = start(&world);
        idle(&running).await;
        world.core.disconnect(code);
        running
            .err
            .wait_for(&format!("ended the connection: DISCONNECT 0x{code:02X} ("))
            .await;
        running.err.wait_for(lines::CONNECTION_BACK).await;
        still_works(&world, running).await;
    }
}

#[tokio::test]
async fn a_session_taken_over_ends_the_program_without_a_fight() {
    let world = World::new().await;
    let first = world.start(&["--client_id", "test-twin"]);
    first.out.wait_for(lines::NOTHING_TO_START).await;
    let second = world.start(&["--client_id", "test-twin"]);
    let ended = first.end().await;
    assert_eq!(
        ended.err,
        format!(
            "localhost:{} ended the connection: DISCONNECT 0x8E (session taken over; SessionTakenOver). Another client \
             has connected with the client ID 'test-twin'. Every device needs one of its own: check \
             --client_id.\n",
            world.core.port()
        )
    );
    assert_eq!(ended.code, Some(1));
    second.out.wait_for(lines::NOTHING_TO_START).await;
    second.kill().await;
    assert_eq!(connects(&world), 2, "no fight");
}

#[tokio::test]
async fn a_disconnect_that_says_not_authorized_names_the_policy_and_is_retried() {
    let world = World::new().await;
    let mut settings = world.settings();
    settings.mqtt.client_id = "test-x".to_owned();
    let running = world.run(settings, quick_work());
    idle(&running).await;
    world.core.disconnect(0x87);
    running.err.wait_for(lines::CONNECTION_BACK).await;
    assert_eq!(
        running.err.text(),
        format!(
            "localhost:{} ended the connection: DISCONNECT 0x87 (not authorized; NotAuthorized). The policy of your \
             certificate does not allow something this program did. Check that it allows all that this \
             device does, for this thing and for the client ID 'test-x', and that the certificate is \
             still active. Trying again, with growing pauses.\nThe connection is back.\n",
            world.core.port()
        )
    );
    still_works(&world, running).await;
}
