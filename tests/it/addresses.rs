//! A name with several addresses, some of them dead: the next is tried after 250 ms (RFC 8305), at once
//! after one that fails at once, and the message tells what became of each.
//!
//! A dead address answers no SYN: a listening socket with a full backlog does that on loopback. The
//! addresses come from a transport of the test's; that the program asks for all of a name is in
//! `src/mqtt/transport.rs`.
#![cfg(target_os = "linux")] // where all of 127.0.0.0/8 is this machine, and a full backlog is silent

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jobs_mqtt5::mqtt::{
    self, ByteStream, ConnectionErrorKind, Dialing, Event, Publish, Transport, connect_first,
};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::support::{ForwardProxy, World, within};

/// An address that answers no SYN, until it is dropped.
struct Dead {
    address: SocketAddr,
    _listener: TcpListener,
    _fillers: Vec<TcpStream>,
}

impl Dead {
    async fn at(host: &str) -> Dead {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{host}:0").parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut fillers = Vec::new();
        // The backlog holds a few; who comes after them gets no answer.
        while let Ok(stream) =
            tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
        {
            fillers.push(stream.unwrap());
        }
        assert!(fillers.len() < 10, "the backlog has no end");
        Dead {
            address,
            _listener: listener,
            _fillers: fillers,
        }
    }
}

/// An address that refuses. (Nobody listens on the lowest ports.)
fn refusing(host: &str) -> SocketAddr {
    format!("{host}:1").parse().unwrap()
}

/// Resolves every name to these.
struct Resolved(Vec<SocketAddr>);

impl Transport for Resolved {
    fn dial<'a>(&'a self, _host: &'a str, _port: u16, limit: Duration) -> Dialing<'a> {
        Box::pin(async move {
            // A name server takes its time.
            tokio::time::sleep(Duration::from_millis(30)).await;
            let stream = connect_first(self.0.iter().copied(), limit).await?;
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }
}

fn alive(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// How long a connect takes with a name of these addresses.
async fn connects(world: &World, addresses: Vec<SocketAddr>) -> Duration {
    let mut options = world.settings().mqtt;
    options.transport = Arc::new(Resolved(addresses));
    let began = Instant::now();
    let (mqtt, mut events) = mqtt::connect(options);
    match within(events.next()).await {
        Some(Event::Connected { .. }) => {}
        other => panic!("{other:?}"),
    }
    let took = began.elapsed();
    within(mqtt.publish(Publish::new("a", "x"))).await.unwrap();
    took
}

#[tokio::test]
async fn a_first_address_that_is_dead_costs_a_quarter_of_a_second() {
    let world = World::open().await;
    let dead = Dead::at("127.0.0.2").await;
    let took = connects(&world, vec![dead.address, alive(world.core.port())]).await;
    assert!(
        took >= Duration::from_millis(250),
        "it was not dead: {took:?}"
    );
    let tcp_timeout = world.settings().mqtt.tcp_timeout;
    assert!(took < tcp_timeout, "it was waited for: {took:?}");
}

#[tokio::test]
async fn several_that_are_dead_cost_a_quarter_of_a_second_each() {
    let world = World::open().await;
    let dead = [Dead::at("127.0.0.2").await, Dead::at("127.0.0.3").await];
    let mut addresses: Vec<_> = dead.iter().map(|dead| dead.address).collect();
    addresses.push(alive(world.core.port()));
    let took = connects(&world, addresses).await;
    assert!(
        took >= Duration::from_millis(500),
        "they were not dead: {took:?}"
    );
}

#[tokio::test]
async fn what_fails_at_once_is_followed_at_once() {
    let world = World::open().await;
    let mut addresses: Vec<_> = (2..12).map(|n| refusing(&format!("127.0.0.{n}"))).collect();
    addresses.push(alive(world.core.port()));
    let took = connects(&world, addresses).await;
    assert!(took < Duration::from_millis(2_250), "{took:?}"); // ten waits would be 2.5 s
}

#[tokio::test]
async fn the_message_tells_what_became_of_each() {
    let world = World::open().await;
    let dead = Dead::at("127.0.0.2").await;
    let refusing = refusing("127.0.0.3");
    let mut options = world.settings().mqtt;
    options.tcp_timeout = Duration::from_millis(700);
    options.transport = Arc::new(Resolved(vec![dead.address, refusing]));
    let began = Instant::now();
    let (_mqtt, mut events) = mqtt::connect(options);
    let error = match within(events.next()).await {
        Some(Event::Interrupted { error, .. }) => error,
        other => panic!("{other:?}"),
    };
    assert!(
        began.elapsed() >= Duration::from_millis(700),
        "it gave up too early"
    );
    assert_eq!(error.kind(), ConnectionErrorKind::Unreachable);
    let words = error.to_string();
    assert!(
        words.contains(&format!("{}: no answer", dead.address)),
        "{words}"
    );
    assert!(words.contains(&format!("{refusing}: refused")), "{words}");
}

#[tokio::test]
async fn an_address_that_dies_while_the_device_is_connected_is_no_obstacle() {
    let world = World::open().await;
    let dead = Dead::at("127.0.0.2").await;
    let mut options = world.settings().mqtt;
    options.transport = Arc::new(Resolved(vec![dead.address, alive(world.core.port())]));
    let (mqtt, _) = mqtt::connect(options);
    for connection in 1..4 {
        within(mqtt.publish(Publish::new("a", "x"))).await.unwrap();
        assert_eq!(mqtt.connection(), connection);
        world.core.drop_connections();
        while mqtt.connection() == connection {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn the_name_of_a_proxy_can_have_a_dead_address_as_well() {
    let world = World::open().await;
    let proxy = ForwardProxy::start(world.core.port()).await;
    let dead = Dead::at("127.0.0.2").await;
    let mut options = world.settings().mqtt;
    options.proxy = Some(mqtt::Proxy::new("proxy.example.com", proxy.port));
    options.transport = Arc::new(Resolved(vec![dead.address, alive(proxy.port)]));
    let (mqtt, _) = mqtt::connect(options);
    within(mqtt.publish(Publish::new("a", "x"))).await.unwrap();
    assert_eq!(
        proxy.asked_for(),
        [format!("localhost:{}", world.core.port())]
    );
}

/// The real program asks for all addresses of `localhost`. Where that is [::1] as well, nobody listens
/// there: it must go on.
#[tokio::test]
async fn localhost_may_be_two_addresses() {
    let world = World::with_jobs(&["job"]).await;
    let program = world.start(&[]);
    world.succeeds("job").await;
    assert_eq!(program.err.text(), "");
    program.kill().await;
}
