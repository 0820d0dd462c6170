//! AWS IoT Jobs over MQTT5, for a device: the library behind the program `jobs-mqtt5`.
//!
//! The course is in its `README.md`; this page is the map. A whole device that does jobs, until Ctrl-C or
//! SIGTERM:
//!
//! ```no_run
//! use std::sync::Arc;
//! use jobs_mqtt5::agent::{Agent, Job, Outcome, WorkResult};
//! use jobs_mqtt5::{jobs, mqtt, stop, tls};
//!
//! async fn work(job: &Job) -> WorkResult {
//!     println!("{}", job.execution().job_document);
//!     Ok(Outcome::succeeded())
//! }
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let files = tls::Files::new("device.pem.crt", "private.pem.key");
//!     let tls = Arc::new(tls::client_config(&files)?);
//!     let endpoint = "a1b2c3d4e5f6g7-ats.iot.us-east-1.amazonaws.com";
//!     let (mqtt, mut events) = mqtt::connect(mqtt::Options::new(endpoint, "my-thing", tls));
//!     let mut agent = Agent::new(&jobs::Client::new(&mqtt, "my-thing"));
//!     let (stopper, signal) = (agent.stopper(), stop::signal()?);
//!     tokio::spawn(async move {
//!         signal.await;
//!         stopper.stop();
//!     });
//!     let told = tokio::spawn(async move {
//!         while let Some(event) = events.next().await {
//!             println!("{event:?}");
//!         }
//!     });
//!     let ended = agent.run(work).await;
//!     mqtt.disconnect();
//!     told.await?; // DISCONNECT has left
//!     ended?;
//!     Ok(())
//! }
//! ```
//!
//! It is laid out in layers; each knows only those above it:
//!
//! - `cli`: the flags
//! - [`tls`]: PEM files to a TLS configuration, and what is wrong with them
//! - [`mqtt`]: one MQTT5 connection, shared and kept up
//! - [`jobs`]: the Jobs service as typed requests, replies and events
//! - [`agent`]: what a device does with its jobs
//! - `sample`: what it says of it, in the words of AWS's Python sample
//!
//! Three ways through them, function by function: [`tours`].
//!
//! Beside them: `program` (from flags to exit code), `output` (stdout and stderr), [`ErrorClass`]
//! (whether an error passes), [`Text`] (safe to show), [`stop`] (signals). The place for your own work is
//! `src/work.rs`, in the program.
//!
//! # What stays
//!
//! What `mqtt`, `jobs`, `agent`, `tls`, `stop`, [`ErrorClass`] and [`Text`] offer is meant to stay: a
//! change that breaks it raises the second number of the version (0.2), any other the third. `bytes` and
//! `rustls`, which are in their signatures, are handed on. The feature `cli`, which is on by default, has the
//! rest; it serves the program and may change with any version. A device of your own does without:
//! `default-features = false, features = ["ring"]`, and takes `[profile.release]` of this `Cargo.toml`
//! along, for a dependency does not bring it: without, the binary is twice as large.
//!
//! `mqtt`, `jobs`, `agent`, `tls`, `text.rs` and `error_class.rs` can also be copied into another crate and
//! compile there.

// Nothing ends the program without a word, and everything that is said goes through the output.
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

pub mod agent;
#[cfg(feature = "cli")]
pub mod cli;
mod error_class;
pub mod jobs;
#[cfg(feature = "cli")]
#[doc(hidden)] // for the tests
pub mod log;
pub mod mqtt;
#[cfg(feature = "cli")]
pub mod output;
#[cfg(feature = "cli")]
pub mod program;
#[cfg(feature = "cli")]
pub mod sample;
pub mod stop;
#[doc(hidden)] // for the examples and the tests
pub mod text;
pub mod tls;

pub use bytes;
pub use rustls;

pub use error_class::ErrorClass;
pub use text::Text;

#[doc = include_str!("tours.md")]
pub mod tours {}

/// The README's Rust compiles.
#[cfg(all(doctest, feature = "cli"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// So does the Rust of the page about shipping.
#[cfg(all(doctest, feature = "cli"))]
#[doc = include_str!("../tests/deploy/README.md")]
struct BeforeYouShip;
