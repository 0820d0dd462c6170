//! The whole service, tested over TLS and MQTT.

mod client;
mod faults;
mod sessions;
mod story;
mod strict;
mod tls;
