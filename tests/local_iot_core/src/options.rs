//! What a [`LocalIotCore`](crate::LocalIotCore) is started with.

use std::{
    num::NonZeroU32,
    time::{Duration, SystemTime},
};

use crate::jobs::Dialect;

/// The region in the ARNs that the policy is matched against.
pub const REGION: &str = "us-east-1";

/// The account in the ARNs that the policy is matched against.
pub const ACCOUNT: &str = "123456789012";

/// The largest payload of a message, in bytes.
pub(crate) const LARGEST_PAYLOAD: usize = 128 * 1024;

/// The policy that the sample ships, with its placeholders.
const SAMPLE_POLICY: &str = include_str!("../../../policy.json");

/// How the service is set up. [`Options::default`] behaves as AWS does.
#[derive(Debug, Clone)]
pub struct Options {
    /// The text of a policy document. Placeholders still in it are filled in by
    /// [`fill_policy`]. The default is the sample's `policy.json`.
    pub policy: String,
    /// The thing whose jobs the service keeps.
    pub thing_name: String,
    /// More things of the account, each with jobs of its own. The policy is filled in for each
    /// of them, and one connection has all of these permissions, as a gateway has.
    pub more_things: Vec<String>,
    /// How long every byte travels, in each direction. It is applied below TLS, so a TLS
    /// handshake takes as many round trips as it does on a long line. Only TCP's own
    /// handshake is not delayed. A stream for [`Service::serve`](crate::Service::serve) brings a
    /// delay of its own: at least this one, for what a client can't know yet is judged by it.
    pub latency: Duration,
    /// How many bytes fit into the line in a second, in each direction; without it, all of
    /// them. The rest waits in a queue without a limit. All connections share the line, those
    /// of the past included: what they have sent is carried all the same.
    pub bytes_per_second: Option<NonZeroU32>,
    /// Which certificate the server shows.
    pub server_certificate: ServerCertificate,
    /// Which TLS versions the server speaks.
    pub tls_versions: TlsVersions,
    /// What the server allows a client.
    pub limits: Limits,
    /// How much the service's packets say, where MQTT leaves it open.
    pub packet_forms: PacketForms,
    /// How the Jobs service writes what its documentation leaves open.
    pub dialect: Dialect,
    /// How long a minute of a job's timeout or a step's lasts. A test need not wait that long.
    pub minute: Duration,
    /// The most executions in the list of what is pending: IN_PROGRESS first, then QUEUED.
    pub listed_executions: usize,
    /// The time of day when the service starts; from there on, it runs with tokio's clock. `None`:
    /// that of the system.
    pub time_of_day: Option<SystemTime>,
    /// The TCP port to listen on, on 127.0.0.1. With 0 the system picks a free one.
    pub port: u16,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            policy: SAMPLE_POLICY.to_owned(),
            thing_name: "my-thing".to_owned(),
            more_things: Vec::new(),
            latency: Duration::ZERO,
            bytes_per_second: None,
            server_certificate: ServerCertificate::Good,
            tls_versions: TlsVersions::Both,
            limits: Limits::default(),
            packet_forms: PacketForms::Mixed,
            dialect: Dialect::default(),
            minute: Duration::from_secs(60),
            listed_executions: 10,
            time_of_day: None,
            port: 0,
        }
    }
}

/// Which certificate the server shows to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerCertificate {
    /// For `localhost` and 127.0.0.1, issued by the CA that [`Pki::ca_pem`](crate::Pki::ca_pem) gives.
    Good,
    /// As `Good`, but no longer valid.
    Expired,
    /// As `Good`, but not valid yet.
    NotYetValid,
    /// Valid, but for another host.
    WrongName,
    /// As `Good`, but with its name as the common name alone: it has no subjectAltName.
    NoName,
    /// As `Good`, but in the form of X.509 version 1, which has no extensions. (The signature is that of
    /// the other form: nobody gets as far.)
    Version1,
    /// As `Good`, but issued by a CA that nobody knows.
    UnknownCa,
    /// As `Good`, with several large intermediate certificates between it and the CA.
    LongChain,
}

/// Which TLS versions the server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersions {
    /// TLS 1.2 and 1.3.
    Both,
    /// TLS 1.2 and nothing newer.
    Only12,
    /// TLS 1.3 and nothing older.
    Only13,
}

/// How much DISCONNECT, PUBACK, SUBACK and UNSUBACK say, where MQTT leaves it open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketForms {
    /// Bad news has its reason in words on the first connection and each second one after it,
    /// and is as short as can be on the others. Good news is always as short as can be.
    Mixed,
    /// Nothing that can be left out: DISCONNECT of none or one byte, PUBACK of two or three.
    Shortest,
    /// The reason code and the (empty) properties always.
    WithCode,
    /// The reason in words always.
    WithWords,
}

/// What the server allows a client. Most of it is announced in CONNACK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// QoS 1 publishes of the client that may wait for their PUBACK at one time.
    pub receive_maximum: u16,
    /// The largest packet, in bytes.
    pub maximum_packet_size: u32,
    /// The keep alive, in seconds, that the client must use instead of its own.
    pub server_keep_alive: Option<u16>,
    /// The longest time, in seconds, that a session outlives its connection.
    pub session_expiry_cap: u32,
    /// The highest topic alias that the client may use.
    pub topic_alias_maximum: u16,
    /// Topic filters in one SUBSCRIBE.
    pub filters_per_subscribe: usize,
    /// Subscriptions of one connection.
    pub subscriptions: usize,
    /// Publishes of one connection in any one second.
    pub publishes_per_second: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            receive_maximum: 100,
            maximum_packet_size: 149_504,
            server_keep_alive: None,
            session_expiry_cap: 7 * 24 * 60 * 60,
            topic_alias_maximum: 8,
            filters_per_subscribe: 8,
            subscriptions: 50,
            publishes_per_second: 100,
        }
    }
}

/// Fills in the placeholders `<region>`, `<account>` and `<thingname>` of a policy document.
/// Text without placeholders comes back unchanged.
pub fn fill_policy(template: &str, thing_name: &str) -> String {
    template
        .replace("<region>", REGION)
        .replace("<account>", ACCOUNT)
        .replace("<thingname>", thing_name)
}
