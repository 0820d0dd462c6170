//! A long or narrow line below TLS: every byte arrives later than it was sent, in order, and
//! only so many of them in a second. What does not fit yet waits in a queue without a limit,
//! as it does in front of a modem.

use std::{
    io,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
    time::{Instant, sleep_until},
};

/// How many bytes may wait to be taken off the line by the gateway.
const LINE_BUFFER: usize = 1024 * 1024;

/// Bytes arrive on a narrow line as often as this, and not all at the end.
const SEGMENTS_PER_SECOND: u32 = 20;

/// What a connection reads from and writes to: a TCP stream, or the near end of a long line.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// A line with its two directions. All connections share it, also those that are closed: what
/// they have sent is still to be carried.
#[derive(Debug)]
pub struct Line {
    to_gateway: Arc<Lane>,
    to_client: Arc<Lane>,
}

/// One direction.
#[derive(Debug)]
struct Lane {
    latency: Duration,
    bytes_per_second: Option<NonZeroU32>,
    /// When all that was put on it so far has left.
    free_at: Mutex<Option<Instant>>,
}

impl Line {
    /// A line on which a byte travels for `latency`, and `bytes_per_second` fit in each
    /// direction.
    pub fn new(latency: Duration, bytes_per_second: Option<NonZeroU32>) -> Line {
        let lane = || {
            Arc::new(Lane {
                latency,
                bytes_per_second,
                free_at: Mutex::default(),
            })
        };
        Line {
            to_gateway: lane(),
            to_client: lane(),
        }
    }

    /// How long a byte travels at least, there and back.
    pub fn round_trip(&self) -> Duration {
        self.to_gateway.latency + self.to_client.latency
    }

    /// Puts the line between `stream` and the gateway, which gets its near end.
    pub fn between(&self, stream: impl Transport + 'static) -> Box<dyn Transport> {
        if self.round_trip().is_zero() && self.to_client.bytes_per_second.is_none() {
            return Box::new(stream);
        }
        let (near, far) = tokio::io::duplex(LINE_BUFFER);
        let (from_client, to_client) = tokio::io::split(stream);
        let (from_gateway, to_gateway) = tokio::io::split(far);
        let [up, down] = [&self.to_gateway, &self.to_client].map(Arc::clone);
        tokio::spawn(up.carry(from_client, to_gateway));
        tokio::spawn(down.carry(from_gateway, to_client));
        Box::new(near)
    }
}

impl Lane {
    /// Carries bytes until either side is closed.
    async fn carry(
        self: Arc<Self>,
        mut from: impl AsyncRead + Send + Unpin + 'static,
        mut to: impl AsyncWrite + Unpin,
    ) {
        let (line_in, mut line_out) = mpsc::unbounded_channel();
        let reader = tokio::spawn(async move {
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let received = from.read(&mut buffer).await.unwrap_or(0);
                let mut segments = buffer[..received].chunks(self.segment());
                let sent = segments.try_for_each(|segment| {
                    line_in.send((self.arrival(segment.len()), segment.to_vec()))
                });
                if received == 0 {
                    // The end arrives like any byte. Nobody may wait for it any more.
                    let _ = line_in.send((self.arrival(0), Vec::new()));
                }
                if received == 0 || sent.is_err() {
                    return;
                }
            }
        });
        while let Some((arrival, bytes)) = line_out.recv().await {
            sleep_until(arrival).await;
            if bytes.is_empty() || to.write_all(&bytes).await.is_err() {
                break;
            }
        }
        // Nobody listens any more, so nothing needs to be read.
        reader.abort();
        let _: io::Result<()> = to.shutdown().await;
    }

    /// The most bytes that arrive at once.
    fn segment(&self) -> usize {
        let per_segment = |rate: NonZeroU32| (rate.get() / SEGMENTS_PER_SECOND).max(1);
        let segment = self.bytes_per_second.map_or(u32::MAX, per_segment);
        usize::try_from(segment).unwrap_or(usize::MAX)
    }

    /// When this many bytes arrive that are put on the line now, behind all others.
    fn arrival(&self, bytes: usize) -> Instant {
        let takes = self.bytes_per_second.map_or(0.0, |rate| {
            // A segment: far from where a double has no room for every number.
            bytes as f64 / f64::from(rate.get())
        });
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let leaves = free_at.map_or(now, |at| at.max(now)) + Duration::from_secs_f64(takes);
        *free_at = Some(leaves);
        leaves + self.latency
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::DuplexStream;

    use super::*;

    /// A line with a latency of half a second and room for 1,000 bytes a second. Returns the
    /// client's end and the gateway's of a connection over it.
    fn connection(line: &Line) -> (DuplexStream, Box<dyn Transport>) {
        let (client, stream) = tokio::io::duplex(1024 * 1024);
        (client, line.between(stream))
    }

    fn narrow() -> Line {
        Line::new(Duration::from_millis(500), NonZeroU32::new(1000))
    }

    /// How long it takes until so many bytes are there.
    async fn arrives(bytes: usize, stream: &mut (impl AsyncRead + Unpin)) -> u128 {
        let start = Instant::now();
        stream.read_exact(&mut vec![0; bytes]).await.unwrap();
        start.elapsed().as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_take_their_time_in_each_direction() {
        let (mut client, mut gateway) = connection(&narrow());
        client.write_all(&[0; 100]).await.unwrap();
        gateway.write_all(&[0; 3000]).await.unwrap();
        assert!((600..610).contains(&arrives(100, &mut gateway).await));
        // The first of them are there long before the last.
        let first = arrives(300, &mut client).await;
        assert!((190..260).contains(&first), "{first}");
        let rest = arrives(2700, &mut client).await;
        assert!((2690..2710).contains(&rest), "{rest}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_stands_behind_what_was_sent_before() {
        let (mut client, mut gateway) = connection(&narrow());
        gateway.write_all(&[1; 30_000]).await.unwrap(); // is taken without a limit
        gateway.write_all(b"PUBACK").await.unwrap();
        let whole = arrives(30_006, &mut client).await;
        assert!((30_500..30_520).contains(&whole), "{whole}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_closed_connection_has_sent_is_still_carried() {
        let line = narrow();
        let (client, mut gateway) = connection(&line);
        gateway.write_all(&[0; 10_000]).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(client);
        let (mut client, mut gateway) = connection(&line);
        gateway.write_all(&[0; 1000]).await.unwrap();
        let takes = arrives(1000, &mut client).await;
        assert!((10_490..10_510).contains(&takes), "{takes}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_arrives_last() {
        let line = Line::new(Duration::from_millis(500), None);
        let (mut client, mut gateway) = connection(&line);
        let start = Instant::now();
        client.write_all(&[7; 5000]).await.unwrap();
        drop(client);
        let mut arrived = Vec::new();
        gateway.read_to_end(&mut arrived).await.unwrap();
        assert_eq!(arrived, [7; 5000]);
        assert_eq!(start.elapsed(), Duration::from_millis(500));
        // The other way, the line has an end as well.
        let (mut client, gateway) = connection(&line);
        drop(gateway);
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_line_without_length_is_none() {
        let (mut client, mut gateway) = connection(&Line::new(Duration::ZERO, None));
        client.write_all(b"at once").await.unwrap();
        assert!(arrives(7, &mut gateway).await < 1000);
    }
}
