//! Slow links: limits are about silence, not about slowness, and nothing is sent twice because a link
//! is slow. The link is local_iot_core's line, which queues without a limit; TCP's handshake is added
//! to it. All in tokio's time, so that minutes take no time.
//!
//! What is noticed on a fast link, and how soon, is in `connection.rs`.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jobs_mqtt5::jobs;
use jobs_mqtt5::mqtt::{self, ConnectionErrorKind, Publish};
use jobs_mqtt5::sample::{Settings, lines};
use local_iot_core::{Event, Fault, On, Operation, Status, Tamper, Times, TlsVersions};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::support::{THING, World, counted_work, default_settings, interruption, within};

/// A world at the end of a link with this latency (one way) that takes so many bytes a second each way.
async fn narrow(bytes_per_second: u32, latency: Duration) -> World {
    World::set(|options| {
        options.bytes_per_second = NonZeroU32::new(bytes_per_second);
        options.latency = latency;
        options.tls_versions = TlsVersions::Only13;
    })
    .await
}

/// What the program has without a flag, over the link.
fn settings(world: &World, latency: Duration) -> Settings {
    let mut settings = default_settings(&world.flags(&[]));
    settings.mqtt.transport = world.tunnel(latency * 2);
    settings
}

fn connects(world: &World) -> usize {
    let connect = |event: &Event| matches!(event, Event::Connect { .. });
    world.core.journal().count(connect)
}

/// A document of so many bytes.
fn queue(world: &World, job_id: &str, bytes: usize) {
    let document = format!("\"{}\"", "x".repeat(bytes - 2));
    let jobs = world.core.jobs();
    jobs.create_job_with_text(job_id, &document).unwrap();
}

async fn succeeds_within(limit: Duration, world: &World, job_id: &str) {
    let done = world.core.jobs().wait_for_status(job_id, Status::Succeeded);
    let done = timeout(limit, done).await;
    assert!(done.is_ok(), "{job_id} took more than {limit:?}");
}

/// A device does these jobs over the link, each once. (The work is done here: in virtual time, it would
/// stand still for a thread.) Returns how long that took.
async fn does(world: &World, latency: Duration, job_ids: &[&str], limit: Duration) -> Duration {
    let (work, worked) = counted_work();
    let began = Instant::now();
    let mut device = world.device(|default| *default = settings(world, latency));
    let all_done = async {
        for job_id in job_ids {
            let left = limit.saturating_sub(began.elapsed());
            succeeds_within(left, world, job_id).await;
            assert_eq!(world.core.jobs().execution(job_id).unwrap().starts, 1);
        }
    };
    tokio::select! {
        ended = device.agent.run_here(work) => panic!("{ended:?}"),
        () = all_done => {}
    }
    assert_eq!(worked.load(Ordering::SeqCst), job_ids.len());
    assert_eq!(world.core.journal().violations(), [""; 0]);
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_long_document_comes_over_a_narrow_link_once() {
    let latency = Duration::from_millis(250);
    let world = narrow(3_000, latency).await;
    queue(&world, "long", 30_000);
    let took = does(&world, latency, &["long"], Duration::from_secs(30)).await;
    assert!(took.as_secs() >= 10, "the link was not narrow");
    assert_eq!(connects(&world), 1);
    assert_eq!(world.requests(Operation::StartNext), 1);
}

#[tokio::test(start_paused = true)]
async fn ten_jobs_come_over_a_long_and_narrow_link() {
    let latency = Duration::from_secs(1);
    let world = narrow(3_000, latency).await;
    let job_ids = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    for job_id in job_ids {
        queue(&world, job_id, 8_000);
    }
    let took = does(&world, latency, &job_ids, Duration::from_secs(150)).await;
    assert!(took.as_secs() >= 30, "the link was not narrow");
    assert!(connects(&world) <= 2);
}

#[tokio::test(start_paused = true)]
async fn the_first_start_does_not_stand_behind_the_descriptions_of_all() {
    let latency = Duration::from_millis(250);
    let world = narrow(3_000, latency).await;
    for nth in 0..10 {
        queue(&world, &format!("job-{nth}"), 8_000);
    }
    let (work, _) = counted_work();
    let began = Instant::now();
    let running = world.run(settings(&world, latency), work);
    running.out.wait_for(lines::WORK_STARTED).await;
    // Its own reply takes 2.7 s, and so does each description; ten of these would take 27 s.
    let waited = began.elapsed().as_secs_f32();
    assert!((5.0..20.0).contains(&waited), "{waited}");
    running.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn tls_takes_its_time_on_a_long_and_narrow_link() {
    // A round trip of three seconds; and three seconds each way.
    for latency in [Duration::from_millis(1_500), Duration::from_secs(3)] {
        let world = narrow(2_500, latency).await;
        let began = Instant::now();
        let (_mqtt, mut events) = mqtt::connect(settings(&world, latency).mqtt);
        match timeout(Duration::from_secs(40), events.next())
            .await
            .unwrap()
        {
            Some(mqtt::Event::Connected { .. }) => {}
            other => panic!("{other:?} after {:?}", began.elapsed()),
        }
        let took = began.elapsed();
        assert!(took > latency * 6, "the link was not long: {took:?}");
        // TCP, TLS and CONNECT are a round trip each; the certificates of both take two seconds.
        let bound = Duration::from_secs(if latency.as_secs() < 3 { 20 } else { 25 });
        assert!(took < bound, "{took:?}");
        assert_eq!(connects(&world), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_puback_behind_a_long_message_is_not_overdue() {
    let latency = Duration::from_millis(250);
    let world = World::set(|options| {
        options.bytes_per_second = NonZeroU32::new(3_000);
        options.latency = latency;
        options.policy = World::open_policy().to_owned();
    })
    .await;
    let (mqtt, _events) = mqtt::connect(settings(&world, latency).mqtt);
    let mut inbox = mqtt.subscribe(["in"]);
    timeout(Duration::from_secs(20), inbox.granted().wait())
        .await
        .unwrap()
        .unwrap();
    world.core.publish("in", vec![b'x'; 60_000]).unwrap();
    let began = Instant::now();
    mqtt.publish(Publish::new("out", "x")).await.unwrap();
    let took = began.elapsed();
    assert!(took.as_secs() >= 15, "nothing stood before it: {took:?}");
    assert_eq!(connects(&world), 1);
    let published = |event: &Event| matches!(event, Event::Publish { .. });
    assert_eq!(world.core.journal().count(published), 1);
    assert_eq!(inbox.next().await.unwrap().payload.len(), 60_000);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_other_things_for_ever_is_given_up_all_the_same() {
    for pause in [Duration::from_secs(1), Duration::from_millis(5)] {
        let world = World::open().await;
        let (mqtt, mut events) = mqtt::connect(settings(&world, Duration::ZERO).mqtt);
        let mut inbox = mqtt.subscribe(["in"]);
        within(inbox.granted().wait()).await.unwrap();
        world.core.faults().add(Fault::NoPuback, Times::Once);
        let talk = async {
            loop {
                world.core.publish("in", "something else").unwrap();
                inbox.next().await;
                tokio::time::sleep(pause).await;
            }
        };
        let began = Instant::now();
        let published = timeout(
            Duration::from_secs(3600),
            mqtt.publish(Publish::new("out", "x")),
        );
        tokio::select! {
            published = published => published.unwrap().unwrap(),
            () = talk => {}
        }
        let took = began.elapsed().as_secs();
        assert!((140..=145).contains(&took), "{took} s");
        let error = interruption(&mut events).await;
        assert_eq!(error.kind(), ConnectionErrorKind::Overdue, "{error}");
        assert_eq!(connects(&world), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_reply_says_how_long_it_was_waited_for() {
    let world = World::open().await;
    let (mqtt, _events) = mqtt::connect(settings(&world, Duration::ZERO).mqtt);
    let jobs = jobs::Client::with_options(&mqtt, THING, jobs::Options::default().max_tries(1));
    let mut inbox = mqtt.subscribe(["in"]);
    within(inbox.granted().wait()).await.unwrap();
    let lost = Fault::LoseReply(On::Only(Operation::GetPending));
    world.core.faults().add(lost, Times::Once);
    let talk = async {
        loop {
            world.core.publish("in", "something else").unwrap();
            inbox.next().await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let error = tokio::select! {
        answer = jobs.get_pending() => answer.unwrap_err().to_string(),
        () = talk => unreachable!(),
    };
    let words = "no reply came within 140 seconds";
    assert!(error.ends_with(words), "{error}");
}

/// Sends half of a message, and the rest after a gap, if at all; behind it, on that connection,
/// nothing.
struct Halves {
    gap: Option<Duration>,
    /// The connection that it struck.
    struck: watch::Sender<Option<u64>>,
}

impl Tamper for Halves {
    fn tamper(&self, connection: u64, mut packets: Vec<u8>) -> Vec<(Duration, Vec<u8>)> {
        const MESSAGE: u8 = 0x32; // PUBLISH at QoS 1
        let now = Duration::ZERO;
        let struck = *self.struck.borrow();
        if self.gap.is_none() && struck == Some(connection) {
            return vec![];
        }
        if packets[0] != MESSAGE || struck.is_some() {
            return vec![(now, packets)];
        }
        self.struck.send_replace(Some(connection));
        let rest = packets.split_off(packets.len() / 2);
        let rest = self.gap.map(|gap| (gap, rest));
        [(now, packets)].into_iter().chain(rest).collect()
    }
}

/// Half of a message reaches a client with the program's own limits; returns it with what it hears.
async fn half_a_message(
    gap: Option<Duration>,
) -> (World, mqtt::Subscription, mqtt::Events<mqtt::Event>) {
    let world = World::open().await;
    let (mqtt, events) = mqtt::connect(settings(&world, Duration::ZERO).mqtt);
    let inbox = mqtt.subscribe(["in"]);
    within(inbox.granted().wait()).await.unwrap();
    let (struck, mut strikes) = watch::channel(None);
    world
        .core
        .set_tamper(Some(Arc::new(Halves { gap, struck })));
    world.core.publish("in", "a message in two parts").unwrap();
    within(strikes.wait_for(Option::is_some)).await.unwrap();
    (world, inbox, events)
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_packet_is_waited_for_while_the_server_is_there() {
    let (world, mut inbox, _events) = half_a_message(Some(Duration::from_secs(20))).await;
    let message = timeout(Duration::from_secs(30), inbox.next())
        .await
        .unwrap();
    assert_eq!(message.unwrap().payload, "a message in two parts");
    assert_eq!(connects(&world), 1);
}

#[tokio::test(start_paused = true)]
async fn a_packet_whose_rest_never_comes_is_noticed_sooner_than_silence_between_packets() {
    let began = Instant::now();
    let (world, mut inbox, mut events) = half_a_message(None).await;
    let error = interruption(&mut events).await;
    assert_eq!(error.kind(), ConnectionErrorKind::Overdue, "{error}");
    let took = began.elapsed().as_secs();
    assert!((10..=30).contains(&took), "{took} s");
    // QoS 1: in the resumed session it comes again.
    let message = timeout(Duration::from_secs(30), inbox.next())
        .await
        .unwrap();
    assert_eq!(message.unwrap().payload, "a message in two parts");
    assert_eq!(connects(&world), 2);
}
