//! What `jobs-mqtt5` promises, tried on the real program over real TLS against `local_iot_core`.

mod bad_input;
mod connection;
mod crypto;
mod documents;
mod flags;
mod install_firmware;
mod outages;
mod output;
mod pages;
mod panics;
mod parts;
mod permanent_causes;
mod readme;
mod running_job;
mod service_client;
mod shared_connection;
mod signals;
#[cfg(unix)]
mod soak;
mod still_wanted;
mod support;
mod timeouts;
mod trust;
mod two_copies;
mod unread_output;
mod work;
mod work_and_events;
mod worked_examples;
mod write_config;
