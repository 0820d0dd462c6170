//! A process that stood still loses no connection: what came meanwhile is read before anything is overdue.

use std::time::Duration;

use jobs_mqtt5::jobs;
use jobs_mqtt5::mqtt::{self, Publish};
use local_iot_core::Options;
use tokio::sync::oneshot;

use crate::support::{THING, World, within};

/// What waits for the server while the process stands still.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Waits {
    Connack,
    Suback,
    Puback,
    Pingresp,
    Reply,
}

/// Has all threads of the client stand still for longer than any of its time limits, in the middle of
/// waiting. Returns how many connections it then had.
async fn stand_still(waits: Waits) -> u64 {
    let mut service = Options {
        policy: World::open_policy().to_owned(),
        ..Options::default()
    };
    service.latency = Duration::from_millis(300);
    service.limits.server_keep_alive = (waits == Waits::Pingresp).then_some(1);
    let world = World::with(service).await;
    let settings = world.settings();
    let (tell, connections) = oneshot::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let connections = runtime.block_on(async {
            let (mqtt, mut events) = mqtt::connect(settings.mqtt);
            if waits != Waits::Connack {
                while !mqtt.is_connected() {
                    events.next().await.unwrap();
                }
            }
            let waiting = tokio::spawn({
                let (mqtt, jobs) = (mqtt.clone(), settings.jobs);
                async move {
                    match waits {
                        Waits::Connack => drop(events.next().await),
                        Waits::Suback => mqtt.subscribe(["a"]).granted().wait().await.unwrap(),
                        Waits::Puback => mqtt.publish(Publish::new("a", "")).await.unwrap(),
                        Waits::Pingresp => tokio::time::sleep(Duration::from_secs(3)).await,
                        Waits::Reply => {
                            let jobs = jobs::Client::with_options(&mqtt, THING, jobs);
                            jobs.get_pending().await.unwrap();
                        }
                    }
                }
            });
            // (A ping leaves after a second, and its answer takes more than half of one.)
            let is_ping = waits == Waits::Pingresp;
            let before = if is_ping { 1_200 } else { 350 };
            tokio::time::sleep(Duration::from_millis(before)).await;
            assert!(!waiting.is_finished(), "{waits:?} is waited for");
            std::thread::sleep(Duration::from_secs(3));
            waiting.await.unwrap();
            mqtt.connection()
        });
        let _ = tell.send(connections);
    });
    within(connections).await.unwrap()
}

#[tokio::test]
async fn what_came_while_the_process_stood_still_is_read_before_anything_is_overdue() {
    let all = [
        Waits::Connack,
        Waits::Suback,
        Waits::Puback,
        Waits::Pingresp,
        Waits::Reply,
    ];
    let connections = all.map(|waits| async move { (waits, stand_still(waits).await) });
    for (waits, connections) in futures_util::future::join_all(connections).await {
        assert_eq!(connections, 1, "{waits:?}");
    }
}
