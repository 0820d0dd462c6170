//! No answer, a refusal that may pass, a connection that is dropped: it is told once, and tried again with
//! growing waits.

use std::time::{Duration, Instant};

use jobs_mqtt5::sample::lines;
use local_iot_core::{Event, Fault, Times};

use super::{connects, is_connect, start, still_works};
use crate::support::{World, idle, quick_work, within};

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
