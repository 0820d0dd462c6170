//! One end of a connection, as a stream of bytes.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::dials::Underway;
use super::lock::lock;
use super::pipe::{End, Pipe, Read};
use super::wire::{Way, Wire};

/// A system gives a connection up when nothing gets through for this long (as Linux does).
const GIVES_UP: Duration = Duration::from_secs(15 * 60);

pub type SharedPipe = Arc<Mutex<Pipe>>;

/// One end of a connection.
pub struct SimStream {
    incoming: SharedPipe,
    outgoing: SharedPipe,
    /// Sees each packet that is sent, and may change it.
    wire: Arc<Mutex<Wire>>,
    way: Way,
    arrival: Pin<Box<Sleep>>,
    /// When a sender that waits for room gives up.
    gives_up: Option<Pin<Box<Sleep>>>,
    /// The device's end: the try that made it.
    _dial: Option<Underway>,
}

impl SimStream {
    pub fn new(
        incoming: SharedPipe,
        outgoing: SharedPipe,
        wire: Arc<Mutex<Wire>>,
        way: Way,
        dial: Option<Underway>,
    ) -> Self {
        let arrival = Box::pin(sleep_until(Instant::now()));
        Self {
            incoming,
            outgoing,
            wire,
            way,
            arrival,
            gives_up: None,
            _dial: dial,
        }
    }
}

impl AsyncRead for SimStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let read = lock(&self.incoming).read(buffer, context);
            match read {
                Read::Bytes | Read::End => return Poll::Ready(Ok(())),
                Read::Reset => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                Read::Later(None) => return Poll::Pending,
                Read::Later(Some(at)) => {
                    self.arrival.as_mut().reset(at);
                    ready!(self.arrival.as_mut().poll(context));
                }
            }
        }
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let room = lock(&self.outgoing).poll_room(context);
        if room.is_pending() {
            let gives_up = || Box::pin(sleep(GIVES_UP));
            let waits = self.gives_up.get_or_insert_with(gives_up);
            ready!(waits.as_mut().poll(context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.gives_up = None;
        ready!(room)?;
        let sent = lock(&self.wire).carry(self.way, bytes);
        lock(&self.outgoing).send(&sent);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        lock(&self.outgoing).end(End::Closed);
        Poll::Ready(Ok(()))
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        if self.way == Way::Up {
            lock(&self.wire).closed();
        }
        lock(&self.outgoing).end(End::Closed);
        lock(&self.incoming).abandon();
    }
}
