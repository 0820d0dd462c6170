//! A server that breaks MQTT's rules costs its connection, never the device: DISCONNECT with the reason
//! that MQTT5 names, the next try after a pause, and after a few in a row a new session.

use std::time::Duration;

use jobs_mqtt5::mqtt::{
    self, Client, ConnectionErrorKind, Event, Publish, PublishError, ReasonCode,
};
use jobs_mqtt5::sample::lines;
use local_iot_core::{Breach, Event as Seen, Fault, Limits, Times, breaches};
use tokio::time::{sleep, timeout};

use crate::support::{LIMIT, World, idle, interruption, next_message, quick_work, within};

fn connects(world: &World) -> Vec<Seen> {
    let events = world.core.journal().events().into_iter();
    let connect = |event: &Seen| matches!(event, Seen::Connect { .. });
    events.filter(connect).collect()
}

fn goodbyes(world: &World) -> Vec<u8> {
    let events = world.core.journal().events().into_iter();
    let by_client = events.filter_map(|event| match event {
        Seen::Disconnect {
            by_client: true,
            reason,
        } => Some(reason),
        _ => None,
    });
    by_client.collect()
}

/// Publishes until it has worked. (What a broken session had in flight is lost, and told so.)
async fn publishes(mqtt: &Client) {
    publishes_within(LIMIT, mqtt).await;
}

async fn publishes_within(limit: Duration, mqtt: &Client) {
    loop {
        let published = timeout(limit, mqtt.publish(Publish::new("a", "x"))).await;
        match published.expect("the server has acknowledged a publish") {
            Ok(()) => return,
            Err(PublishError::SessionLost) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// The reason that our DISCONNECT names (MQTT5, sections 3.14.2.1 and 4.13). `None`: there is nothing
/// to object to, the packet has no effect.
fn reason(breach: Breach) -> Option<u8> {
    const MALFORMED: u8 = 0x81;
    const PROTOCOL_ERROR: u8 = 0x82;
    Some(match breach {
        // An acknowledgement of what we may have given up; and what says nothing.
        Breach::ForeignPuback | Breach::ForeignSuback | Breach::ForeignUnsuback => return None,
        Breach::Flood => return None,
        Breach::BadFlags | Breach::TooShort | Breach::EndlessLength => MALFORMED,
        Breach::WildcardTopic | Breach::NoUtf8 | Breach::PacketIdZero | Breach::Qos3 => MALFORMED,
        Breach::UnknownProperty | Breach::UnknownReason => MALFORMED,
        Breach::TopicAlias | Breach::UnknownAlias => 0x94,
        Breach::Oversized => 0x95,
        Breach::Qos2 => 0x9b,
        _ => PROTOCOL_ERROR,
    })
}

#[tokio::test]
async fn each_breach_costs_the_connection_and_no_more() {
    for (name, breach, _) in breaches() {
        let world = World::open().await;
        let mut options = world.settings().mqtt;
        options.ack_timeout = LIMIT; // a flood on a busy machine is not to be taken for silence
        let (mqtt, mut events) = mqtt::connect(options);
        let mut inbox = mqtt.subscribe(["in"]);
        within(inbox.granted().wait()).await.unwrap();
        publishes(&mqtt).await;
        world.core.faults().add(Fault::Breach(*breach), Times::Once);
        // Four million packets are two seconds of processor time in a debug build, of which a busy
        // machine may give a fifteenth.
        let limit = match *breach {
            Breach::Flood => LIMIT * 4,
            _ => LIMIT,
        };
        publishes_within(limit, &mqtt).await;
        publishes_within(limit, &mqtt).await; // the breach may come behind the first PUBACK
        world.core.publish("in", "still here").unwrap();
        assert_eq!(next_message(&mut inbox).await.1, "still here", "{name}");
        match reason(*breach) {
            Some(_) if *breach == Breach::ClientsReason => {
                interruption(&mut events).await; // it is understood as a DISCONNECT
            }
            Some(reason) => {
                let error = interruption(&mut events).await;
                assert_eq!(
                    error.kind(),
                    ConnectionErrorKind::Violation,
                    "{name}: {error}"
                );
                let code = error.reason_code().unwrap().0;
                let both_fit = [0x81, 0x82]; // MQTT5 itself calls some of them now this, now that
                assert!(
                    code == reason || both_fit.contains(&code) && both_fit.contains(&reason),
                    "{name}: {code:#x} for {reason:#x}"
                );
                assert_eq!(goodbyes(&world), [code], "{name}");
                assert_eq!(connects(&world).len(), 2, "{name}");
            }
            None => assert_eq!(connects(&world).len(), 1, "{name}"),
        }
        assert_eq!(world.core.journal().violations(), [""; 0], "{name}");
    }
}

/// PUBREC for a QoS 1 publish: in the resumed session it is sent again, and answered alike.
#[tokio::test]
async fn a_session_in_which_the_server_keeps_breaking_the_rules_is_given_up() {
    let world = World::open().await;
    let (mqtt, mut events) = world.connect();
    publishes(&mqtt).await;
    let pubrec = Fault::Breach(Breach::Pubrec);
    world.core.faults().add(pubrec.clone(), Times::Always);
    let stuck = within(mqtt.publish(Publish::new("a", "x"))).await;
    assert_eq!(stuck, Err(PublishError::SessionLost));
    let clean = |event: &Seen| {
        matches!(
            event,
            Seen::Connect {
                clean_start: true,
                ..
            }
        )
    };
    within(world.core.journal().wait_for_count(2, clean)).await;
    let tries = connects(&world).len();
    assert!((3..8).contains(&tries), "{tries} tries");
    assert_eq!(
        interruption(&mut events).await.kind(),
        ConnectionErrorKind::Violation
    );
    let fault = Seen::Fault(pubrec.to_string());
    assert!(world.core.journal().count(|event| *event == fault) > 0);
    world.core.faults().clear();
    publishes(&mqtt).await;
}

#[tokio::test]
async fn waits_grow_while_the_server_breaks_the_rules() {
    let world = World::open().await;
    let mut options = world.settings().mqtt;
    let (base, cap) = (Duration::from_millis(50), Duration::from_secs(60));
    options.backoff = mqtt::Backoff::new(base, cap).seeded(3);
    let (mqtt, mut events) = mqtt::connect(options);
    publishes(&mqtt).await;
    world
        .core
        .faults()
        .add(Fault::Breach(Breach::Auth), Times::Always);
    let mut waits = Vec::new();
    while waits.len() < 6 {
        let publishing = async {
            loop {
                let _ = mqtt.publish(Publish::new("a", "x")).await;
            }
        };
        tokio::select! {
            () = publishing => {}
            event = within(events.next()) => if let Some(Event::Interrupted { wait, .. }) = event {
                waits.push(wait);
            }
        }
    }
    let mut schedule = mqtt::Backoff::new(base, cap).seeded(3);
    let expected: Vec<_> = waits.iter().map(|_| schedule.next_wait()).collect();
    assert_eq!(waits, expected);
}

#[tokio::test]
async fn what_is_no_tls_at_the_first_connect_may_be_anybody_on_the_way() {
    let world = World::with_jobs(&["job"]).await;
    world.core.faults().add(Fault::NotTls, Times::Count(2));
    let program = world.start(&[]);
    world.succeeds("job").await;
    let words = program.err.text();
    assert!(words.contains(lines::TRYING_AGAIN), "{words}");
    program.kill().await;
}

#[tokio::test]
async fn a_receive_maximum_of_0_is_not_accepted() {
    let world = World::open().await;
    world
        .core
        .faults()
        .add(Fault::ReceiveMaximumZero, Times::Count(2));
    let (mqtt, mut events) = world.connect();
    let error = interruption(&mut events).await;
    assert_eq!(error.kind(), ConnectionErrorKind::Violation, "{error}");
    assert_eq!(error.reason_code(), Some(ReasonCode(0x82)));
    publishes(&mqtt).await;
    assert_eq!(connects(&world).len(), 3);
}

#[tokio::test]
async fn a_session_that_is_claimed_on_a_clean_start_hides_no_loss() {
    let world = World::open().await;
    world.core.faults().add(Fault::ClaimSession, Times::Once);
    let (mqtt, mut events) = world.connect();
    let mut inbox = mqtt.subscribe(["in"]);
    let error = interruption(&mut events).await;
    assert_eq!(error.kind(), ConnectionErrorKind::Violation, "{error}");
    within(inbox.granted().wait()).await.unwrap();
    publishes(&mqtt).await;
    let session = mqtt.session();
    world.core.forget_sessions();
    world.core.drop_connections();
    within(mqtt.session_after(session)).await.unwrap();
    let granted = |event: &Seen| matches!(event, Seen::Suback { .. });
    within(world.core.journal().wait_for_count(2, granted)).await;
    world.core.publish("in", "heard").unwrap();
    assert_eq!(next_message(&mut inbox).await.1, "heard");
}

#[tokio::test]
async fn a_keep_alive_of_the_server_holds_for_its_connection_only() {
    let world = World::open().await;
    let with_keep_alive = |seconds| {
        world.core.set_limits(Limits {
            server_keep_alive: seconds,
            ..Limits::default()
        });
    };
    with_keep_alive(Some(1));
    let (mqtt, _) = world.connect();
    within(
        world
            .core
            .journal()
            .wait_for(|event| *event == Seen::Pingreq),
    )
    .await;
    for (seconds, connection) in [(Some(7), 2), (None, 3), (Some(0), 4)] {
        with_keep_alive(seconds);
        world.core.drop_connections();
        while mqtt.connection() < connection {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        publishes(&mqtt).await;
    }
    let asked_for: Vec<_> = connects(&world)
        .into_iter()
        .map(|event| match event {
            Seen::Connect { keep_alive, .. } => keep_alive,
            _ => unreachable!(),
        })
        .collect();
    let ours = u16::try_from(world.settings().mqtt.keep_alive.as_secs()).unwrap();
    assert_eq!(asked_for, [ours; 4]);
}

#[tokio::test]
async fn a_device_that_has_worked_does_its_next_job_after_a_second_connack() {
    let world = World::with_jobs(&["first"]).await;
    let running = world.run(world.settings(), quick_work());
    world.succeeds("first").await;
    idle(&running).await;
    let breach = Fault::Breach(Breach::SecondConnack);
    world.core.faults().add(breach, Times::Once);
    world.queue(&["second"]);
    world.succeeds("second").await;
    running.err.wait_for("second CONNACK").await;
    running.stop().await.unwrap();
    assert_eq!(world.core.journal().violations(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_is_broken_once_a_day_costs_no_session() {
    let world = World::open().await;
    let mut options = world.settings().mqtt;
    options.stable_after = Duration::from_secs(60);
    options.transport = world.tunnel(Duration::ZERO);
    let (mqtt, mut events) = mqtt::connect(options);
    for day in 0..5 {
        publishes(&mqtt).await;
        sleep(Duration::from_secs(86_400)).await;
        let breach = Fault::Breach(Breach::Qos2);
        world.core.faults().add(breach, Times::Once);
        publishes(&mqtt).await;
        let error = interruption(&mut events).await;
        assert_eq!(error.kind(), ConnectionErrorKind::Violation, "{error}");
        assert_eq!(mqtt.session(), 1, "day {day}");
    }
}
