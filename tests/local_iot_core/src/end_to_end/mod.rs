//! The whole service, tested over TLS and MQTT.

mod answers;
mod breaches;
mod client;
mod conformance;
mod connects;
mod faults;
mod jobs_faults;
mod messages;
mod packets;
mod sessions;
mod story;
mod strict;
mod things;
mod tls;
