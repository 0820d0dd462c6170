//! A way to the service without TCP: nothing waits for a socket, so a test can have tokio's time run
//! ahead (`start_paused`), and an hour takes no time at all.

use std::sync::Arc;
use std::time::Duration;

use jobs_mqtt5::mqtt::{ByteStream, Dialing, Transport};
use local_iot_core::Acceptor;

use super::World;

/// How many bytes a socket takes before the line has taken them.
const BUFFER: usize = 64 * 1024;

/// Opens streams to the service itself, over the line of its options and with TLS.
pub struct Tunnel {
    acceptor: Acceptor,
    /// How long a connect takes: TCP's own handshake, which the line does not know of.
    handshake: Duration,
}

impl World {
    /// A way to its service. A connect takes so long.
    pub fn tunnel(&self, handshake: Duration) -> Arc<Tunnel> {
        let acceptor = self.core.acceptor();
        Arc::new(Tunnel {
            acceptor,
            handshake,
        })
    }
}

impl Transport for Tunnel {
    fn dial<'a>(&'a self, _host: &'a str, _port: u16, _limit: Duration) -> Dialing<'a> {
        Box::pin(async {
            tokio::time::sleep(self.handshake).await;
            let (near, far) = tokio::io::duplex(BUFFER);
            tokio::spawn(self.acceptor.serve(far));
            Ok(Box::new(near) as Box<dyn ByteStream>)
        })
    }
}
