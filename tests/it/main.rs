//! What `jobs-mqtt5` promises, tried on the real program over real TLS against `local_iot_core`.

#![allow(clippy::duplicate_mod)] // the worked examples share modules, and each brings its own along

mod addresses;
mod bad_input;
mod before_you_ship;
mod broken_rules;
mod cannot_stop;
mod connection;
mod copied;
mod crypto;
mod denied_publish;
mod documents;
mod durable;
mod flags;
mod hostile;
mod install_firmware;
#[cfg(unix)]
mod interface;
mod job_templates;
mod key_in_hardware;
mod key_in_token;
mod key_in_tpm;
mod layers;
mod library;
mod limits;
mod messages;
#[cfg(unix)]
mod mosquitto;
mod names;
mod never;
mod outages;
mod output;
mod own_work;
mod pages;
mod panics;
mod parts;
mod permanent_causes;
mod presigned_urls;
mod provision;
mod proxy_password;
mod readme;
mod reboot;
mod rotate_certificate;
mod running_job;
mod service_client;
mod shared_connection;
mod short_forms;
mod signals;
mod slow_link;
mod slow_uplink;
#[cfg(unix)]
mod soak;
mod still_wanted;
mod strange_certificates;
mod support;
mod timeouts;
mod tours;
mod trust;
mod two_copies;
mod unread_output;
mod upload_logs;
mod work;
mod work_and_events;
mod worked_examples;
mod write_config;
