//! The wire: packets in and out, over anything that is a stream of bytes.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use rumqttc::v5::mqttbytes::v5::Packet;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout};

use super::decode::{self, Incoming};
use super::error::PublishError;
use super::reason::{ReasonCode, Violation};
use super::transport::ByteStream;

/// A DISCONNECT that can't be sent in this time is skipped.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// So many bytes are read at once. Most packets are smaller, and an idle device keeps this much.
const READ_SIZE: usize = 4 * 1024;
/// While this many bytes wait to be sent, nothing more is published…
const MANY_UNSENT: usize = 64 * 1024;
/// …and while this many do, nothing more is read: who does not read what we answer is not listened to.
const MAX_UNSENT: usize = 256 * 1024;

/// Why a wire is of no use any longer.
#[derive(Debug)]
pub(super) enum WireError {
    /// The other side closed it.
    Closed,
    Io(io::Error),
    /// The server sent what it may not send.
    Violation(Violation),
}

/// Packets in and out.
pub(super) struct Wire {
    stream: Box<dyn ByteStream>,
    received: BytesMut,
    unsent: BytesMut,
    is_flushed: bool,
    /// A write that failed. What the server sent before that can still be read, and may tell why.
    write_error: Option<io::Error>,
    /// The server's Maximum Packet Size, in bytes.
    pub max_packet_size: usize,
    /// When a packet was last handed over to be sent.
    pub sent_at: Instant,
    /// When the stream last took something, or last had nothing to take.
    pub taken_at: Instant,
}

impl Wire {
    pub fn new(stream: Box<dyn ByteStream>) -> Self {
        let now = Instant::now();
        Self {
            stream,
            received: BytesMut::new(),
            unsent: BytesMut::new(),
            is_flushed: true,
            write_error: None,
            max_packet_size: usize::MAX,
            sent_at: now,
            taken_at: now,
        }
    }

    /// Puts a packet behind those that are to be sent; [`Self::next`] sends them, as many as fit in
    /// one go. Returns its size, in bytes.
    ///
    /// # Errors
    /// If the server does not take packets of this size.
    pub fn send(&mut self, packet: &Packet) -> Result<usize, PublishError> {
        let (size, limit) = (packet.size(), self.max_packet_size);
        if size > limit {
            return Err(PublishError::TooLarge { size, limit });
        }
        self.sent_at = Instant::now();
        if self.is_sent() {
            self.taken_at = self.sent_at;
        }
        let before = self.unsent.len();
        if packet.write(&mut self.unsent, None).is_err() {
            self.unsent.truncate(before); // (it has lengths that MQTT5 does not know)
            return Err(PublishError::TooLarge { size, limit });
        }
        self.is_flushed = false;
        Ok(size)
    }

    /// The next packet of those that have been read already.
    pub fn next_read(&mut self) -> Result<Option<Incoming>, WireError> {
        decode::next(&mut self.received).map_err(WireError::Violation)
    }

    /// The next packet from the server. Sends meanwhile. Safe to cancel.
    pub async fn next(&mut self) -> Result<Incoming, WireError> {
        loop {
            if let Some(packet) = self.next_read()? {
                return Ok(packet);
            }
            self.exchange().await?;
        }
    }

    /// Sends what it can until something has been read, or there is room again. Safe to cancel.
    pub async fn exchange(&mut self) -> Result<(), WireError> {
        poll_fn(|context| self.poll_exchange(context)).await
    }

    /// Sends all that is to be sent and a DISCONNECT, and closes the stream. A server that takes
    /// nothing is not waited for.
    pub async fn disconnect(&mut self, code: ReasonCode, session_expiry: Option<u32>) {
        // (The codec gets the length of a DISCONNECT wrong.)
        self.unsent.extend_from_slice(&match session_expiry {
            None => vec![0xE0, 1, code.0],
            Some(seconds) => [&[0xE0, 7, code.0, 5, 0x11][..], &seconds.to_be_bytes()].concat(),
        });
        self.is_flushed = false;
        let closing = poll_fn(|context| {
            ready!(self.poll_send(context))?;
            Pin::new(&mut self.stream).poll_shutdown(context)
        });
        let _ = timeout(DISCONNECT_TIMEOUT, closing).await;
    }

    /// Whether the stream has taken all that was to be sent.
    pub fn is_sent(&self) -> bool {
        self.unsent.is_empty() && self.is_flushed
    }

    /// Whether more can be published.
    pub fn has_room(&self) -> bool {
        self.unsent.len() < MANY_UNSENT
    }

    /// Whether a packet has begun to come, and its end has not. (Once [`Self::next_read`] has no more.)
    pub fn has_partial_packet(&self) -> bool {
        !self.received.is_empty()
    }

    /// Sends what it can, and reads something.
    fn poll_exchange(&mut self, context: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        let had_room = self.has_room();
        if self.write_error.is_none()
            && let Poll::Ready(Err(error)) = self.poll_send(context)
        {
            self.write_error = Some(error);
        }
        if self.has_room() && !had_room {
            return Poll::Ready(Ok(()));
        }
        if self.unsent.len() > MAX_UNSENT && self.write_error.is_none() {
            return Poll::Pending; // until the stream takes some of it
        }
        let read = self.poll_read(context);
        match (read, self.write_error.take()) {
            (Poll::Pending, Some(error)) => Poll::Ready(Err(WireError::Io(error))),
            (read, error) => {
                self.write_error = error;
                read
            }
        }
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.unsent.has_remaining() {
            let stream = Pin::new(&mut self.stream);
            let written = ready!(stream.poll_write(context, &self.unsent))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unsent.advance(written);
            self.taken_at = Instant::now();
        }
        if !self.is_flushed {
            ready!(Pin::new(&mut self.stream).poll_flush(context))?;
            self.is_flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        let mut bytes = [0; READ_SIZE];
        let mut buffer = ReadBuf::new(&mut bytes);
        match ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer)) {
            Ok(()) if buffer.filled().is_empty() => Poll::Ready(Err(WireError::Closed)),
            Ok(()) => {
                self.received.extend_from_slice(buffer.filled());
                Poll::Ready(Ok(()))
            }
            Err(error) => Poll::Ready(Err(WireError::Io(error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rumqttc::v5::mqttbytes::v5::PingReq;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test]
    async fn what_is_sent_together_leaves_together_and_what_comes_in_pieces_is_put_together() {
        let (near, mut far) = duplex(64);
        let mut wire = Wire::new(Box::new(near));
        for _ in 0..3 {
            wire.send(&Packet::PingReq(PingReq)).unwrap();
        }
        let peer = async {
            let mut six = [0; 6];
            far.read_exact(&mut six).await.unwrap();
            assert_eq!(six, [0xC0, 0, 0xC0, 0, 0xC0, 0]);
            for byte in [0xD0, 0] {
                far.write_all(&[byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let (packet, ()) = tokio::join!(wire.next(), peer);
        assert_eq!(packet.unwrap(), Incoming::Pingresp);
        assert!(wire.is_sent());
    }

    #[tokio::test]
    async fn what_the_server_said_before_it_closed_is_read_although_nothing_can_be_sent() {
        let (near, mut far) = duplex(64);
        let mut wire = Wire::new(Box::new(near));
        far.write_all(&[0xE0, 1, 0x8E]).await.unwrap();
        drop(far);
        wire.send(&Packet::PingReq(PingReq)).unwrap();
        let packet = wire.next().await.unwrap();
        assert!(matches!(packet, Incoming::Disconnect { code, .. } if code.0 == 0x8E));
        assert!(wire.next().await.is_err());
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_is_not_read_from_without_end() {
        let (near, mut far) = duplex(64);
        let mut wire = Wire::new(Box::new(near));
        while wire.unsent.len() <= MAX_UNSENT + 64 {
            wire.send(&Packet::PingReq(PingReq)).unwrap();
        }
        far.write_all(&[0xD0, 0]).await.unwrap();
        let next = tokio::time::timeout(std::time::Duration::from_millis(20), wire.next());
        assert!(next.await.is_err());
    }

    #[tokio::test]
    async fn a_packet_that_is_too_large_for_the_server_is_not_sent() {
        let mut wire = Wire::new(Box::new(duplex(64).0));
        wire.max_packet_size = 1;
        let refused = wire.send(&Packet::PingReq(PingReq));
        assert_eq!(refused, Err(PublishError::TooLarge { size: 2, limit: 1 }));
        assert!(wire.is_sent());
    }

    #[tokio::test]
    async fn a_disconnect_says_why_and_how_long_the_session_is_to_be_kept() {
        for (code, expiry, bytes) in [
            (0, None, &[0xE0, 1, 0][..]),
            (0, Some(0), &[0xE0, 7, 0, 5, 0x11, 0, 0, 0, 0]),
            (0x82, None, &[0xE0, 1, 0x82]),
        ] {
            let (near, mut far) = duplex(64);
            let mut wire = Wire::new(Box::new(near));
            wire.disconnect(ReasonCode(code), expiry).await;
            let mut all = Vec::new();
            far.read_to_end(&mut all).await.unwrap();
            assert_eq!(all, bytes);
        }
    }
}
