//! Provisioning: whom a certificate lets in, and the requests of a new device.

use mqtt_protocol_core::mqtt::{packet::v5_0::Publish, result_code::PubackReasonCode};
use tokio_rustls::server::TlsStream;

use super::{
    Gateway,
    connection::{Connection, End},
};
use crate::provisioning::{Fate, Permission, Request};

impl Gateway {
    /// Whether the certificate that a client has shown is good for anything. From here on, the client may do
    /// what the certificate's policy says.
    pub(super) fn lets_in<T>(&self, number: u64, stream: &TlsStream<T>) -> bool {
        let (_, tls) = stream.get_ref();
        let shown = tls.peer_certificates().and_then(<[_]>::first);
        let (Some(provisioning), Some(certificate)) = (self.provisioning.get(), shown) else {
            return true;
        };
        match provisioning.permission(certificate) {
            Permission::General => true,
            Permission::None => false,
            Permission::Own(policy) => {
                self.guard.set_own_policy(number, Some(policy));
                true
            }
        }
    }
}

impl Connection {
    /// Answers the publish if it is a request of a new device.
    pub(super) fn on_provisioning(&mut self, client_id: &str, publish: &Publish) -> bool {
        let gateway = self.gateway.clone();
        let request = Request::parse(publish.topic_name());
        let (Some(provisioning), Some(request)) = (gateway.provisioning.get(), request) else {
            return false;
        };
        match provisioning.answer(client_id, request, publish.payload().as_slice()) {
            Fate::Ends => self.end = Some(End::DropAfterFlush),
            Fate::Stays => self.acknowledge(publish, PubackReasonCode::Success),
        }
        true
    }
}
