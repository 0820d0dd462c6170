//! One connection for all that a device does: several parts publish and subscribe over it, two jobs
//! clients among them, and none has to care about the others.

use std::time::Duration;

use jobs_mqtt5::agent::{Agent, Outcome};
use jobs_mqtt5::mqtt::{self, Backoff, Publish, PublishError};
use local_iot_core::{Event, Fault, Limits, Status, Times};

use crate::support::{OTHER, THING, World, long_waits, next_message, refusal, within};

/// The SUBSCRIBE packets so far: how many filters each had.
fn subscribes(world: &World) -> Vec<usize> {
    let events = world.core.journal().events();
    let sizes = events.iter().filter_map(|event| match event {
        Event::Subscribe { filters, .. } => Some(filters.len()),
        _ => None,
    });
    sizes.collect()
}

#[tokio::test]
async fn what_is_registered_before_the_connect_leaves_in_one_subscribe_and_the_ninth_in_another() {
    for (more, packets) in [(3, vec![8]), (4, vec![8, 1]), (12, vec![8, 8, 1])] {
        let world = World::open().await;
        let (mqtt, _) = world.connect();
        let client = world.jobs_of(THING, &mqtt); // brings five
        let filters: Vec<_> = (0..more).map(|nth| format!("dt/{nth}")).collect();
        let subscription = mqtt.subscribe(filters);
        within(subscription.granted().wait()).await.unwrap();
        within(client.get_pending()).await.unwrap();
        assert_eq!(subscribes(&world), packets);
        assert_eq!(world.core.journal().violations(), [""; 0]);
    }
}

#[tokio::test]
async fn each_gets_the_messages_of_its_filters_and_no_others_before_and_after_the_connect() {
    let world = World::open().await;
    let (mqtt, _) = world.connect();
    let mut early = mqtt.subscribe(["a/+"]);
    within(early.granted().wait()).await.unwrap();
    let mut late = mqtt.subscribe(["b/#", "a/shared"]);
    within(late.granted().wait()).await.unwrap();
    within(mqtt.publish(Publish::new("a/1", "one")))
        .await
        .unwrap();
    within(mqtt.publish(Publish::new("b/2/c", "two")))
        .await
        .unwrap();
    within(mqtt.publish(Publish::new("c/3", "for nobody")))
        .await
        .unwrap();
    world.core.publish("a/shared", "for both").unwrap();
    assert_eq!(next_message(&mut early).await, ("a/1".into(), "one".into()));
    assert_eq!(
        next_message(&mut late).await,
        ("b/2/c".into(), "two".into())
    );
    for both in [&mut early, &mut late] {
        assert_eq!(
            next_message(both).await,
            ("a/shared".into(), "for both".into())
        );
    }
    while let Ok(Some(again)) = tokio::time::timeout(Duration::from_millis(200), early.next()).await
    {
        assert_eq!(again.topic, "a/shared"); // it matches two filters of this connection
    }
}

#[tokio::test]
async fn each_suback_code_goes_to_whoever_asked() {
    let world = World::open().await;
    let mut options = world.settings().mqtt;
    options.backoff = long_waits(Duration::from_secs(60)); // what is refused is asked for again after it
    let (mqtt, _) = jobs_mqtt5::mqtt::connect(options);
    let allowed = mqtt.subscribe(["a"]);
    let secret = mqtt.subscribe(["b", "secret/+"]);
    within(allowed.granted().wait()).await.unwrap();
    let refused = refusal(&secret).await;
    assert!(refused.is_denied());
    assert_eq!(refused.filter, "secret/+");
    assert_eq!(
        refused.to_string(),
        "the server refused the subscription to secret/+: SUBACK 0x87 (not authorized)"
    );
    let allowed_later = mqtt.subscribe(["c"]);
    within(allowed_later.granted().wait()).await.unwrap();
    assert_eq!(subscribes(&world), [3, 1]);
}

#[tokio::test]
async fn a_filter_that_is_none_is_refused_and_keeps_no_other_from_being_subscribed() {
    let world = World::open().await;
    world.queue(&["job"]);
    let (mqtt, _) = world.connect();
    let client = world.jobs_of(THING, &mqtt);
    let long = "x".repeat(70_000);
    for filter in ["a/#/b", "", "a+", "a\0b", long.as_str()] {
        let wrong = mqtt.subscribe(["fine", filter]);
        let refused = refusal(&wrong).await;
        assert_eq!(refused.filter, filter);
        assert!(refused.to_string().contains("topic filter"), "{refused}");
        assert!(!refused.is_denied());
    }
    let mut agent = Agent::new(&client);
    let job = within(agent.next()).await.unwrap().unwrap();
    within(job.finish(Outcome::succeeded())).await.unwrap();
    world.core.drop_connections();
    world.core.forget_sessions();
    within(client.get_pending()).await.unwrap();
    assert_eq!(world.core.journal().violations(), [""; 0]);
}

#[tokio::test]
async fn after_a_lost_session_all_are_subscribed_again() {
    let world = World::open().await;
    let (mqtt, _) = world.connect();
    let mut telemetry = mqtt.subscribe(["a"]);
    let client = world.jobs_of(THING, &mqtt);
    within(telemetry.granted().wait()).await.unwrap();
    within(client.get_pending()).await.unwrap();
    world.core.forget_sessions();
    world.core.drop_connections();
    within(mqtt.session_after(1)).await.unwrap();
    within(mqtt.publish(Publish::new("a", "again")))
        .await
        .unwrap();
    assert_eq!(next_message(&mut telemetry).await.1, "again");
    within(client.get_pending()).await.unwrap();
    assert_eq!(subscribes(&world), [6, 6]);
}

#[tokio::test]
async fn two_jobs_clients_for_two_things_share_a_connection_and_each_does_its_own_jobs() {
    let world = World::open().await;
    let (mqtt, _) = world.connect();
    let mut devices = Vec::new();
    for thing_name in [THING, OTHER] {
        let books = world.core.jobs_of(thing_name).unwrap();
        books
            .create_job_with_text("job", &format!("\"for {thing_name}\""))
            .unwrap();
        let client = world.jobs_of(thing_name, &mqtt);
        devices.push(tokio::spawn(async move {
            let (mut agent, mut done) = (Agent::new(&client), Vec::new());
            while done.len() < 2 {
                let job = agent.next().await.unwrap().unwrap();
                done.push(job.document::<String>().unwrap());
                job.finish(Outcome::succeeded()).await.unwrap();
            }
            done
        }));
    }
    for thing_name in [THING, OTHER] {
        let books = world.core.jobs_of(thing_name).unwrap();
        within(books.wait_for_status("job", Status::Succeeded)).await;
        books
            .create_job_with_text("later", &format!("\"for {thing_name}\""))
            .unwrap();
    }
    for (device, thing_name) in devices.into_iter().zip([THING, OTHER]) {
        let done = within(device).await.unwrap();
        assert_eq!(
            done,
            [format!("for {thing_name}"), format!("for {thing_name}")]
        );
    }
    let connects = |event: &Event| matches!(event, Event::Connect { .. });
    assert_eq!(world.core.journal().count(connects), 1);
    assert_eq!(world.core.journal().violations(), [""; 0]);
}

#[tokio::test]
async fn what_several_subacks_refuse_is_asked_for_again_together_and_not_ever_more_often() {
    let world = World::open().await;
    let mut options = world.settings().mqtt;
    options.backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(50));
    let (mqtt, _) = jobs_mqtt5::mqtt::connect(options);
    let filters: Vec<_> = (0..20).map(|nth| format!("secret/{nth}")).collect();
    let secret = mqtt.subscribe(filters);
    assert!(refusal(&secret).await.is_denied());
    while subscribes(&world).len() < 60 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Three packets after each wait of up to 50 ms: in one second, some 120.
    let before = subscribes(&world).len();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let packets = subscribes(&world).len() - before;
    assert!((3..300).contains(&packets), "{packets}");
}

#[tokio::test]
async fn a_message_that_the_server_does_not_take_is_an_error_and_never_stops_the_device() {
    let world = World::open().await;
    let (mqtt, mut events) = world.connect();
    let connected = tokio::spawn(async move {
        let mut connected = Vec::new();
        while let Some(event) = events.next().await {
            if let mqtt::Event::Connected { session_present } = event {
                connected.push(session_present);
            }
        }
        connected
    });
    let mut sessions = vec![false];
    let large = within(mqtt.publish(Publish::new("dt/a", vec![b' '; 128 * 1024 + 1]))).await;
    assert!(
        matches!(large, Err(PublishError::TooLarge { .. })),
        "{large:?}"
    );
    within(mqtt.publish(Publish::new("dt/a", vec![b' '; 128 * 1024])))
        .await
        .unwrap();
    // For another limit that nobody knows of, the server ends the connection: with a reason, or without
    // a word. In this session, the message would be sent for ever.
    let refused = PublishError::Refused {
        topic: "dt/a".to_owned(),
        reason: mqtt::ReasonCode::PACKET_TOO_LARGE,
        disconnected: true,
    };
    for (fault, error, connections) in [
        (Fault::Disconnect(0x95), refused, &[true][..]),
        (
            Fault::DropOnPublish,
            PublishError::SessionLost,
            &[true, true, true, false],
        ),
    ] {
        world.core.faults().add(fault, Times::Always);
        let lost = within(mqtt.publish(Publish::new("dt/a", "too much"))).await;
        assert_eq!(lost, Err(error));
        world.core.faults().clear();
        within(mqtt.publish(Publish::new("dt/a", "fine")))
            .await
            .unwrap();
        sessions.extend(connections);
    }
    mqtt.disconnect();
    assert_eq!(within(connected).await.unwrap(), sessions);
}

#[tokio::test]
async fn a_publish_that_waits_for_its_puback_holds_no_subscription_up_and_one_given_up_never_leaves()
 {
    let world = World::open_with(Limits {
        receive_maximum: 1,
        ..Limits::default()
    })
    .await;
    let mut options = world.settings().mqtt;
    options.ack_timeout = Duration::from_secs(600);
    let (mqtt, _) = mqtt::connect(options);
    within(mqtt.publish(Publish::new("dt/a", "first")))
        .await
        .unwrap();
    world.core.faults().add(Fault::NoPuback, Times::Once);
    let waiting = tokio::spawn({
        let mqtt = mqtt.clone();
        async move { mqtt.publish(Publish::new("dt/a", "waits")).await }
    });
    let is_published = |text: &str| {
        let text = text.to_owned();
        move |event: &Event| matches!(event, Event::Publish { payload, .. } if **payload == *text.as_bytes())
    };
    within(world.core.journal().wait_for(is_published("waits"))).await;
    let given_up = mqtt.publish(Publish::new("dt/a", "given up"));
    let no_answer = tokio::time::timeout(Duration::from_millis(100), given_up).await;
    assert!(no_answer.is_err(), "the window has one place");
    let subscription = mqtt.subscribe(["dt/b"]);
    within(subscription.granted().wait()).await.unwrap();
    assert!(!waiting.is_finished());
    world.core.drop_connections();
    within(waiting).await.unwrap().unwrap(); // sent again in the resumed session
    within(mqtt.publish(Publish::new("dt/a", "last")))
        .await
        .unwrap();
    assert_eq!(world.core.journal().count(is_published("given up")), 0);
    assert_eq!(world.core.journal().violations(), [""; 0]);
}
