//! A line between a device and the service that counts the bytes on it.

use std::io;
use std::ops::Sub;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Bytes of TCP payload, as the device sees them. (The headers of TCP and IP come on top.)
#[derive(Debug, Clone, Copy)]
pub struct Volume {
    pub sent: u64,
    pub received: u64,
}

impl Sub for Volume {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            sent: self.sent - earlier.sent,
            received: self.received - earlier.received,
        }
    }
}

/// A port of this machine from which every connection goes on to the service.
pub struct Line {
    pub port: u16,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Line {
    /// A line to this port.
    pub async fn to(service: u16) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let counts = Arc::<Counts>::default();
        let task = tokio::spawn(accept(listener, service, Arc::clone(&counts)));
        Ok(Self { port, counts, task })
    }

    /// What it has carried so far.
    pub fn volume(&self) -> Volume {
        Volume {
            sent: self.counts.sent.load(Ordering::Relaxed),
            received: self.counts.received.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, service: u16, counts: Arc<Counts>) {
    while let Ok((device, _)) = listener.accept().await {
        // No service: the device's connection is closed again.
        let Ok(service) = TcpStream::connect(("127.0.0.1", service)).await else {
            continue;
        };
        let (from_device, to_device) = device.into_split();
        let (from_service, to_service) = service.into_split();
        let (out, back) = (Arc::clone(&counts), Arc::clone(&counts));
        tokio::spawn(async move { carry(from_device, to_service, &out.sent).await });
        tokio::spawn(async move { carry(from_service, to_device, &back.received).await });
    }
}

/// Carries bytes in one direction until either side is closed, and counts them.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    count: &AtomicU64,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        count.fetch_add(length as u64, Ordering::Relaxed);
        if to.write_all(&buffer[..length]).await.is_err() {
            break;
        }
    }
    // The other side may be gone already.
    let _ = to.shutdown().await;
}
