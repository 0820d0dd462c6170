//! What a bad network and a bad server do to the connection. In the order of this list:
//!
//! 1. no answer, a refusal that may pass, a connection that is dropped: told once, tried again
//! 2. no PINGRESP, no SUBACK, no PUBACK
//! 3. reconnect with and without the session
//! 4. DISCONNECT from the server
//! 5. limits of the server
//!
//! The schedule of the waits has its tests in `src/mqtt/backoff.rs`; permanent causes theirs in
//! `permanent_causes.rs`.

use std::time::{Duration, Instant};

use jobs_mqtt5::agent::Job;
use jobs_mqtt5::sample::lines;
use local_iot_core::{Event, Fault, Limits, On, Operation, Status, Times};

use crate::support::{Running, World, idle, quick_work, within};

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

// 1. No answer, a refusal that may pass, a connection that is dropped

#[tokio::test]
async fn what_may_pass_is_told_once_in_plain_words_and_tried_again_until_it_has_passed() {
    for (fault, words) in [
        (
            Fault::NoTlsAnswer,
            "did not answer within 2 seconds (no TLS handshake). Check --endpoint,",
        ),
        (
            Fault::NoConnack,
            "did not answer within 2 seconds (no CONNACK). Check --endpoint,",
        ),
        (
            Fault::Connack(0x88),
            "CONNACK 0x88 (server unavailable). The service can't take it just now.",
        ),
        (
            Fault::Connack(0x89),
            "CONNACK 0x89 (server busy). The service can't take it just now.",
        ),
        (
            Fault::Connack(0x97),
            "CONNACK 0x97 (quota exceeded). The account has reached a limit on",
        ),
        (
            Fault::Connack(0x9f),
            "CONNACK 0x9F (connection rate exceeded). The account has reached",
        ),
        (
            Fault::DropAfterAccept,
            "closed the connection before it answered CONNECT.",
        ),
        (
            Fault::DropAfterTls,
            "closed the connection before it answered CONNECT.",
        ),
        (
            Fault::DropAfterConnack,
            "closed the connection. If this happens again and again, check that no",
        ),
    ] {
        let world = World::new().await;
        let slow = matches!(fault, Fault::NoTlsAnswer | Fault::NoConnack);
        world
            .core
            .faults()
            .add(fault.clone(), Times::Count(if slow { 1 } else { 5 }));
        let running = start(&world);
        running.err.wait_for(words).await;
        idle(&running).await;
        let told = running.err.lines();
        let causes = told
            .iter()
            .filter(|line| line.ends_with(lines::TRYING_AGAIN));
        if fault != Fault::DropAfterConnack {
            assert_eq!(causes.count(), 1, "{fault}: {told:?}"); // told once, not for each try
        }
        still_works(&world, running).await;
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_waited_for() {
    let world = World::new().await;
    world.core.stop_listening().await;
    let running = start(&world);
    running.err.wait_for("can't be reached: ").await;
    world.core.resume_listening().await.unwrap();
    idle(&running).await;
    assert_eq!(running.err.count(lines::TRYING_AGAIN), 1);
    still_works(&world, running).await;
}

#[tokio::test]
async fn a_name_that_is_not_known_for_a_while_is_asked_for_again() {
    let world = World::new().await;
    let program = world.start(&["--endpoint", "no-such-host.invalid"]);
    program.err.wait_for("no-such-host.invalid:").await;
    let words = program.err.text();
    assert!(
        words.contains("can't be reached: ") && words.contains("Check --endpoint"),
        "{words}"
    );
    assert!(words.trim_end().ends_with(lines::TRYING_AGAIN), "{words}");
    program.kill().await;
}

#[tokio::test]
async fn in_ci_mode_it_is_given_up_after_five_tries() {
    let world = World::new().await;
    world.core.faults().add(Fault::Connack(0x88), Times::Always);
    let mut settings = world.settings();
    settings.ci = true;
    settings.mqtt.max_tries = Some(5); // what --is_ci sets; permanent_causes.rs sees it in the program
    let error = world
        .run(settings, quick_work())
        .end()
        .await
        .unwrap_err()
        .explained();
    assert!(
        error.ends_with(", after 5 tries. The service can't take it just now."),
        "{error}"
    );
    assert_eq!(connects(&world), 5);
}

#[tokio::test]
async fn waits_grow_while_connections_are_accepted_and_dropped_and_no_try_is_a_busy_loop() {
    let world = World::new().await;
    world
        .core
        .faults()
        .add(Fault::DropAfterConnack, Times::Always);
    let mut settings = world.settings();
    settings.mqtt.backoff = settings.mqtt.backoff.seeded(7);
    let mut schedule = settings.mqtt.backoff.clone();
    let running = world.run(settings, quick_work());
    within(world.core.journal().wait_for_count(7, is_connect)).await;
    let entries = world.core.journal().entries();
    let connects: Vec<Instant> = entries
        .iter()
        .filter(|entry| is_connect(&entry.event))
        .map(|entry| entry.at)
        .collect();
    for pair in connects.windows(2) {
        let wait = schedule.next_wait(); // an accepted connection alone does not reset the schedule
        assert!(
            pair[1] - pair[0] >= wait,
            "{:?} for {wait:?}",
            pair[1] - pair[0]
        );
    }
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_connection_that_proved_stable_brings_the_waits_back_to_the_base() {
    let world = World::new().await;
    let mut settings = world.settings();
    settings.mqtt.stable_after = Duration::ZERO;
    settings.mqtt.backoff = jobs_mqtt5::mqtt::Backoff::new(
        Duration::from_millis(1),
        Duration::from_secs(3600), // reached after twenty failures in a row
    );
    let running = world.run(settings, quick_work());
    idle(&running).await;
    for reconnect in 2..30 {
        world.core.drop_connections();
        within(world.core.journal().wait_for_count(reconnect, |event| {
            matches!(event, Event::Connack { code: 0, .. })
        }))
        .await;
    }
    still_works(&world, running).await;
}

// 2. No PINGRESP, no SUBACK, no PUBACK

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

// 3. Reconnect with and without the session

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

// 4. DISCONNECT from the server

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

// 5. Limits of the server

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
