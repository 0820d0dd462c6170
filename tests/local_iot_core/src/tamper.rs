//! A seam for those who want a server that lies.

use std::{fmt, time::Duration};

/// Changes what the service sends, below MQTT and above TLS.
pub trait Tamper: Send + Sync {
    /// What is sent on this connection in place of `packets`, which are whole ones: piece by
    /// piece, with a pause before each.
    fn tamper(&self, connection: u64, packets: Vec<u8>) -> Vec<(Duration, Vec<u8>)>;
}

impl fmt::Debug for dyn Tamper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tamper")
    }
}
