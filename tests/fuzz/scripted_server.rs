//! What holds for any bytes at all that a server sends, from CONNACK on: the whole way through the wire,
//! the reader and the connection.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jobs_mqtt5::mqtt::{
    self, ByteStream, ConnectionErrorKind, Dialing, Event, Message, Options, Transport,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

/// More than any CONNECT or script of the fuzzer has.
const BUFFER: usize = 1024 * 1024;

/// Whatever a server sends after it has got a CONNECT, and however it comes in pieces, the connection
/// ends with the same error after the same messages; what leaves is whole packets, and the last one
/// tells the server what it did wrong.
pub fn packets(bytes: &[u8]) {
    let at_once = exchange(bytes, usize::MAX);
    at_once.check();
    for piece in [1, 7] {
        assert_eq!(exchange(bytes, piece), at_once, "in pieces of {piece}");
    }
}

/// How many messages reach the device of all that a server sends.
pub fn messages(bytes: &[u8]) -> usize {
    exchange(bytes, usize::MAX).messages.len()
}

/// What came of it.
#[derive(Debug, PartialEq)]
struct Outcome {
    messages: Vec<Message>,
    kind: ConnectionErrorKind,
    code: Option<u8>,
    words: String,
    /// What the device sent.
    sent: Vec<u8>,
}

impl Outcome {
    fn check(&self) {
        assert!(!self.words.contains(char::is_control), "{:?}", self.words);
        assert!(
            self.words.len() < 1_000,
            "{} bytes of words",
            self.words.len()
        );
        let packets = split(&self.sent);
        let kinds: Vec<u8> = packets.iter().map(|packet| packet[0] >> 4).collect();
        // CONNECT; then PUBACK for what came at QoS 1, and perhaps DISCONNECT.
        assert_eq!(kinds[0], 1);
        let goodbyes = kinds.iter().filter(|kind| **kind == 14).count();
        let pubacks = kinds.iter().filter(|kind| **kind == 4).count();
        assert_eq!(kinds.len(), 1 + pubacks + goodbyes, "{kinds:?}");
        let at_qos_1 = self
            .messages
            .iter()
            .filter(|one| one.qos == mqtt::QoS::AtLeastOnce);
        assert_eq!(pubacks, at_qos_1.count());
        let is_violation = self.kind == ConnectionErrorKind::Violation;
        assert_eq!(goodbyes, usize::from(is_violation), "{}", self.words);
        if is_violation {
            let reason = packets.last().map(|packet| packet[2]);
            assert_eq!(reason, self.code, "{packets:?}");
            assert!(reason >= Some(0x80), "{packets:?}");
        }
    }
}

/// The packets in these bytes, each of which must be whole and short.
fn split(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut packets = Vec::new();
    while !bytes.is_empty() {
        assert!(bytes[1] < 0x80, "a packet of 128 bytes or more: {bytes:?}");
        let (packet, rest) = bytes.split_at(usize::from(bytes[1]) + 2);
        packets.push(packet);
        bytes = rest;
    }
    packets
}

/// Opens one stream, and no more.
struct Once(Mutex<Option<DuplexStream>>);

impl Transport for Once {
    fn dial<'a>(&'a self, _host: &'a str, _port: u16, _limit: Duration) -> Dialing<'a> {
        let stream = self.0.lock().unwrap().take();
        Box::pin(async {
            let stream = stream.ok_or(io::ErrorKind::ConnectionRefused)?;
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }
}

/// A connection to a server that sends these bytes, so many at once, and then nothing more. In tokio's
/// time: whatever is waited for takes no time.
fn exchange(bytes: &[u8], piece: usize) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let (near, mut far) = duplex(BUFFER);
        let (mqtt, mut events) = mqtt::connect(options(near));
        let mut unmatched = mqtt.subscribe_unmatched();
        let reader = tokio::spawn(async move {
            let mut messages = Vec::new();
            while let Some(message) = unmatched.next().await {
                messages.push(message);
            }
            messages
        });
        let mut sent = vec![0; 4096];
        let connect = far.read(&mut sent).await.unwrap();
        sent.truncate(connect);
        for piece in bytes.chunks(piece) {
            if far.write_all(piece).await.is_err() {
                break; // it has closed the connection already
            }
            tokio::task::yield_now().await;
        }
        let _ = far.shutdown().await;
        let _ = far.read_to_end(&mut sent).await;
        let error = loop {
            match events.next().await {
                Some(Event::Interrupted { error, .. } | Event::Ended(Err(error))) => break error,
                Some(_) => {}
                None => panic!("it ended without an error"),
            }
        };
        mqtt.disconnect();
        while events.next().await.is_some() {}
        drop(mqtt);
        Outcome {
            messages: reader.await.unwrap(),
            kind: error.kind(),
            code: error.reason_code().map(|code| code.0),
            words: error.to_string(),
            sent,
        }
    })
}

fn options(stream: DuplexStream) -> Options {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let mut options = Options::new("server", "device", Arc::new(tls));
    options.tls = None;
    options.transport = Arc::new(Once(Mutex::new(Some(stream))));
    options
}
