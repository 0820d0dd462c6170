//! A session that is kept outlives the process, and is taken up only by who asks for it.

use jobs_mqtt5::mqtt::{self, Client, Event, Subscription};
use local_iot_core::Event as Seen;

use super::{connect_as, subscribed};
use crate::support::{World, next_message, within};

/// Connects as a run of the program that keeps its session.
async fn run(world: &World) -> (Client, mqtt::Events<Event>, Subscription) {
    let mut options = world.settings().mqtt;
    options.client_id = "test-kept".to_owned();
    options.clean_start = false;
    let (mqtt, events) = mqtt::connect(options);
    let inbox = mqtt.subscribe(["cmd"]);
    within(inbox.granted().wait()).await.unwrap();
    (mqtt, events, inbox)
}

#[tokio::test]
async fn a_kept_session_brings_what_was_published_while_the_process_was_down() {
    for says_goodbye in [true, false] {
        let world = World::open().await;
        let (mqtt, mut events, inbox) = run(&world).await;
        match within(events.next()).await {
            Some(Event::Connected { session_present }) => assert!(!session_present),
            other => panic!("{other:?}"),
        }
        if says_goodbye {
            mqtt.disconnect();
            while within(events.next()).await.is_some() {}
        } else {
            world.core.stop_listening().await;
            world.core.drop_connections(); // as if the power had gone
        }
        drop((mqtt, events, inbox));
        let closed = |event: &Seen| *event == Seen::ConnectionClosed;
        within(world.core.journal().wait_for(closed)).await;
        for text in ["first", "second"] {
            world.core.publish("cmd", text).unwrap();
        }
        world.core.resume_listening().await.unwrap();

        let (_mqtt, mut events, mut inbox) = run(&world).await;
        match within(events.next()).await {
            Some(Event::Connected { session_present }) => assert!(session_present),
            other => panic!("{other:?}"),
        }
        for text in ["first", "second"] {
            assert_eq!(next_message(&mut inbox).await.1, text);
        }
        let clean = |event: &Seen| {
            matches!(
                event,
                Seen::Connect {
                    clean_start: true,
                    ..
                }
            )
        };
        assert_eq!(world.core.journal().count(clean), 0);
        assert_eq!(world.core.journal().violations(), [""; 0]);
    }
}

#[tokio::test]
async fn a_kept_session_is_only_taken_up_by_who_asks_for_it() {
    let world = World::open().await;
    let (mqtt, mut events, inbox) = run(&world).await;
    mqtt.disconnect();
    while within(events.next()).await.is_some() {}
    drop(inbox);
    world.core.publish("cmd", "for the last run").unwrap();
    let (mqtt, _) = connect_as(&world, "test-kept"); // a clean start, as is usual
    let mut inbox = subscribed(&mqtt, "cmd").await;
    world.core.publish("cmd", "for this run").unwrap();
    assert_eq!(next_message(&mut inbox).await.1, "for this run");
}
