//! The parts of a device on one connection: what one of them leaves undone, or leaves, concerns no other.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jobs_mqtt5::mqtt::{self, NotGranted, Publish, Subscription};
use local_iot_core::{Event, Fault, Limits, Times};

use crate::support::{THING, World, next_message, within};

/// Whether nothing comes for a while.
async fn is_quiet(subscription: &mut Subscription) -> bool {
    let next = tokio::time::timeout(Duration::from_millis(200), subscription.next());
    next.await.is_err()
}

#[tokio::test]
async fn a_subscriber_that_does_not_read_costs_itself_messages_only_and_the_log_says_so() {
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);
    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let log = Log::default();
    let shown = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(move || shown.clone())
        .finish();
    let _here = tracing::subscriber::set_default(subscriber); // tests have a thread each

    let world = World::open().await;
    let (mqtt, _unread) = world.connect(); // nobody listens to the events either
    let mut lazy = mqtt.subscribe(["a"]);
    let mut keen = mqtt.subscribe(["a"]);
    within(keen.granted().wait()).await.unwrap();
    for nth in 0..300 {
        world.core.publish("a", nth.to_string()).unwrap();
    }
    for nth in 0..300 {
        assert_eq!(next_message(&mut keen).await.1, nth.to_string());
    }
    within(mqtt.publish(Publish::new("b", "the connection is well")))
        .await
        .unwrap();
    for nth in 0..64 {
        assert_eq!(next_message(&mut lazy).await.1, nth.to_string());
    }
    assert!(is_quiet(&mut lazy).await);
    world.core.publish("a", "now it reads").unwrap();
    assert_eq!(next_message(&mut lazy).await.1, "now it reads");
    assert_eq!(world.core.journal().violations(), [""; 0]);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines = log.matches("a subscriber of a does not read").count();
    assert!(
        (1..=10).contains(&lines),
        "{lines} lines for 236 messages:\n{log}"
    );
}

#[tokio::test]
async fn nobody_needs_to_listen_to_the_events_of_the_connection() {
    let world = World::open().await;
    let (mqtt, unread) = world.connect();
    let client = world.jobs_of(THING, &mqtt);
    for _ in 0..40 {
        within(client.get_pending()).await.unwrap(); // more than the listener has room for
        world.core.drop_connections();
    }
    within(client.get_pending()).await.unwrap();
    drop(unread);
    within(client.get_pending()).await.unwrap();
}

#[tokio::test]
async fn dropping_one_of_several_clients_ends_nothing_and_dropping_the_last_the_connection() {
    let world = World::open().await;
    let (mqtt, mut events) = world.connect();
    let client = world.jobs_of(THING, &mqtt);
    let mut subscription = mqtt.subscribe(["a"]);
    within(subscription.granted().wait()).await.unwrap();
    drop(client);
    within(mqtt.publish(Publish::new("a", "still here")))
        .await
        .unwrap();
    assert_eq!(next_message(&mut subscription).await.1, "still here");
    drop(mqtt);
    world.core.publish("a", "still subscribed").unwrap();
    assert_eq!(next_message(&mut subscription).await.1, "still subscribed");
    drop(subscription);
    let ended = async {
        loop {
            match events.next().await {
                Some(mqtt::Event::Ended(how)) => return how,
                Some(_) => {}
                None => panic!("without a word"),
            }
        }
    };
    within(ended).await.unwrap();
    assert!(within(events.next()).await.is_none());
    let farewell = |event: &Event| {
        matches!(
            event,
            Event::Disconnect {
                by_client: true,
                reason: 0
            }
        )
    };
    within(world.core.journal().wait_for(farewell)).await;
}

#[tokio::test]
async fn a_subscription_that_is_dropped_is_unsubscribed_unless_somebody_else_has_its_filter() {
    let world = World::open().await;
    let (mqtt, _) = world.connect();
    let first = mqtt.subscribe(["a", "b"]);
    let mut second = mqtt.subscribe(["a"]);
    within(first.granted().wait()).await.unwrap();
    drop(first);
    let unsubscribe = |event: &Event| matches!(event, Event::Unsubscribe { .. });
    let gone = within(world.core.journal().wait_for(unsubscribe)).await;
    assert_eq!(
        gone,
        Event::Unsubscribe {
            filters: vec!["b".to_owned()]
        }
    );
    within(mqtt.publish(Publish::new("a", "for the second")))
        .await
        .unwrap();
    assert_eq!(next_message(&mut second).await.1, "for the second");
    let mut again = mqtt.subscribe(["b"]);
    within(again.granted().wait()).await.unwrap();
    within(mqtt.publish(Publish::new("b", "once more")))
        .await
        .unwrap();
    assert_eq!(next_message(&mut again).await.1, "once more");
    assert_eq!(world.core.journal().count(unsubscribe), 1);
}

#[tokio::test]
async fn a_subscribe_gets_its_turn_among_parts_that_publish_without_end() {
    let limits = Limits {
        receive_maximum: 1,
        ..Limits::default()
    };
    let world = World::open_with(limits).await;
    let (mqtt, _) = world.connect();
    let flood = ["a"; 4].map(|topic| {
        let mqtt = mqtt.clone();
        tokio::spawn(
            async move { while mqtt.publish(Publish::new(topic, "flood")).await.is_ok() {} },
        )
    });
    let publish = |event: &Event| matches!(event, Event::Publish { .. });
    within(world.core.journal().wait_for_count(20, publish)).await;
    let among_them = mqtt.subscribe(["b"]);
    within(among_them.granted().wait()).await.unwrap();
    assert!(flood.iter().all(|part| !part.is_finished()));
    // Who gives up waiting leaves its turn to others.
    let after_them = mqtt.subscribe(["c"]);
    flood.iter().for_each(|part| part.abort());
    within(after_them.granted().wait()).await.unwrap();
    assert_eq!(world.core.journal().violations(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_is_refused_when_nobody_wants_it_any_longer_is_not_asked_for_again() {
    let world = World::set(|options| {
        options.policy = World::open_policy().to_owned();
        options.latency = Duration::from_millis(250);
    })
    .await;
    let mut options = world.settings().mqtt;
    options.transport = world.tunnel(Duration::ZERO);
    options.stable_after = Duration::from_secs(3_600);
    let (mqtt, mut events) = mqtt::connect(options);
    let secret = mqtt.subscribe(["secret"]);
    let asked = |event: &Event| matches!(event, Event::Subscribe { .. });
    within(world.core.journal().wait_for(asked)).await;
    drop(secret); // before its SUBACK is here
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(world.core.journal().count(asked), 1);
    // Nothing has worked so far: a refusal is taken at its word.
    let not_authorized = Fault::Connack(0x87);
    world.core.faults().add(not_authorized, Times::Always);
    world.core.drop_connections();
    loop {
        match within(events.next()).await.unwrap() {
            mqtt::Event::Ended(how) => break assert!(how.is_err()),
            mqtt::Event::Interrupted { error, .. } => assert!(error.reason_code().is_none()),
            _ => {}
        }
    }
}

#[tokio::test]
async fn who_waits_for_a_connection_that_has_ended_is_told() {
    let world = World::open().await;
    let (mqtt, mut events) = world.connect();
    within(mqtt.publish(Publish::new("a", "x"))).await.unwrap();
    mqtt.disconnect();
    while within(events.next()).await.is_some() {}
    assert!(!mqtt.is_connected());
    let late = mqtt.subscribe(["b"]);
    let answer = within(late.granted().wait()).await;
    assert_eq!(answer, Err(NotGranted::Gone));
}
