//! A server that takes what is sent slowly, or not at all: nothing piles up, what the server says is heard
//! meanwhile, and what is on its way is waited for. All in tokio's time.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use jobs_mqtt5::mqtt::{
    self, ByteStream, ConnectionErrorKind, Dialing, Publish, PublishError, QoS, Transport,
};
use local_iot_core::Event;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{World, within};

const CONNACK: &[u8] = &[0x20, 3, 0, 0, 0];
/// To the first SUBSCRIBE, with packet ID 1.
const SUBACK: &[u8] = &[0x90, 4, 0, 1, 0, 1];
/// To the first publish, with packet ID 1.
const PUBACK: &[u8] = &[0x40, 2, 0, 1];
const PINGRESP: &[u8] = &[0xD0, 0];
/// A message on `in`, of QoS 0.
const MESSAGE: &[u8] = &[0x30, 6, 0, 2, b'i', b'n', 0, b'x'];

/// A server that takes so many bytes a second. It looks at none of them.
#[derive(Clone)]
struct Slow {
    bytes_per_second: usize,
    /// Bytes on their way that take no time, as in the buffers of a system.
    buffer: usize,
    taken: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
    /// What it does with a connection.
    serves: fn(Slow, DuplexStream),
}

impl Slow {
    fn new(bytes_per_second: usize, serves: fn(Slow, DuplexStream)) -> Self {
        let (taken, connections) = Default::default();
        Self {
            bytes_per_second,
            buffer: 1024,
            taken,
            connections,
            serves,
        }
    }

    fn options(&self) -> mqtt::Options {
        mqtt::Options::without_tls("slow", "device", Arc::new(self.clone()))
    }

    async fn take_all(self, mut from: impl AsyncReadExt + Unpin) {
        let mut bytes = vec![0; self.bytes_per_second / 20];
        while let Ok(read @ 1..) = from.read(&mut bytes).await {
            self.taken.fetch_add(read, SeqCst);
            sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Transport for Slow {
    fn dial<'a>(&'a self, _host: &'a str, _port: u16, _limit: Duration) -> Dialing<'a> {
        let (near, far) = duplex(self.buffer);
        self.connections.fetch_add(1, SeqCst);
        (self.serves)(self.clone(), far);
        Box::pin(async { Ok(Box::new(near) as Box<dyn ByteStream>) })
    }
}

/// Accepts at once, and sends a message each second.
fn talks(server: Slow, stream: DuplexStream) {
    let (from, mut to) = split(stream);
    tokio::spawn(server.take_all(from));
    tokio::spawn(async move {
        let mut says = [CONNACK, SUBACK].into_iter();
        while to.write_all(says.next().unwrap_or(MESSAGE)).await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
    });
}

/// Says nothing after the CONNACK until it has taken 100,000 bytes.
fn answers_at_the_end(server: Slow, stream: DuplexStream) {
    let (from, mut to) = split(stream);
    let taken = Arc::clone(&server.taken);
    tokio::spawn(server.take_all(from));
    tokio::spawn(async move {
        to.write_all(CONNACK).await.unwrap();
        while taken.load(SeqCst) < 100_000 {
            sleep(Duration::from_millis(100)).await;
        }
        let answers = [PUBACK, PINGRESP].concat();
        to.write_all(&answers).await.unwrap();
        std::future::pending::<()>().await;
    });
}

#[tokio::test(start_paused = true)]
async fn messages_of_qos_0_wait_for_a_slow_server_and_hide_nothing_from_the_device() {
    let server = Slow::new(20_000, talks);
    let (mqtt, _events) = mqtt::connect(server.options());
    let mut inbox = mqtt.subscribe(["in"]);
    within(inbox.granted().wait()).await.unwrap();
    let mut accepted = 0;
    let sending = async {
        loop {
            let publish = Publish::new("out", vec![b'x'; 1_000]).qos(QoS::AtMostOnce);
            mqtt.publish(publish).await.unwrap();
            accepted += 1_000;
        }
    };
    let mut heard = 0;
    let hearing = async {
        loop {
            inbox.next().await.unwrap();
            heard += 1;
        }
    };
    tokio::select! {
        () = sending => {}
        () = hearing => {}
        () = sleep(Duration::from_secs(300)) => {}
    }
    let taken = server.taken.load(SeqCst);
    assert!(taken > 5_000_000, "it has to leave all the time: {taken}");
    assert!(accepted < taken + 70_000, "{accepted} of {taken} taken");
    assert!(heard >= 295, "one came each second: {heard}");
    assert_eq!(server.connections.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn messages_of_qos_0_leave_as_the_server_takes_them_although_it_says_nothing() {
    let server = Slow::new(20_000, answers_at_the_end);
    let (mqtt, _events) = mqtt::connect(server.options());
    let sending = async {
        for _ in 0..20 {
            let publish = Publish::new("out", vec![b'x'; 10_000]).qos(QoS::AtMostOnce);
            mqtt.publish(publish).await.unwrap();
        }
    };
    timeout(Duration::from_secs(15), sending).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_pingreq_behind_a_large_message_is_not_overdue() {
    let server = Slow::new(1_000, answers_at_the_end);
    let (mqtt, _events) = mqtt::connect(server.options());
    let large = Publish::new("out", vec![b'x'; 100_000]);
    let published = timeout(Duration::from_secs(150), mqtt.publish(large)).await;
    published.unwrap().unwrap();
    assert_eq!(server.connections.load(SeqCst), 1);
}

/// Accepts, and says nothing more.
fn says_nothing(_: Slow, mut stream: DuplexStream) {
    tokio::spawn(async move {
        stream.write_all(CONNACK).await.unwrap();
        std::future::pending::<()>().await;
    });
}

#[tokio::test(start_paused = true)]
async fn a_dead_link_is_noticed_within_three_minutes_however_much_is_on_its_way() {
    for (count, size, limit) in [(1, 10, 11), (20, 100, 11), (20, 100_000, 180)] {
        let mut server = Slow::new(1, says_nothing);
        server.buffer = 4 * 1024 * 1024; // the system takes it all
        let (mqtt, mut events) = mqtt::connect(server.options());
        for _ in 0..count {
            let mqtt = mqtt.clone();
            let publish = Publish::new("out", vec![b'x'; size]);
            tokio::spawn(async move { mqtt.publish(publish).await });
        }
        let begun = Instant::now();
        let error = timeout(Duration::from_secs(3_600), async {
            loop {
                if let Some(mqtt::Event::Interrupted { error, .. }) = events.next().await {
                    return error;
                }
            }
        });
        let kind = error.await.unwrap().kind();
        assert_eq!(kind, ConnectionErrorKind::Overdue);
        let took = begun.elapsed().as_secs();
        assert!(took <= limit, "{count} of {size} bytes: {took} s");
    }
}

/// A world that takes and brings 1,000 bytes in a second.
async fn narrow() -> (World, mqtt::Options) {
    let world = World::set(|options| {
        options.bytes_per_second = NonZeroU32::new(1_000);
        options.policy = World::open_policy().to_owned();
    })
    .await;
    let mut options = world.settings().mqtt;
    options.transport = world.tunnel(Duration::ZERO);
    options.keep_alive = Duration::from_secs(30);
    options.ack_timeout = Duration::from_secs(10);
    options.handshake_timeout = Duration::from_secs(10);
    (world, options)
}

fn connects(world: &World) -> usize {
    let connect = |event: &Event| matches!(event, Event::Connect { .. });
    world.core.journal().count(connect)
}

#[tokio::test(start_paused = true)]
async fn the_server_hears_of_the_device_all_the_while_that_a_large_message_comes() {
    let (world, options) = narrow().await;
    let (mqtt, _events) = mqtt::connect(options);
    let mut inbox = mqtt.subscribe(["in"]);
    let granted = timeout(Duration::from_secs(60), inbox.granted().wait()).await;
    granted.unwrap().unwrap();
    world.core.publish("in", vec![b'x'; 100_000]).unwrap();
    let message = timeout(Duration::from_secs(150), inbox.next()).await;
    assert_eq!(message.unwrap().unwrap().payload.len(), 100_000);
    assert_eq!(connects(&world), 1);
    assert_eq!(world.core.journal().violations(), [""; 0]); // it counts one and a half keep-alives
}

#[tokio::test(start_paused = true)]
async fn a_message_that_no_connection_lasts_for_is_given_up() {
    let (world, mut options) = narrow().await;
    options.keep_alive = Duration::from_secs(80); // the server hangs up after 120 s; the message takes 131
    let (mqtt, _events) = mqtt::connect(options);
    let large = Publish::new("out", vec![b'x'; 128 * 1024]);
    let published = timeout(Duration::from_secs(1_000), mqtt.publish(large)).await;
    assert_eq!(published.unwrap(), Err(PublishError::SessionLost));
    assert!(connects(&world) >= 3);
}
