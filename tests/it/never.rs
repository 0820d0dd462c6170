//! `Duration::MAX` says "never", and 0 seconds of keep-alive "none": no option ends a device.

use std::time::Duration;

use jobs_mqtt5::mqtt::{Backoff, Buffer, Options, Publish};
use local_iot_core::Event;

use crate::support::{World, refusal, within};

#[tokio::test]
async fn no_timeout_is_too_long() {
    let changes: [fn(Options) -> Options; 6] = [
        |options| options.ack_timeout(Duration::MAX),
        |options| options.handshake_timeout(Duration::MAX),
        |options| options.tcp_timeout(Duration::MAX),
        |options| options.keep_alive(Duration::MAX),
        |options| options.stable_after(Duration::MAX).patience(Duration::MAX),
        |options| options.backoff(Backoff::new(Duration::MAX, Duration::MAX)),
    ];
    for (nth, change) in changes.into_iter().enumerate() {
        let world = World::open().await;
        let (mqtt, _events) = jobs_mqtt5::mqtt::connect(change(world.settings().mqtt));
        let all = Buffer {
            messages: usize::MAX,
            bytes: usize::MAX,
        };
        let mut inbox = mqtt.subscribe_with(["a"], all);
        assert!(
            refusal(&mqtt.subscribe(["secret"])).await.is_denied(),
            "{nth}"
        );
        within(inbox.granted().wait()).await.unwrap();
        within(mqtt.publish(Publish::new("a", "x"))).await.unwrap();
        within(inbox.next()).await.unwrap();
        let answer = within(mqtt.wait_for(Duration::MAX, async { "an answer" })).await;
        assert_eq!(answer, Ok("an answer"));
    }
}

#[tokio::test]
async fn a_session_may_be_kept_for_ever() {
    let world = World::open().await;
    let options = world.settings().mqtt.session_expiry(Duration::MAX);
    let (mqtt, _events) = jobs_mqtt5::mqtt::connect(options);
    within(mqtt.publish(Publish::new("a", "x"))).await.unwrap();
    let asked = |event: &Event| {
        matches!(
            event,
            Event::Connect {
                session_expiry: u32::MAX,
                ..
            }
        )
    };
    assert_eq!(world.core.journal().count(asked), 1); // MQTT5, section 3.1.2.11.2: it does not expire
}

#[tokio::test]
async fn without_a_keep_alive_silence_is_no_fault() {
    let world = World::open().await;
    let options = world.settings().mqtt.keep_alive(Duration::ZERO);
    let (mqtt, _events) = jobs_mqtt5::mqtt::connect(options);
    within(mqtt.publish(Publish::new("a", "x"))).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    within(mqtt.publish(Publish::new("a", "x"))).await.unwrap();
    let none = |event: &Event| matches!(event, Event::Connect { keep_alive: 0, .. });
    assert_eq!(world.core.journal().count(none), 1);
    assert_eq!(mqtt.connection(), 1);
}

#[tokio::test]
async fn what_no_connect_can_say_is_told_and_not_tried_again() {
    type Change = fn(Options, String) -> Options;
    let changes: [(&str, Change); 4] = [
        (
            "the last will can't be sent: the message has 65536 bytes, and the server takes up to 65535",
            |options, long| options.will(Some(Publish::new("w", long))),
        ),
        (
            "the last will can't be sent: 'w/#' is no topic to publish to",
            |options, _| options.will(Some(Publish::new("w/#", ""))),
        ),
        (
            "the last will can't be sent: a property of the message has more than 65,535 bytes, or a NUL in it",
            |options, long| options.will(Some(Publish::new("w", "").content_type(long))),
        ),
        (
            "the client ID has more than 65,535 bytes, or a NUL in it",
            |mut options, long| {
                options.client_id = long;
                options
            },
        ),
    ];
    for (words, change) in changes {
        let world = World::open().await;
        let options = change(world.settings().mqtt, "x".repeat(65_536));
        let (_mqtt, mut events) = jobs_mqtt5::mqtt::connect(options);
        match within(events.next()).await {
            Some(jobs_mqtt5::mqtt::Event::Ended(Err(error))) => {
                assert_eq!(error.to_string(), words)
            }
            other => panic!("{words}: {other:?}"),
        }
    }
}
