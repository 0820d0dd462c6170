//! What `jobs-mqtt5` promises, tried on the real program over real TLS against `local_iot_core`.

mod bad_input;
mod connection;
mod crypto;
mod flags;
mod pages;
mod panics;
mod permanent_causes;
mod readme;
mod service_client;
mod signals;
#[cfg(unix)]
mod soak;
mod story;
mod support;
mod trust;
mod unread_output;
mod work;
mod work_and_events;
mod write_config;
