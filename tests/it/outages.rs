//! A device that has worked goes on whatever passes: a policy that somebody edits for a while, packets
//! that can't be read, a service that is busy. What has never worked ends with words.

use std::time::Duration;

use jobs_mqtt5::agent::Outcome;
use jobs_mqtt5::sample::lines;
use local_iot_core::{Event, Fault, On, Operation, Options, Times};

use crate::support::{Running, World, idle, quick_work, within};

/// A device that has done a job: its connection and each of its requests have worked.
async fn after_a_job(world: &World) -> Running {
    world.queue(&["first"]);
    let running = world.run(world.settings(), quick_work());
    world.succeeds("first").await;
    idle(&running).await;
    running
}

/// A job is done, and nothing that the client sent broke a rule.
async fn goes_on(world: &World, running: Running) {
    world.queue(&["later"]);
    world.succeeds("later").await;
    running.stop().await.unwrap();
    assert_eq!(world.core.journal().violations(), [""; 0]);
}

fn struck(world: &World, fault: &Fault) -> usize {
    let name = fault.to_string();
    let fits = |event: &Event| matches!(event, Event::Fault(struck) if *struck == name);
    world.core.journal().count(fits)
}

#[tokio::test]
async fn a_connection_that_is_refused_later_on_is_tried_again_in_the_words_that_end_the_first() {
    for code in [0x85, 0x86, 0x87] {
        let fault = Fault::Connack(code);
        let world = World::new().await;
        world.core.faults().add(fault.clone(), Times::Always);
        let mut settings = world.settings();
        settings.mqtt.client_id = "test-same".to_owned();
        let first = world.run(settings.clone(), quick_work());
        let words = first.end().await.unwrap_err().to_string();
        assert!(
            words.contains(&format!("CONNACK 0x{code:02X} (")),
            "{words}"
        );
        assert_eq!(struck(&world, &fault), 1);
        world.core.faults().clear();

        let running = world.run(settings, quick_work());
        idle(&running).await;
        world.core.faults().add(fault.clone(), Times::Count(4));
        world.core.drop_connections();
        running.err.wait_for(lines::CONNECTION_BACK).await;
        assert_eq!(struck(&world, &fault), 1 + 4);
        assert_eq!(running.err.count(&words), 1, "{}", running.err.text());
        goes_on(&world, running).await;
    }
}

#[tokio::test]
async fn a_publish_that_is_denied_later_on_is_said_and_tried_again_until_the_policy_is_back() {
    for part in ["start-next", "/update"] {
        let world = World::new().await;
        let running = after_a_job(&world).await;
        let fault = Fault::Puback(0x87, part.to_owned());
        world.core.faults().add(fault.clone(), Times::Count(9)); // more than the tries of a request
        world.queue(&["denied"]);
        running.err.wait_for("PUBACK 0x87 (not authorized).").await;
        running
            .err
            .wait_for("iot:Publish on arn:aws:iot:REGION:ACCOUNT:topic/")
            .await;
        world.succeeds("denied").await;
        assert_eq!(struck(&world, &fault), 9, "{part}");
        goes_on(&world, running).await;
    }
}

#[tokio::test]
async fn a_publish_that_was_never_allowed_ends_the_program_with_the_statement_that_is_missing() {
    let world = World::with_jobs(&["job"]).await;
    let fault = Fault::Puback(0x87, "/update".to_owned());
    world.core.faults().add(fault.clone(), Times::Always);
    let running = world.run(world.settings(), quick_work());
    let error = running.end().await.unwrap_err().explained();
    assert!(error.contains("allow iot:Publish on"), "{error}");
    assert_eq!(struck(&world, &fault), 1);
}

#[tokio::test]
async fn a_first_report_that_is_denied_on_a_later_connection_is_tried_again() {
    let world = World::new().await;
    let running = world.run(world.settings(), quick_work());
    idle(&running).await; // it has never reported on a job
    world.core.drop_connections();
    running.err.wait_for(lines::CONNECTION_BACK).await;
    let fault = Fault::Puback(0x87, "/update".to_owned());
    world.core.faults().add(fault.clone(), Times::Count(2));
    world.queue(&["denied"]);
    running.err.wait_for("PUBACK 0x87 (not authorized).").await;
    world.succeeds("denied").await;
    assert_eq!(struck(&world, &fault), 2);
    goes_on(&world, running).await;
}

#[tokio::test]
async fn a_subscription_that_is_denied_in_a_later_session_is_said_and_asked_for_again() {
    let world = World::new().await;
    let running = after_a_job(&world).await;
    let fault = Fault::Suback(0x87, "notify-next".to_owned());
    world.core.faults().add(fault.clone(), Times::Count(4));
    world.core.forget_sessions();
    world.core.drop_connections();
    running.err.wait_for("SUBACK 0x87 (not authorized).").await;
    let granted = |event: &Event| matches!(event, Event::Suback { codes } if codes.iter().all(|code| *code == 1));
    within(world.core.journal().wait_for_count(2, granted)).await;
    assert_eq!(struck(&world, &fault), 4);
    goes_on(&world, running).await;
}

/// A gateway with too many things on one connection: AWS grants 50 subscriptions, and each takes five.
#[tokio::test]
async fn a_subscription_beyond_the_quota_is_told_once_with_what_to_do_and_asked_for_with_pauses() {
    let world = World::new().await;
    let fault = Fault::Suback(0x97, "notify-next".to_owned());
    world.core.faults().add(fault.clone(), Times::Count(3));
    let running = world.run(world.settings(), quick_work());
    let granted = |event: &Event| matches!(event, Event::Suback { codes } if codes.iter().all(|code| *code == 1));
    within(world.core.journal().wait_for(granted)).await;
    idle(&running).await;
    assert_eq!(struck(&world, &fault), 3);
    let told = running.err.lines();
    let quota: Vec<_> = told.iter().filter(|line| line.contains("0x97")).collect();
    assert_eq!(quota.len(), 1, "{told:?}");
    assert!(
        quota[0].contains("at most ten things over one connection"),
        "{quota:?}"
    );
    goes_on(&world, running).await;
}

#[tokio::test]
async fn a_policy_that_is_edited_for_a_while_costs_a_device_nothing_but_the_time() {
    let world = World::new().await;
    let running = after_a_job(&world).await;
    let policy = Options::default().policy;
    let denied = policy
        .replace("iot:Publish", "iot:Nothing")
        .replace("iot:Subscribe", "iot:None");
    world.core.set_policy(denied).unwrap();
    world.core.forget_sessions();
    world.core.drop_connections();
    world.queue(&["meanwhile"]);
    running.err.wait_for("SUBACK 0x87").await;
    running.err.wait_for("PUBACK 0x87").await;
    tokio::time::sleep(Duration::from_millis(1_500)).await; // more than five tries take
    world.core.set_policy(policy).unwrap();
    world.succeeds("meanwhile").await;
    goes_on(&world, running).await;
}

#[tokio::test]
async fn a_session_taken_over_ends_the_device_however_long_it_has_worked() {
    let world = World::new().await;
    let running = after_a_job(&world).await;
    world.core.disconnect(0x8e);
    let error = running.end().await.unwrap_err().to_string();
    assert!(
        error.contains("DISCONNECT 0x8E (session taken over"),
        "{error}"
    );
}

#[tokio::test]
async fn a_packet_that_can_not_be_read_costs_its_session_and_not_the_device() {
    let world = World::new().await;
    let running = after_a_job(&world).await;
    let fault = Fault::UnreadableDelivery("notify-next".to_owned());
    world.core.faults().add(fault.clone(), Times::Once);
    let from = world.core.journal().len();
    world.queue(&["unheard"]); // its event can't be read, in each connection of this session
    let new_session = |event: &Event| {
        matches!(
            event,
            Event::Connect {
                clean_start: true,
                ..
            }
        )
    };
    within(world.core.journal().wait_for_entry(from, 1, new_session)).await;
    world.succeeds("unheard").await;
    assert_eq!(struck(&world, &fault), 1);
    let entries = world.core.journal().entries_from(from);
    let resumed = entries.iter().filter(|entry| {
        matches!(
            entry.event,
            Event::Connect {
                clean_start: false,
                ..
            }
        )
    });
    let resumed = resumed.count();
    assert!(
        (1..=4).contains(&resumed),
        "{resumed} connections with the old session"
    );
    goes_on(&world, running).await;
}

#[tokio::test]
async fn a_loop_of_ones_own_waits_for_a_service_that_is_busy_and_a_policy_that_is_edited() {
    let throttled = Fault::Reject(
        On::Only(Operation::StartNext),
        "RequestThrottled".to_owned(),
    );
    let denied = Fault::Puback(0x87, "start-next".to_owned());
    let lost = Fault::LoseReply(On::Only(Operation::StartNext));
    for fault in [throttled, denied, lost] {
        let world = World::with_jobs(&["job"]).await;
        let mut device = world.device(|settings| {
            settings.jobs.reply_timeout = Duration::from_millis(100);
        });
        let first = device.next().await;
        within(first.finish(Outcome::succeeded())).await.unwrap();
        world.core.faults().add(fault.clone(), Times::Count(12)); // more than twice its tries
        world.queue(&["next"]);
        let next = device.next().await;
        assert_eq!(next.id().as_str(), "next");
        assert_eq!(struck(&world, &fault), 12);
    }
}

#[tokio::test]
async fn an_idle_device_pings_once_per_keep_alive_and_sends_nothing_else() {
    let world = World::set(|options| options.limits.server_keep_alive = Some(1)).await;
    let running = after_a_job(&world).await;
    let ping = |event: &Event| *event == Event::Pingreq;
    within(world.core.journal().wait_for(ping)).await;
    let from = world.core.journal().len();
    within(world.core.journal().wait_for_entry(from, 3, ping)).await;
    let entries = world.core.journal().entries_from(from);
    assert!(
        entries.iter().all(|entry| ping(&entry.event)),
        "{entries:?}"
    );
    let apart = entries[2].at - entries[0].at;
    assert!(
        apart >= Duration::from_millis(1_900),
        "two keep-alives are {apart:?}"
    );
    running.stop().await.unwrap();
}
