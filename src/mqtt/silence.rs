//! When the other side was last heard, whatever it said: a limit is about silence, not about slowness.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep_until};

use super::backoff::LONGEST;
use super::transport::ByteStream;

/// An answer is overdue after this many times its timeout, whatever else comes: 140 seconds. The largest
/// message that may stand before it takes 131 on the slowest link that is waited for.
const CEILING: u32 = 14;

/// What is overdue is waited for so much longer: where the process has stood still (a suspended machine,
/// a debugger), the answer is in the socket, and unread.
pub(super) const SECOND_LOOK: Duration = Duration::from_millis(10);

/// The moment at which bytes last came. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct LastHeard {
    begun: Instant,
    milliseconds: Arc<AtomicU64>,
}

impl LastHeard {
    pub fn new() -> Self {
        let milliseconds = Arc::default();
        Self {
            begun: Instant::now(),
            milliseconds,
        }
    }

    pub fn at(&self) -> Instant {
        self.begun + Duration::from_millis(self.milliseconds.load(Ordering::Relaxed))
    }

    fn now(&self) {
        let milliseconds = self.begun.elapsed().as_millis() as u64;
        self.milliseconds.store(milliseconds, Ordering::Relaxed);
    }

    /// When the answer to something sent at `since` is overdue.
    pub fn deadline(&self, since: Instant, timeout: Duration) -> Instant {
        let timeout = timeout.min(LONGEST);
        (self.at().max(since) + timeout).min(since + timeout * CEILING)
    }

    /// Waits for something while the other side is not silent for longer than `timeout`.
    ///
    /// # Errors
    /// How long it was waited for.
    pub async fn wait_for<T>(
        &self,
        timeout: Duration,
        answer: impl Future<Output = T>,
    ) -> Result<T, Duration> {
        let mut answer = std::pin::pin!(answer);
        let since = Instant::now();
        loop {
            let deadline = self.deadline(since, timeout);
            let is_over = deadline <= Instant::now();
            let until = if is_over {
                Instant::now() + SECOND_LOOK
            } else {
                deadline
            };
            tokio::select! {
                biased;
                answer = &mut answer => return Ok(answer),
                () = sleep_until(until) => if is_over && self.deadline(since, timeout) == deadline {
                    return Err(deadline - since);
                }
            }
        }
    }
}

/// A stream that notes when bytes come. It lies below TLS: a record of 16 KiB can take seconds.
pub(super) struct Heard {
    pub stream: Box<dyn ByteStream>,
    pub last: LastHeard,
}

impl AsyncRead for Heard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            self.last.now();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Heard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // TLS hands several records over at once: they are to leave in one packet.
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    const TIMEOUT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn silence_is_an_error_and_a_trickle_is_not_for_long() {
        let heard = LastHeard::new();
        let silent = heard.wait_for(TIMEOUT, pending::<()>()).await;
        assert_eq!(silent, Err(TIMEOUT));
        let trickle = async {
            loop {
                tokio::time::sleep(TIMEOUT / 2).await;
                heard.now();
            }
        };
        let slow = async {
            tokio::time::sleep(TIMEOUT * 5).await;
            "an answer"
        };
        tokio::select! {
            answer = heard.wait_for(TIMEOUT, slow) => assert_eq!(answer, Ok("an answer")),
            () = trickle => {}
        }
        let trickle = async {
            loop {
                tokio::time::sleep(TIMEOUT / 2).await;
                heard.now();
            }
        };
        tokio::select! {
            endless = heard.wait_for(TIMEOUT, pending::<()>()) => {
                assert_eq!(endless, Err(TIMEOUT * CEILING));
            }
            () = trickle => {}
        }
    }
}
