//! Every form that MQTT5 allows a packet to have is read, the short ones as well: the reason code may
//! be missing where it is 0, and the properties where there are none.

use jobs_mqtt5::ErrorClass;
use jobs_mqtt5::mqtt::{self, ConnectionErrorKind, Event, Publish, PublishError};
use jobs_mqtt5::sample::lines;
use local_iot_core::{Event as Seen, Fault, Options, PacketForms, Times};

use crate::support::{World, idle, interruption, next_message, quick_work, refusal, within};

const FORMS: [PacketForms; 3] = [
    PacketForms::Shortest,
    PacketForms::WithCode,
    PacketForms::WithWords,
];

/// A world whose service has packets of this form.
async fn world(packet_forms: PacketForms) -> World {
    World::with(Options {
        packet_forms,
        policy: World::open_policy().to_owned(),
        ..Options::default()
    })
    .await
}

fn connects(world: &World) -> usize {
    let connect = |event: &Seen| matches!(event, Seen::Connect { .. });
    world.core.journal().count(connect)
}

/// The connection ends with this reason, and comes back.
async fn is_understood(bytes: &[u8], code: u8) {
    let world = world(PacketForms::Mixed).await;
    let (mqtt, mut events) = world.connect();
    within(mqtt.publish(Publish::new("a", "x"))).await.unwrap();
    world.core.send_bytes(bytes);
    let error = interruption(&mut events).await;
    assert_eq!(error.kind(), ConnectionErrorKind::Disconnected, "{error}");
    assert_eq!(error.reason_code(), Some(mqtt::ReasonCode(code)));
    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    within(mqtt.publish(Publish::new("a", "x"))).await.unwrap();
    assert_eq!(connects(&world), 2);
    assert_eq!(world.core.journal().violations(), [""; 0]);
}

#[tokio::test]
async fn disconnect_without_anything() {
    is_understood(&[0xe0, 0], 0).await;
}

#[tokio::test]
async fn disconnect_with_a_reason_code_alone() {
    is_understood(&[0xe0, 1, 0x8b], 0x8b).await;
}

#[tokio::test]
async fn disconnect_with_empty_properties() {
    is_understood(&[0xe0, 2, 0x8b, 0], 0x8b).await;
}

#[tokio::test]
async fn disconnect_with_a_reason_in_words() {
    is_understood(b"\xe0\x07\x8b\x05\x1f\0\x02so", 0x8b).await;
}

/// Field case 5: two devices with one client ID.
#[tokio::test]
async fn a_session_that_is_taken_over_ends_the_first_in_every_form() {
    for forms in FORMS {
        let world = world(forms).await;
        let (_first, mut events) = world.connect();
        within(
            world
                .core
                .journal()
                .wait_for(|e| matches!(e, Seen::Connack { .. })),
        )
        .await;
        let (second, _) = world.connect();
        let error = loop {
            if let Event::Ended(ended) = within(events.next()).await.unwrap() {
                break ended.unwrap_err();
            }
        };
        assert_eq!(
            error.reason_code(),
            Some(mqtt::ReasonCode(0x8e)),
            "{forms:?}"
        );
        assert_eq!(error.class(), ErrorClass::Permanent, "{error}");
        assert!(within(events.next()).await.is_none());
        within(second.publish(Publish::new("a", "x")))
            .await
            .unwrap();
        assert_eq!(connects(&world), 2, "no fight");
    }
}

#[tokio::test]
async fn two_programs_with_one_client_id_do_not_fight_over_a_short_disconnect() {
    let world = world(PacketForms::Shortest).await;
    let first = world.start(&["--client_id", "test-twin"]);
    first.out.wait_for(lines::NOTHING_TO_START).await;
    let second = world.start(&["--client_id", "test-twin"]);
    let ended = first.end().await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.err.contains("0x8E (session taken over"),
        "{}",
        ended.err
    );
    second.out.wait_for(lines::NOTHING_TO_START).await;
    second.kill().await;
    assert_eq!(connects(&world), 2);
}

#[tokio::test]
async fn puback_of_two_bytes_and_puback_with_everything() {
    for forms in FORMS {
        let world = world(forms).await;
        let (mqtt, _) = world.connect();
        for _ in 0..3 {
            within(mqtt.publish(Publish::new("a", "x"))).await.unwrap();
        }
        assert_eq!(connects(&world), 1, "{forms:?}");
    }
}

#[tokio::test]
async fn puback_of_three_bytes_and_its_longer_forms_refuse() {
    for forms in FORMS {
        let world = world(forms).await;
        let (mqtt, _) = world.connect();
        let denied = within(mqtt.publish(Publish::new("secret", "x"))).await;
        let expected = PublishError::Refused {
            topic: "secret".to_owned(),
            reason: mqtt::ReasonCode::NOT_AUTHORIZED,
            disconnected: false,
        };
        assert_eq!(denied, Err(expected), "{forms:?}");
        let fault = Fault::Puback(0x97, String::new());
        world.core.faults().add(fault, Times::Once);
        let refused = within(mqtt.publish(Publish::new("a", "x")))
            .await
            .unwrap_err();
        assert_eq!(refused.reason_code(), Some(mqtt::ReasonCode(0x97)));
        within(mqtt.publish(Publish::new("a", "x"))).await.unwrap();
        assert_eq!(connects(&world), 1, "{forms:?}");
    }
}

#[tokio::test]
async fn suback_and_unsuback_with_and_without_words() {
    for forms in FORMS {
        let world = world(forms).await;
        let (mqtt, _) = world.connect();
        let kept = mqtt.subscribe(["kept"]);
        within(kept.granted().wait()).await.unwrap();
        for _ in 0..2 {
            let mut passing = mqtt.subscribe(["passing"]);
            within(passing.granted().wait()).await.unwrap();
            world.core.publish("passing", "x").unwrap();
            assert_eq!(next_message(&mut passing).await.1, "x");
            drop(passing);
            let unsubscribe = |e: &Seen| matches!(e, Seen::Unsubscribe { .. });
            within(world.core.journal().wait_for(unsubscribe)).await;
        }
        let refused = mqtt.subscribe(["secret"]);
        assert!(refusal(&refused).await.is_denied());
        // An UNSUBACK that was not understood would be missed by now.
        tokio::time::sleep(world.settings().mqtt.ack_timeout * 2).await;
        within(mqtt.publish(Publish::new("a", "x"))).await.unwrap();
        assert_eq!(connects(&world), 1, "{forms:?}");
    }
}

#[tokio::test]
async fn auth_in_its_short_form_is_known_and_out_of_place() {
    let world = world(PacketForms::Mixed).await;
    let running = world.run(world.settings(), quick_work());
    idle(&running).await;
    world.core.send_bytes(&[0xf0, 0]);
    let goodbye = Seen::Disconnect {
        by_client: true,
        reason: 0x82, // protocol error
    };
    within(world.core.journal().wait_for(|event| *event == goodbye)).await;
    world.queue(&["job"]);
    world.succeeds("job").await;
    running.stop().await.unwrap();
    assert_eq!(world.core.journal().violations(), [""; 0]);
}

#[tokio::test]
async fn a_job_is_done_in_every_form() {
    for forms in FORMS {
        let world = world(forms).await;
        world.queue(&["job"]);
        let running = world.run(world.settings(), quick_work());
        world.succeeds("job").await;
        idle(&running).await;
        assert_eq!(running.err.text(), "", "{forms:?}");
        running.stop().await.unwrap();
        assert_eq!(connects(&world), 1);
    }
}
