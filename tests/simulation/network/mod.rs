//! The network between a device and the service, in virtual time: how long bytes travel, and
//! what becomes of them.
//!
//! - `pipe`: one direction of a connection
//! - `stream`: one end of a connection
//! - `wire`: sees the packets that go over a connection, and may change them
//! - `packet`: an MQTT packet, taken apart
//! - `dials`: the tries to connect

mod dials;
mod lock;
mod packet;
mod pipe;
mod stream;
mod wire;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use jobs_mqtt5::mqtt::{ByteStream, Dialing, Transport};
use local_iot_core::Service;
use tokio::time::{sleep, sleep_until};

pub use dials::{Dial, LONGEST_WAIT, longest_wait};
pub use lock::lock;
pub use packet::{Packet, Publish};
pub use pipe::{End, Link};
pub use wire::{SharedTamper, Tamper, Way};

use dials::{Dials, Underway};
use stream::{SharedPipe, SimStream};
use wire::{Traffic, Wire};

/// The next address is tried after this time.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// What an address of the service does with a device that wants to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    Answers,
    Refuses,
    /// Nothing comes back, ever.
    IsDead,
}

/// What happens to the connections that there are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Trouble {
    /// Both sides hear at once that the connection is gone.
    Reset,
    /// Nothing arrives any more in these directions, and nobody hears of it.
    Silence { up: bool, down: bool },
    /// Nothing arrives for this long; then, all of it.
    Stall(Duration),
}

/// A connection.
struct Connection {
    process: u32,
    up: SharedPipe,
    down: SharedPipe,
}

/// The network. Clones are handles to the same.
#[derive(Clone)]
pub struct Network(Arc<Mutex<Inner>>);

struct Inner {
    service: Arc<Service>,
    random: Rng,
    link: Link,
    addresses: [Address; 2],
    connections: Vec<Connection>,
    dials: Dials,
    traffic: Arc<Mutex<Traffic>>,
    tamper: Option<SharedTamper>,
}

impl Network {
    pub fn new(service: Arc<Service>, link: Link, seed: u64, tamper: Option<SharedTamper>) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            service,
            random: Rng::with_seed(seed),
            link,
            addresses: [Address::Answers; 2],
            connections: Vec::new(),
            dials: Dials::default(),
            traffic: Arc::default(),
            tamper,
        })))
    }

    /// How the addresses of the service are from now on.
    pub fn set_addresses(&self, addresses: [Address; 2]) {
        lock(&self.0).addresses = addresses;
    }

    /// What the way is like from now on, for what is sent.
    pub fn set_link(&self, link: Link) {
        let mut inner = lock(&self.0);
        inner.link = link;
        for connection in &inner.connections {
            lock(&connection.up).link = link;
            lock(&connection.down).link = link;
        }
    }

    /// Something happens to the connections that there are.
    pub fn trouble(&self, trouble: Trouble) {
        for connection in &lock(&self.0).connections {
            connection.meet(trouble);
        }
    }

    /// A process is gone: with `in_order`, its system closes its connections.
    pub fn power_off(&self, process: u32, in_order: bool) {
        let inner = lock(&self.0);
        for connection in inner.of_process(process) {
            if in_order {
                lock(&connection.up).end(End::Closed);
            } else {
                lock(&connection.up).fall_silent(None);
            }
            lock(&connection.down).fall_silent(None);
        }
    }

    /// The device has stood still for this long.
    pub fn stood_still(&self, time: Duration) {
        lock(&lock(&self.0).traffic).frozen += time;
    }

    /// Waits until the device sends something.
    pub async fn something_is_sent(&self) {
        let sent = Arc::clone(&lock(&lock(&self.0).traffic).sent);
        sent.notified().await;
    }

    /// A process is about to stand still for this long: what it has sent arrives, and what is sent to
    /// it waits until then.
    pub fn hold(&self, process: u32, time: Duration) {
        for connection in lock(&self.0).of_process(process) {
            lock(&connection.up).hurry();
            lock(&connection.down).fall_silent(Some(time));
        }
    }

    /// Whether something will have come for a process when it goes on after this time.
    pub fn has_for(&self, process: u32, time: Duration) -> bool {
        let inner = lock(&self.0);
        let mut its = inner.of_process(process);
        its.any(|connection| lock(&connection.down).has_by(time))
    }

    /// Every try to connect so far.
    pub fn dials(&self) -> Vec<Dial> {
        lock(&self.0).dials.list()
    }

    /// The most publishes that a connection has sent within one second.
    pub fn most_publishes(&self) -> usize {
        lock(&lock(&self.0).traffic).most_publishes
    }

    /// The longest time that the device sent nothing on a connection.
    pub fn longest_silence(&self) -> Duration {
        lock(&lock(&self.0).traffic).longest_silence
    }

    /// A try by TCP: the first address that answers, as RFC 8305 has it.
    async fn dial(&self, process: u32, limit: Duration) -> io::Result<SimStream> {
        let (dial, addresses, round_trip) = {
            let inner = lock(&self.0);
            let dial = inner.dials.begin(process);
            (dial, inner.addresses, inner.link.latency * 2)
        };
        for (address, nth) in addresses.into_iter().zip(0u32..) {
            match address {
                Address::Answers => {
                    sleep(round_trip).await;
                    return Ok(self.open(process, dial));
                }
                Address::Refuses => sleep(round_trip).await,
                Address::IsDead if nth + 1 == addresses.len() as u32 => sleep(limit).await,
                Address::IsDead => sleep(ATTEMPT_DELAY).await,
            }
        }
        let refused = addresses.contains(&Address::Refuses);
        Err(match refused {
            true => io::ErrorKind::ConnectionRefused.into(),
            false => io::ErrorKind::TimedOut.into(),
        })
    }

    /// A connection; the service begins to serve it.
    fn open(&self, process: u32, dial: Underway) -> SimStream {
        dial.connected();
        let mut inner = lock(&self.0);
        let wire = Wire::new(Arc::clone(&inner.traffic), inner.tamper.clone());
        let wire = Arc::new(Mutex::new(wire));
        let (up, down): (SharedPipe, SharedPipe) = (inner.new_pipe(), inner.new_pipe());
        let (near_up, near_down) = (Arc::clone(&up), Arc::clone(&down));
        let (far_up, far_down) = (Arc::clone(&up), Arc::clone(&down));
        let near = SimStream::new(near_down, near_up, Arc::clone(&wire), Way::Up, Some(dial));
        let far = SimStream::new(far_up, far_down, wire, Way::Down, None);
        inner.connections.retain(Connection::is_open);
        inner.connections.push(Connection { process, up, down });
        tokio::spawn(inner.service.serve(far));
        near
    }
}

impl Inner {
    fn of_process(&self, process: u32) -> impl Iterator<Item = &Connection> {
        let all = self.connections.iter();
        all.filter(move |one| one.process == process)
    }

    fn new_pipe(&mut self) -> SharedPipe {
        let mut link = self.link;
        // No two connections take the same way.
        link.latency += link.latency.mul_f64(self.random.f64() / 4.0);
        Arc::new(Mutex::new(pipe::Pipe::new(link)))
    }
}

impl Connection {
    fn is_open(&self) -> bool {
        Arc::strong_count(&self.up) > 1
    }

    fn meet(&self, trouble: Trouble) {
        let (mut up, mut down) = (lock(&self.up), lock(&self.down));
        match trouble {
            Trouble::Reset => {
                up.end(End::Reset);
                down.end(End::Reset);
            }
            Trouble::Stall(time) => {
                up.fall_silent(Some(time));
                down.fall_silent(Some(time));
            }
            Trouble::Silence {
                up: up_too,
                down: down_too,
            } => {
                if up_too {
                    up.fall_silent(None);
                }
                if down_too {
                    down.fall_silent(None);
                }
            }
        }
    }
}

/// A process's way to the network, until its power is off.
pub struct Modem {
    pub network: Network,
    pub process: u32,
    /// If not, each try is held back until the longest wait that there can be is over.
    pub has_jitter: bool,
    pub is_on: Arc<AtomicBool>,
}

impl Transport for Modem {
    fn dial<'a>(&'a self, _host: &'a str, _port: u16, limit: Duration) -> Dialing<'a> {
        Box::pin(async move {
            if !self.is_on.load(Ordering::Relaxed) {
                return std::future::pending().await;
            }
            if !self.has_jitter {
                let latest = lock(&self.network.0).dials.latest_next(self.process);
                sleep_until(latest).await;
            }
            let stream = self.network.dial(self.process, limit).await?;
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }
}
