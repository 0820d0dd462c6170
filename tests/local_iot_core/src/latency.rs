//! A long line: every byte arrives later than it was sent, in order, and none waits for another.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::{Instant, sleep_until},
};

/// How many bytes may wait to be taken off the line by the gateway.
const LINE_BUFFER: usize = 1024 * 1024;

/// What a connection reads from and writes to: a TCP stream, or the near end of a long line.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// Puts a delay of `latency` into each direction of `stream`.
pub fn delayed(stream: TcpStream, latency: Duration) -> Box<dyn Transport> {
    if latency.is_zero() {
        return Box::new(stream);
    }
    let (near, far) = tokio::io::duplex(LINE_BUFFER);
    let (from_client, to_client) = stream.into_split();
    let (from_gateway, to_gateway) = tokio::io::split(far);
    tokio::spawn(carry(from_client, to_gateway, latency));
    tokio::spawn(carry(from_gateway, to_client, latency));
    Box::new(near)
}

/// Carries bytes in one direction until either side is closed.
async fn carry(
    mut from: impl AsyncRead + Send + Unpin + 'static,
    mut to: impl AsyncWrite + Unpin,
    latency: Duration,
) {
    let (line_in, mut line_out) = mpsc::unbounded_channel();
    let reader = tokio::spawn(async move {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let received = from.read(&mut buffer).await.unwrap_or(0);
            let arrival = Instant::now() + latency;
            let sent = line_in.send((arrival, buffer[..received].to_vec()));
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
