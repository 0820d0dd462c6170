//! One MQTT connection: bytes in, packets handled, bytes out.

use std::{collections::HashSet, io, mem, sync::Arc, time::Duration};

use mqtt_protocol_core::mqtt::{
    self, Version,
    packet::{v5_0, v5_0::Puback},
    result_code::DisconnectReasonCode,
    role,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{Notify, mpsc},
    time::Instant,
};

use super::{
    Gateway, linger,
    strict::{InFlight, PacketLength, Rate},
};
use crate::{
    journal::Event,
    line::Transport,
    message::Message,
    options::Limits,
    session::{Link, Order},
};

/// A client that sends nothing from the start is thrown out after this time: its connection may have
/// died before CONNECT, and nobody would ever hear of it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);

/// How a connection is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// At once, in the middle of whatever is going on.
    Drop,
    /// As `Drop`, after sending what is already written.
    DropAfterFlush,
    /// In good order.
    Close,
}

/// The state of one connection.
pub(super) struct Connection {
    pub(super) gateway: Arc<Gateway>,
    pub(super) number: u64,
    pub(super) limits: Limits,
    /// Known after CONNECT.
    pub(super) client_id: Option<String>,
    /// Published if the connection ends without DISCONNECT.
    pub(super) will: Option<Message>,
    pub(super) link: Link,
    pub(super) in_flight: InFlight,
    pub(super) rate: Rate,
    /// PUBACKs that are to leave behind a later one, or when their time has come.
    pub(super) held: Vec<(Puback, Instant)>,
    /// Packet ids that the client has to use again only with the DUP flag.
    pub(super) unfinished: HashSet<u16>,
    pub(super) session_present: bool,
    /// When CONNACK left.
    connack_left: Option<Instant>,
    pub(super) end: Option<End>,
    pub(super) mqtt: mqtt::Connection<role::Server>,
    pub(super) packet_length: PacketLength,
    /// Packets to send.
    pub(super) output: Vec<u8>,
    /// When the client will have been silent for too long.
    pub(super) silent_too_long: Option<Instant>,
}

impl Connection {
    pub(super) fn new(
        gateway: Arc<Gateway>,
        number: u64,
        orders: mpsc::UnboundedSender<Order>,
    ) -> Connection {
        let limits = gateway.limits();
        let link = Link {
            connection: number,
            orders,
            wake: Arc::new(Notify::new()),
        };
        Connection {
            number,
            limits,
            client_id: None,
            will: None,
            link,
            in_flight: InFlight::new(gateway.line.round_trip()),
            rate: Rate::default(),
            held: Vec::new(),
            unfinished: HashSet::new(),
            session_present: false,
            connack_left: None,
            end: None,
            mqtt: mqtt::Connection::new(Version::Undetermined), // CONNECT says it
            packet_length: PacketLength::default(),
            output: Vec::new(),
            silent_too_long: None,
            gateway,
        }
    }

    /// Serves the client until one side ends the connection.
    pub(super) async fn run(
        mut self,
        mut stream: impl Transport,
        mut orders: mpsc::UnboundedReceiver<Order>,
    ) {
        // It ends on an I/O error as it does on the client's closing the connection.
        let _: io::Result<()> = self.talk(&mut stream, &mut orders).await;
        if let Some(client_id) = self.client_id.clone() {
            self.gateway.sessions.detach(&client_id, self.number);
            self.publish_will(client_id);
        }
        if self.end == Some(End::Close) {
            linger(&mut stream).await;
        }
    }

    async fn talk(
        &mut self,
        stream: &mut impl Transport,
        orders: &mut mpsc::UnboundedReceiver<Order>,
    ) -> io::Result<()> {
        let mut input = vec![0; 64 * 1024];
        let wake = Arc::clone(&self.link.wake);
        let connect_by = Instant::now() + CONNECT_TIMEOUT;
        let mut has_sent = false;
        loop {
            self.deliver();
            if self.end != Some(End::Drop) && !self.output.is_empty() {
                self.in_flight.flush();
                if self.client_id.is_some() {
                    self.connack_left.get_or_insert_with(Instant::now);
                }
                self.write(stream).await?;
            }
            if self.end.is_some() {
                return Ok(());
            }
            let silent_too_long = self.silent_too_long;
            let held_until = self.held.first().map(|(_, until)| *until);
            tokio::select! {
                biased;
                Some(order) = orders.recv() => self.obey(order),
                () = sleep_until(held_until) => self.release_pubacks(),
                () = wake.notified() => {}
                read = stream.read(&mut input) => match read? {
                    0 => return Ok(()),
                    length => {
                        has_sent = true;
                        self.receive(&input[..length]);
                    }
                },
                () = tokio::time::sleep_until(connect_by), if !has_sent => return Ok(()),
                // Last: whatever has arrived by now is a sign of life.
                () = sleep_until(silent_too_long) => self.keep_alive_is_over(),
            }
        }
    }

    /// Sends what is written.
    async fn write(&mut self, stream: &mut impl Transport) -> io::Result<()> {
        let output = mem::take(&mut self.output);
        let tamper = self.gateway.tamper();
        let pieces = match &tamper {
            Some(tamper) => tamper.tamper(self.number, output),
            None => vec![(Duration::ZERO, output)],
        };
        for (pause, piece) in pieces {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            stream.write_all(&piece).await?;
            stream.flush().await?;
        }
        Ok(())
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Drop => self.end = Some(End::Drop),
            Order::Disconnect(code) => self.disconnect(code),
            Order::Send(bytes) => self.output.extend_from_slice(&bytes),
        }
    }

    /// Could the client have seen CONNACK when it sent what arrives now?
    pub(super) fn has_seen_connack(&self) -> bool {
        let round_trip = self.gateway.line.round_trip();
        self.connack_left
            .is_some_and(|left| left + round_trip <= Instant::now())
    }

    /// Sends DISCONNECT, and closes the connection.
    pub(super) fn disconnect(&mut self, code: u8) {
        let reason = DisconnectReasonCode::try_from(code);
        let reason = reason.unwrap_or(DisconnectReasonCode::UnspecifiedError);
        if let Ok(packet) = v5_0::Disconnect::builder().reason_code(reason).build() {
            // Before CONNACK, no DISCONNECT may be sent: then the connection is only closed.
            let _ = self.send(packet);
        }
        self.end.get_or_insert(End::Close);
    }

    pub(super) fn record(&self, event: Event) {
        self.gateway.journal.record(self.number, event);
    }

    pub(super) fn violation(&self, what: String) {
        self.record(Event::Violation(what));
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
