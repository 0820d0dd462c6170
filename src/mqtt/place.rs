//! A place in the window of packets under way.

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use super::PublishError;

/// How a publish ended.
pub(super) type Outcome = Result<(), PublishError>;

/// What was handed to rumqttc.
pub(super) enum Packet {
    Publish {
        topic: String,
        done: oneshot::Sender<Outcome>,
    },
    Subscribe(Vec<String>),
    Unsubscribe,
}

impl Packet {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Publish { .. } => "PUBLISH",
            Self::Subscribe(_) => "SUBSCRIBE",
            Self::Unsubscribe => "UNSUBSCRIBE",
        }
    }
}

/// A place in the window.
pub(super) struct Place {
    /// `None` once it is acknowledged: the place then waits for the older ones.
    pub packet: Option<Packet>,
    /// The packet id, once rumqttc has given it one.
    pub id: Option<u16>,
    /// When it was sent on this connection. `None`: not yet.
    pub since: Option<Instant>,
    pub _permit: OwnedSemaphorePermit,
}
