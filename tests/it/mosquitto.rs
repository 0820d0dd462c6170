//! Against a broker that is not ours: mosquitto, over TLS with a client certificate, with the Jobs
//! service of `local_iot_core` behind it. It is killed and comes back, with what it had and without;
//! it stands still, and so does the device.
//!
//! mosquitto is not everywhere, so these are ignored if they are not asked for; then, without it, they
//! fail.

mod broker;
mod clients;

use std::time::Duration;

use jobs_mqtt5::mqtt::{self, Options, Publish};
use jobs_mqtt5::sample::lines;
use tokio::runtime::Builder;
use tokio::time::sleep;

use crate::support::{self, Program, World, held_work, idle, next_message, within};
use broker::Broker;
use clients::{JobsService, Watcher};

const DEVICE: &str = "test-device";
/// How the device is known to the broker: by its certificate.
const KNOWN_BY: &str = "u'AWS IoT Certificate'";

fn flags(world: &World, broker: &Broker, more: &[&str]) -> Vec<String> {
    let port = broker.port.to_string();
    world.flags(&[&["--port", &port, "--client_id", DEVICE], more].concat())
}

fn start(world: &World, broker: &Broker, more: &[&str]) -> Program {
    Program::start(&flags(world, broker, more))
}

/// How to connect to the broker without the sample, with short waits.
fn options(world: &World, broker: &Broker) -> Options {
    support::settings(&flags(world, broker, &[])).mqtt
}

/// Lives a device's life, and ends it with nothing said to the broker: no DISCONNECT.
async fn vanishes<T: Send + 'static>(life: impl Future<Output = T> + Send + 'static) {
    let life = move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let left = runtime.block_on(life);
        drop(runtime); // with the connection
        drop(left);
    };
    within(tokio::task::spawn_blocking(life)).await.unwrap();
}

/// Asks the device to end, which it does in good order.
async fn stop(world: &World, device: Program) {
    let ended = device.interrupt().await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(world.core.journal().violations(), [""; 0]);
}

#[tokio::test]
#[ignore = "needs mosquitto: cargo test --test it -- --ignored mosquitto"]
async fn jobs_are_done_for_a_device_that_is_known_by_its_certificate() {
    let world = World::with_jobs(&["first", "second"]).await;
    let broker = Broker::start(&world).await;
    let _service = JobsService::start(&world, &broker).await;
    let device = start(&world, &broker, &[]);
    for job_id in ["first", "second"] {
        world.succeeds(job_id).await;
    }
    device.out.wait_for(lines::NOTHING_TO_START).await;
    world.queue(&["told"]); // by an event
    world.succeeds("told").await;
    let connected = format!("as {DEVICE} (p5, c1, k30, {KNOWN_BY})");
    broker.log().wait_for(&connected).await;
    assert_eq!(device.err.text(), "");
    stop(&world, device).await;
    broker
        .log()
        .wait_for(&format!("Received DISCONNECT from {DEVICE}"))
        .await;
}

/// It is killed in the middle of a job, and comes back when the work is done. Returns how often the
/// device has subscribed to something since.
async fn kill_in_the_middle(
    world: &World,
    broker: &mut Broker,
    device: &Program,
    job_id: &str,
) -> usize {
    let jobs = |line: &str| device.out.count(line);
    let (started, done, back) = (
        jobs(lines::WORK_STARTED),
        jobs(lines::WORK_DONE),
        device.err.count(lines::CONNECTION_BACK),
    );
    world.queue(&[job_id]);
    device
        .out
        .wait_for_count(started + 1, lines::WORK_STARTED)
        .await;
    broker.kill().await;
    device.out.wait_for_count(done + 1, lines::WORK_DONE).await;
    broker.start_again().await;
    world.succeeds(job_id).await;
    device
        .err
        .wait_for_count(back + 1, lines::CONNECTION_BACK)
        .await;
    broker
        .log()
        .count(&format!("Received SUBSCRIBE from {DEVICE}"))
}

#[tokio::test]
#[ignore = "needs mosquitto: cargo test --test it -- --ignored mosquitto"]
async fn a_broker_that_is_killed_is_subscribed_to_again_only_if_it_has_lost_the_session() {
    let world = World::new().await;
    let mut broker = Broker::start(&world).await;
    let _service = JobsService::start(&world, &broker).await;
    let device = start(&world, &broker, &["--job_time", "2"]);
    device.out.wait_for(lines::NOTHING_TO_START).await;
    // mosquitto 2.0 has no session on disk that began with a clean start, as the program's first does.
    for (job_id, session_present) in [("first", 0), ("second", 1)] {
        let subscribed = kill_in_the_middle(&world, &mut broker, &device, job_id).await;
        let connack = format!("Sending CONNACK to {DEVICE} ({session_present}, 0)");
        broker.log().wait_for(&connack).await;
        assert_eq!(subscribed, 1 - session_present, "{job_id}");
        broker.has_on_disk("jobs/notify-next").await;
    }
    world.queue(&["told"]);
    world.succeeds("told").await;
    assert_eq!(
        device.out.count(lines::WORK_STARTED),
        3,
        "{}",
        device.out.text()
    );
    stop(&world, device).await;
}

#[tokio::test]
#[ignore = "needs mosquitto: cargo test --test it -- --ignored mosquitto"]
async fn a_broker_that_stands_still_for_a_moment_is_waited_for() {
    let world = World::new().await;
    let broker = Broker::start(&world).await;
    let _service = JobsService::start(&world, &broker).await;
    let device = start(&world, &broker, &[]);
    device.out.wait_for(lines::NOTHING_TO_START).await;
    broker.freeze().await;
    world.queue(&["meanwhile"]);
    sleep(Duration::from_secs(3)).await;
    broker.thaw().await;
    world.succeeds("meanwhile").await;
    assert_eq!(device.err.text(), "");
    stop(&world, device).await;
}

#[tokio::test]
#[ignore = "needs mosquitto: cargo test --test it -- --ignored mosquitto"]
async fn a_broker_that_stands_still_for_long_is_left_and_the_report_arrives_after_all() {
    let world = World::with_jobs(&["job"]).await;
    let broker = Broker::start(&world).await;
    let _service = JobsService::start(&world, &broker).await;
    let (work, gate) = held_work();
    let running = world.run(support::settings(&flags(&world, &broker, &[])), work);
    running.out.wait_for(lines::WORK_STARTED).await;
    broker.freeze().await;
    gate.add_permits(1); // the report is on its way, and nobody acknowledges it
    running.err.wait_for(lines::TRYING_AGAIN).await;
    broker.thaw().await;
    world.succeeds("job").await;
    running.err.wait_for(lines::CONNECTION_BACK).await;
    idle(&running).await;
    assert_eq!(
        running.out.count(lines::WORK_STARTED),
        1,
        "{}",
        running.out.text()
    );
    running.stop().await.unwrap();
}

/// The device stands still while an acknowledgement comes, for longer than it would wait for one.
#[tokio::test]
#[ignore = "needs mosquitto: cargo test --test it -- --ignored mosquitto"]
async fn a_device_that_stood_still_reads_what_has_come_before_it_calls_anything_late() {
    let world = World::with_jobs(&["job"]).await;
    let broker = Broker::start(&world).await;
    let _service = JobsService::start(&world, &broker).await;
    let device = start(&world, &broker, &["--job_time", "2"]);
    device.out.wait_for(lines::WORK_STARTED).await;
    broker.freeze().await; // so that nothing answers before the device stands still
    device
        .out
        .wait_for("Publishing request to update job")
        .await;
    device.freeze().await;
    broker.thaw().await;
    world.succeeds("job").await;
    sleep(Duration::from_secs(12)).await;
    device.signal("CONT").await;
    device.out.wait_for(lines::NOTHING_TO_START).await;
    assert_eq!(device.err.text(), "");
    stop(&world, device).await;
}

#[tokio::test]
#[ignore = "needs mosquitto: cargo test --test it -- --ignored mosquitto"]
async fn a_will_is_published_when_the_device_vanishes_and_not_when_it_takes_leave() {
    let world = World::new().await;
    let broker = Broker::start(&world).await;
    let mut watcher = Watcher::start(&broker, "status/+").await;
    for (topic, takes_leave) in [("status/leaves", true), ("status/vanishes", false)] {
        let mut options = options(&world, &broker);
        options.will = Some(Publish::new(topic, "gone"));
        vanishes(async move {
            let (mqtt, mut events) = mqtt::connect(options);
            mqtt.publish(Publish::new(topic, "here")).await.unwrap();
            if takes_leave {
                mqtt.disconnect();
                while events.next().await.is_some() {}
            }
            (mqtt, events)
        })
        .await;
    }
    for expected in ["here", "here", "gone"] {
        assert_eq!(watcher.next().await.0, expected);
    }
    watcher.publish("status/over", "over").await;
    assert_eq!(watcher.next().await.0, "over"); // and no other will before it
}

#[tokio::test]
#[ignore = "needs mosquitto: cargo test --test it -- --ignored mosquitto"]
async fn what_is_retained_is_there_after_the_broker_was_killed() {
    let world = World::new().await;
    let mut broker = Broker::start(&world).await;
    let (mqtt, _events) = mqtt::connect(options(&world, &broker));
    let kept = Publish::new("state", "kept").retain(true);
    within(mqtt.publish(kept)).await.unwrap();
    broker.has_on_disk("kept").await;
    broker.kill().await;
    broker.start_again().await;
    let mut watcher = Watcher::start(&broker, "state").await;
    assert_eq!(watcher.next().await, ("kept".to_owned(), true));
}

#[tokio::test]
#[ignore = "needs mosquitto: cargo test --test it -- --ignored mosquitto"]
async fn what_came_while_the_device_was_off_reaches_it_although_the_broker_was_killed() {
    let world = World::new().await;
    let mut broker = Broker::start(&world).await;
    let mut options = options(&world, &broker);
    options.clean_start = false;
    let first = options.clone();
    vanishes(async move {
        let (mqtt, events) = mqtt::connect(first);
        let commands = mqtt.subscribe(["cmd/+"]);
        commands.granted().wait().await.unwrap();
        (mqtt, events, commands)
    })
    .await;
    let watcher = Watcher::start(&broker, "unused").await;
    watcher.publish("cmd/brew", "one cup").await;
    broker.has_on_disk("one cup").await;
    drop(watcher);
    broker.kill().await;
    broker.start_again().await;
    let (mqtt, _events) = mqtt::connect(options);
    let mut commands = mqtt.subscribe(["cmd/+"]);
    let (topic, payload) = next_message(&mut commands).await;
    assert_eq!((topic.as_str(), payload.as_str()), ("cmd/brew", "one cup"));
    broker
        .log()
        .wait_for(&format!("Sending CONNACK to {DEVICE} (1, 0)"))
        .await;
}
