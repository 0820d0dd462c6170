//! How a stream of bytes to a server is opened: by TCP to the first address that answers, or in a way
//! of your own.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::backoff::LONGEST;
use super::lookup::Names;

/// A stream of bytes, both ways.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// A stream that is being opened.
pub type Dialing<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn ByteStream>>> + Send + 'a>>;

/// Opens streams of bytes. The connection speaks TLS and MQTT over what it opens, so a SOCKS proxy, a
/// modem's socket or a Unix socket can take the place of TCP:
///
/// ```
/// use std::time::Duration;
/// use jobs_mqtt5::mqtt::{Dialing, ByteStream, Transport};
///
/// /// A tunnel to the server that another program keeps open.
/// struct Tunnel(std::path::PathBuf);
///
/// # #[cfg(unix)]
/// impl Transport for Tunnel {
///     fn dial<'a>(&'a self, _host: &'a str, _port: u16, _limit: Duration) -> Dialing<'a> {
///         Box::pin(async {
///             let stream = tokio::net::UnixStream::connect(&self.0).await?;
///             Ok(Box::new(stream) as Box<dyn ByteStream>)
///         })
///     }
/// }
/// ```
pub trait Transport: Send + Sync {
    /// Opens a stream to this host and port, within this time, or says what became of it. A second later
    /// it is dropped.
    fn dial<'a>(&'a self, host: &'a str, port: u16, limit: Duration) -> Dialing<'a>;
}

/// TCP, to the first address of the host that answers (RFC 8305).
///
/// The addresses of a name are remembered: if no name server answers soon, those that it had last are
/// tried. A look-up may outlast the limit of a try; what it brings then serves the next.
pub struct Tcp(Names);

impl Tcp {
    /// The same, with a look-up of names in place of the system's. It may block.
    pub fn resolved_by<R>(resolve: R) -> Self
    where
        R: Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    {
        Self(Names::resolved_by(Arc::new(resolve)))
    }
}

impl Default for Tcp {
    fn default() -> Self {
        Self::resolved_by(|host, port| Ok((host, port).to_socket_addrs()?.collect()))
    }
}

impl Transport for Tcp {
    fn dial<'a>(&'a self, host: &'a str, port: u16, limit: Duration) -> Dialing<'a> {
        Box::pin(async move {
            let begun = Instant::now();
            let addresses = self.0.addresses(host, port, limit).await?;
            let left = limit.saturating_sub(begun.elapsed());
            let stream = connect_first(addresses, left).await?;
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }
}

/// The next address is tried after this time, while those before have not answered (RFC 8305, section
/// 8: Connection Attempt Delay).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Connects to the first of these addresses that answers: IPv6 and IPv4 in turn, 250 ms apart, at once
/// after one that fails at once. For a [`Transport`] that knows the addresses by itself. Safe to cancel.
///
/// # Errors
/// If none answers within the limit: what became of each ([`AddressErrors`]).
pub async fn connect_first(
    addresses: impl IntoIterator<Item = SocketAddr>,
    limit: Duration,
) -> io::Result<TcpStream> {
    let addresses = in_turn(addresses);
    let deadline = Instant::now() + limit.min(LONGEST);
    let mut to_try = addresses.iter().enumerate();
    let mut attempts = FuturesUnordered::new();
    let mut failed = BTreeMap::new(); // in the order in which they were tried
    let mut next_at = Instant::now();
    loop {
        tokio::select! {
            biased;
            Some((nth, address, connected)) = attempts.next() => match connected {
                Ok(stream) => return Ok(stream),
                Err(error) => {
                    failed.insert(nth, (address, error));
                    next_at = Instant::now();
                }
            },
            () = sleep_until(next_at), if to_try.len() > 0 => {
                if let Some((nth, address)) = to_try.next() {
                    attempts.push(attempt(nth, *address, deadline));
                    next_at = Instant::now() + ATTEMPT_DELAY;
                }
            }
            else => break,
        }
    }
    Err(io::Error::other(AddressErrors(
        failed.into_values().collect(),
    )))
}

async fn attempt(
    nth: usize,
    address: SocketAddr,
    deadline: Instant,
) -> (usize, SocketAddr, io::Result<TcpStream>) {
    let connected = timeout_at(deadline, TcpStream::connect(address)).await;
    let stream = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    if let Ok(stream) = &stream {
        let _ = stream.set_nodelay(true); // small packets are not to wait for acknowledgements
    }
    (nth, address, stream)
}

/// The addresses with the families in turn, beginning with that of the first (RFC 8305, section 4).
fn in_turn(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut addresses = addresses.into_iter().peekable();
    let first_is_v6 = addresses.peek().is_some_and(SocketAddr::is_ipv6);
    let (same, other): (Vec<_>, Vec<_>) =
        addresses.partition(|address| address.is_ipv6() == first_is_v6);
    let (mut same, mut other) = (same.into_iter(), other.into_iter());
    let mut all = Vec::new();
    while same.len() + other.len() > 0 {
        all.extend(same.next());
        all.extend(other.next());
    }
    all
}

/// What became of each address of a host.
#[derive(Debug)]
pub struct AddressErrors(Vec<(SocketAddr, io::Error)>);

impl std::error::Error for AddressErrors {}

impl fmt::Display for AddressErrors {
    /// `[2600:…]:8883: no answer; 52.…:8883: refused`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("the name has no address");
        }
        let each = self.0.iter().map(|(address, error)| match error.kind() {
            io::ErrorKind::TimedOut => format!("{address}: no answer"),
            io::ErrorKind::ConnectionRefused => format!("{address}: refused"),
            _ => format!("{address}: {error}"),
        });
        f.write_str(&each.collect::<Vec<_>>().join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_families_take_turns() {
        let (v4, v6) = ("52.1.1.1:8883", "[2600::1]:8883");
        for (given, tried) in [
            (&[v6, v6, v4, v4, v4][..], &[v6, v4, v6, v4, v4][..]),
            (&[v4, v4, v6], &[v4, v6, v4]),
            (&[v4], &[v4]),
            (&[], &[]),
        ] {
            let parse = |all: &[&str]| -> Vec<SocketAddr> {
                all.iter().map(|one| one.parse().unwrap()).collect()
            };
            assert_eq!(in_turn(parse(given)), parse(tried));
        }
    }

    #[test]
    fn what_became_of_each_address_is_told() {
        let errors = |kinds: &[io::ErrorKind]| {
            let address: SocketAddr = "127.0.0.1:1".parse().unwrap();
            AddressErrors(kinds.iter().map(|kind| (address, (*kind).into())).collect()).to_string()
        };
        assert_eq!(
            errors(&[io::ErrorKind::TimedOut, io::ErrorKind::ConnectionRefused]),
            "127.0.0.1:1: no answer; 127.0.0.1:1: refused"
        );
        assert_eq!(errors(&[]), "the name has no address");
    }
}
