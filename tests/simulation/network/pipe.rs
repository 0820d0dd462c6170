//! One direction of a connection: bytes that travel.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

/// A sender waits while this many bytes are on the way: the send buffer of its system.
const WINDOW: usize = 64 * 1024;
/// The network carries at most this many bytes in one go.
const SEGMENT: usize = 1400;
/// Longer than any run.
const FOR_EVER: Duration = Duration::from_secs(30 * 24 * 3600);

/// What the way is like, in one direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Link {
    /// How long a byte travels.
    pub latency: Duration,
    /// How many bytes a second fit through. What does not fit queues, without a limit.
    pub bytes_per_second: Option<u32>,
}

/// How a direction ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum End {
    /// In good order, behind all that was sent.
    Closed,
    /// At once, and what is on the way is lost.
    Reset,
}

#[derive(Debug)]
pub struct Pipe {
    pub link: Link,
    /// What is on the way, with its time of arrival.
    segments: VecDeque<(Instant, Vec<u8>)>,
    in_transit: usize,
    /// When the link has room for the next byte.
    free_at: Instant,
    /// Nothing arrives before this.
    silent_until: Instant,
    end: Option<(Instant, End)>,
    is_read: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// What a reader finds.
pub enum Read {
    Bytes,
    End,
    Reset,
    /// Nothing before this time, and perhaps nothing then.
    Later(Option<Instant>),
}

impl Pipe {
    pub fn new(link: Link) -> Self {
        let now = Instant::now();
        Self {
            link,
            segments: VecDeque::new(),
            in_transit: 0,
            free_at: now,
            silent_until: now,
            end: None,
            is_read: true,
            reader: None,
            writer: None,
        }
    }

    /// Sends bytes off, whatever is on the way already.
    pub fn send(&mut self, bytes: &[u8]) {
        for segment in bytes.chunks(SEGMENT) {
            let leaves = self.free_at.max(Instant::now());
            let takes = self.link.bytes_per_second.map_or(Duration::ZERO, |rate| {
                Duration::from_secs(segment.len() as u64) / rate
            });
            self.free_at = leaves + takes;
            let arrival = self.arrival(self.free_at + self.link.latency);
            self.in_transit += segment.len();
            self.segments.push_back((arrival, segment.to_vec()));
        }
        wake(&mut self.reader);
    }

    /// Whether the sender may send more. If not, it is told later.
    pub fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let is_reset = matches!(self.end, Some((_, End::Reset)));
        if is_reset || (!self.is_read && self.silent_until <= Instant::now()) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if self.in_transit < WINDOW {
            return Poll::Ready(Ok(()));
        }
        self.writer = Some(context.waker().clone());
        Poll::Pending
    }

    /// Takes what has arrived, as much of it as there is room for.
    pub fn read(&mut self, buffer: &mut tokio::io::ReadBuf<'_>, context: &mut Context<'_>) -> Read {
        let now = Instant::now();
        if matches!(self.end, Some((at, End::Reset)) if at <= now) {
            return Read::Reset;
        }
        let before = buffer.filled().len();
        while let Some((_, segment)) = self.segments.front_mut().filter(|(at, _)| *at <= now)
            && buffer.remaining() > 0
        {
            let room = buffer.remaining().min(segment.len());
            buffer.put_slice(&segment[..room]);
            self.in_transit -= room;
            if room < segment.len() {
                segment.drain(..room);
            } else {
                self.segments.pop_front();
            }
        }
        let taken = buffer.filled().len() - before;
        if taken > 0 {
            wake(&mut self.writer);
            return Read::Bytes;
        }
        let next = self.segments.front().map(|(at, _)| *at);
        match (next, self.end) {
            (None, Some((at, _))) if at <= now => Read::End,
            (next, end) => {
                self.reader = Some(context.waker().clone());
                Read::Later(next.or(end.map(|(at, _)| at)))
            }
        }
    }

    /// The sender has no more to say, or the connection is torn.
    pub fn end(&mut self, end: End) {
        let now = Instant::now();
        if matches!(self.end, Some((_, before)) if before == End::Reset || end == End::Closed) {
            return;
        }
        let at = match end {
            End::Closed => self.arrival(self.free_at.max(now) + self.link.latency),
            End::Reset => now.max(self.silent_until),
        };
        self.end = Some((at, end));
        wake(&mut self.reader);
        wake(&mut self.writer);
    }

    /// Nobody reads any more: a sender that hears of it is told that the pipe is broken.
    pub fn abandon(&mut self) {
        self.is_read = false;
        wake(&mut self.writer);
    }

    /// Nothing arrives for this long, or never again. What is sent meanwhile comes afterwards, as
    /// with TCP.
    pub fn fall_silent(&mut self, time: Option<Duration>) {
        let now = Instant::now();
        let until = now + time.unwrap_or(FOR_EVER);
        self.silent_until = self.silent_until.max(until);
        let late = self.segments.iter_mut().filter(|(at, _)| *at > now);
        late.for_each(|(at, _)| *at = (*at).max(until));
        if let Some((at, _)) = self.end.as_mut().filter(|(at, _)| *at > now) {
            *at = (*at).max(until);
        }
        wake(&mut self.reader);
    }

    /// What is on the way arrives now, unless nothing does.
    pub fn hurry(&mut self) {
        let now = Instant::now();
        if self.silent_until <= now {
            self.segments
                .iter_mut()
                .for_each(|(at, _)| *at = now.min(*at));
            wake(&mut self.reader);
        }
    }

    /// Whether something arrives for a reader within this time, or has.
    pub fn has_by(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let first = self.segments.front().filter(|_| self.is_read);
        first.is_some_and(|(at, _)| *at <= until)
    }

    /// Bytes don't overtake one another.
    fn arrival(&self, earliest: Instant) -> Instant {
        let last = self.segments.back().map(|(at, _)| *at);
        let silent = (self.silent_until > Instant::now()).then_some(self.silent_until);
        last.into_iter().chain(silent).fold(earliest, Instant::max)
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}
