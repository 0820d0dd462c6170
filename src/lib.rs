//! AWS IoT Jobs over MQTT5, for a device: the library behind the program `jobs-mqtt5`.
//!
//! The course is in its `README.md`; this page is the map. A whole device that does jobs:
//!
//! ```no_run
//! use std::sync::Arc;
//! use jobs_mqtt5::{jobs, mqtt, tls};
//!
//! async fn work(job: &jobs::Job) -> jobs::WorkResult {
//!     println!("{}", job.execution().job_document);
//!     Ok(jobs::Outcome::succeeded())
//! }
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let files = tls::Files::new("device.pem.crt", "private.pem.key");
//!     let tls = Arc::new(tls::client_config(&files)?);
//!     let endpoint = "a1b2c3d4e5f6g7-ats.iot.us-east-1.amazonaws.com";
//!     let options = mqtt::Options::new(endpoint, "my-thing", tls);
//!     let (mqtt, _events) = mqtt::connect(options);
//!     let jobs = jobs::Client::new(&mqtt, "my-thing");
//!     loop {
//!         let Some(job) = jobs.start_next().await? else { jobs.changed().await?; continue };
//!         let outcome = work(&job).await;
//!         job.finish(outcome).await?;
//!     }
//! }
//! ```
//!
//! It is laid out in rooms; each knows only those above it:
//!
//! - [`cli`]: the flags
//! - [`tls`]: PEM files to a TLS configuration, and what is wrong with them
//! - [`mqtt`]: one MQTT5 connection, shared and kept up
//! - [`jobs`]: the Jobs service as typed requests, replies and events, and the job in hand
//! - [`sample`]: the story, and the place for your own work
//!
//! Beside them: [`program`] (from flags to exit code), [`story`] (what is told), [`log`] (what is
//! logged), [`text`] (safe to show), [`advice`] (what to check when something fails), [`stop`] (signals).

// Nothing ends the program without a word, and everything that is said goes through the story.
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::panic,
        clippy::print_stderr,
        clippy::print_stdout,
        clippy::todo,
        clippy::unimplemented,
        clippy::unreachable,
        clippy::unwrap_used,
    )
)]

pub mod advice;
pub mod cli;
pub mod jobs;
pub mod log;
pub mod mqtt;
pub mod program;
pub mod sample;
pub mod stop;
pub mod story;
pub mod text;
pub mod tls;

/// The README's Rust compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
