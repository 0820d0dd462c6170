//! The gateway: takes TCP connections, makes TLS of them, and hands them to MQTT.

mod connect;
mod connection;
mod deliveries;
mod forms;
mod packets;
mod properties;
mod provisioning;
mod publishes;
mod strict;
mod wire;

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    faults::{Fault, Faults},
    guard::Guard,
    jobs::Jobs,
    journal::{Event, Journal},
    line::{Line, Transport},
    options::{Limits, PacketForms},
    provisioning::Provisioning,
    session::{Order, Sessions},
    tamper::Tamper,
};
use connection::Connection;

/// How long a connection that the service has closed waits for the client to close it too.
/// Without it, the system might reset the connection before the client has read the last words.
const LINGER: Duration = Duration::from_secs(1);

/// What a server says that does not speak TLS on its port.
const NOT_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";

/// What all connections share.
pub(crate) struct Gateway {
    pub(crate) line: Line,
    pub(crate) packet_forms: PacketForms,
    /// What becomes of all that is sent.
    pub(crate) tamper: RwLock<Option<Arc<dyn Tamper>>>,
    pub(crate) limits: RwLock<Limits>,
    pub(crate) guard: Guard,
    pub(crate) sessions: Arc<Sessions>,
    /// The Jobs service of each thing.
    pub(crate) jobs: Vec<Jobs>,
    /// Where there is TLS, so that a client shows a certificate.
    pub(crate) provisioning: OnceLock<Provisioning>,
    pub(crate) faults: Faults,
    pub(crate) journal: Journal,
    pub(crate) connections: Connections,
}

impl Gateway {
    /// The Jobs service of a thing. Where there is no such thing, the first one says so.
    pub(crate) fn jobs_of(&self, thing_name: &str) -> &Jobs {
        let is_it = |jobs: &&Jobs| jobs.thing_name() == thing_name;
        self.jobs.iter().find(is_it).unwrap_or(&self.jobs[0])
    }

    /// One more connection: its number, and how it gets orders.
    fn accept(
        &self,
    ) -> (
        u64,
        mpsc::UnboundedSender<Order>,
        mpsc::UnboundedReceiver<Order>,
    ) {
        let (number, sender, orders) = self.connections.open();
        self.journal.record(number, Event::TcpAccepted);
        (number, sender, orders)
    }

    fn limits(&self) -> Limits {
        self.limits
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn tamper(&self) -> Option<Arc<dyn Tamper>> {
        self.tamper
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn close(&self, number: u64) {
        self.connections.close(number);
        self.guard.set_own_policy(number, None);
        self.journal.record(number, Event::ConnectionClosed);
    }
}

/// The open connections, and how to give them orders.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    last_number: AtomicU64,
    open: Mutex<BTreeMap<u64, mpsc::UnboundedSender<Order>>>,
}

impl Connections {
    /// Gives an order to every open connection.
    pub(crate) fn order(&self, order: &Order) {
        for orders in self.lock().values() {
            // A connection that is just closing needs no order any more.
            let _ = orders.send(order.clone());
        }
    }

    fn open(
        &self,
    ) -> (
        u64,
        mpsc::UnboundedSender<Order>,
        mpsc::UnboundedReceiver<Order>,
    ) {
        let number = self.last_number.fetch_add(1, Ordering::Relaxed) + 1;
        let (sender, receiver) = mpsc::unbounded_channel();
        self.lock().insert(number, sender.clone());
        (number, sender, receiver)
    }

    fn close(&self, number: u64) {
        self.lock().remove(&number);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, mpsc::UnboundedSender<Order>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes connections until it is aborted.
pub(crate) async fn listen(gateway: Arc<Gateway>, tls: TlsAcceptor, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Without it, small packets would wait for acknowledgements of TCP. It fails
                // only if the client has gone already, which shows soon enough.
                let _ = stream.set_nodelay(true);
                drop(tokio::spawn(serve(
                    Arc::clone(&gateway),
                    tls.clone(),
                    stream,
                )));
            }
            // Too many open files, for example: it may pass.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Serves one connection to its end.
pub(crate) async fn serve(
    gateway: Arc<Gateway>,
    tls: TlsAcceptor,
    stream: impl Transport + 'static,
) {
    let (number, sender, mut orders) = gateway.accept();
    let stream = handshake(&gateway, &tls, number, stream, &mut orders).await;
    if let Some(stream) = stream.filter(|stream| gateway.lets_in(number, stream)) {
        let connection = Connection::new(Arc::clone(&gateway), number, sender);
        connection.run(stream, orders).await;
    }
    gateway.close(number);
}

/// Serves one connection to its end, without TLS.
pub(crate) async fn serve_plain(gateway: Arc<Gateway>, stream: impl Transport) {
    let (number, sender, orders) = gateway.accept();
    if !gateway.faults.strikes(number, &Fault::DropAfterAccept) {
        let connection = Connection::new(Arc::clone(&gateway), number, sender);
        connection.run(stream, orders).await;
    }
    gateway.close(number);
}

/// From a plain connection to one with TLS.
async fn handshake(
    gateway: &Gateway,
    tls: &TlsAcceptor,
    number: u64,
    stream: impl Transport + 'static,
    orders: &mut mpsc::UnboundedReceiver<Order>,
) -> Option<TlsStream<Box<dyn Transport>>> {
    if gateway.faults.strikes(number, &Fault::DropAfterAccept) {
        return None;
    }
    let mut transport = gateway.line.between(stream);
    if gateway.faults.strikes(number, &Fault::NoTlsAnswer) {
        tokio::select! {
            biased;
            _ = orders.recv() => {}
            () = discard(&mut transport) => {}
        }
        return None;
    }
    if gateway.faults.strikes(number, &Fault::NotTls) {
        // Whoever has sent a ClientHello to it reads this in place of a ServerHello.
        transport.write_all(NOT_TLS).await.ok()?;
        linger(&mut transport).await;
        return None;
    }
    let accepted = tokio::select! {
        biased;
        _ = orders.recv() => return None,
        accepted = tls.accept(transport).into_fallible() => accepted,
    };
    match accepted {
        Ok(stream) => {
            gateway.journal.record(number, tls_done(&stream));
            let drop_it = gateway.faults.strikes(number, &Fault::DropAfterTls);
            (!drop_it).then_some(stream)
        }
        Err((error, mut transport)) => {
            gateway
                .journal
                .record(number, Event::TlsFailed(error.to_string()));
            linger(&mut transport).await;
            None
        }
    }
}

fn tls_done<T>(stream: &TlsStream<T>) -> Event {
    let (_, tls) = stream.get_ref();
    let alpn = tls
        .alpn_protocol()
        .map(|alpn| String::from_utf8_lossy(alpn).into_owned());
    let version = tls.protocol_version().map(|version| format!("{version:?}"));
    Event::TlsDone {
        alpn,
        version: version.unwrap_or_default(),
        sni: tls.server_name().unwrap_or_default().to_owned(),
    }
}

/// Says that nothing more is coming, and waits a little for the client to say the same.
async fn linger(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let _: io::Result<()> = stream.shutdown().await;
    let _ = tokio::time::timeout(LINGER, discard(stream)).await;
}

/// Reads until there is nothing more to read.
async fn discard(stream: &mut (impl AsyncRead + Unpin)) {
    let mut buffer = [0; 4096];
    while let Ok(1..) = stream.read(&mut buffer).await {}
}
