//! The whole service, tested over TLS and MQTT.

mod answers;
mod breaches;
mod client;
mod conformance;
mod faults;
mod jobs_faults;
mod messages;
mod sessions;
mod story;
mod strict;
mod things;
mod tls;
