//! AWS IoT Jobs over MQTT5, for a device: the library behind the program `jobs-mqtt5`.
//!
//! The course is in its `README.md`; this page is the map. A whole device that does jobs:
//!
//! ```no_run
//! use std::sync::Arc;
//! use jobs_mqtt5::agent::{self, Job, Outcome, WorkResult};
//! use jobs_mqtt5::{jobs, mqtt, tls};
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
//!     let options = mqtt::Options::new(endpoint, "my-thing", tls);
//!     let (mqtt, _events) = mqtt::connect(options);
//!     let jobs = jobs::Client::new(&mqtt, "my-thing");
//!     agent::run(&jobs, work).await?;
//!     Ok(())
//! }
//! ```
//!
//! It is laid out in layers; each knows only those above it:
//!
//! - [`cli`]: the flags
//! - [`tls`]: PEM files to a TLS configuration, and what is wrong with them
//! - [`mqtt`]: one MQTT5 connection, shared and kept up
//! - [`jobs`]: the Jobs service as typed requests, replies and events
//! - [`agent`]: what a device does with its jobs
//! - [`sample`]: what it says of it, in the words of AWS's Python sample
//!
//! Three ways through them, function by function: [`tours`].
//!
//! Beside them: [`program`] (from flags to exit code), [`output`] (stdout and stderr), [`ErrorClass`]
//! (whether an error passes), [`Text`] (safe to show), [`stop`] (signals). The place for your own work is
//! `src/work.rs`, in the program.
//!
//! `mqtt`, `jobs`, `agent`, `tls`, `text.rs` and `error_class.rs` can be copied into another crate and compile there.
//! Or depend on this one, by path or by git tag: what these modules offer is meant to stay, the others
//! serve the program. A change that breaks them raises the second number of the version (0.2), any other
//! the third. A dependency does not bring its release profile along: take `[profile.release]` of this
//! `Cargo.toml` into yours, or the binary is twice as large. Work that blocks runs on a thread of its own
//! where [`agent::run`] does it; in a loop of your own, [`agent::Job::run`] is for that.

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
pub mod cli;
mod error_class;
pub mod jobs;
#[doc(hidden)] // for the tests
pub mod log;
pub mod mqtt;
pub mod output;
pub mod program;
pub mod sample;
pub mod stop;
#[doc(hidden)] // for the examples and the tests
pub mod text;
pub mod tls;

pub use error_class::ErrorClass;
pub use text::Text;

#[doc = include_str!("tours.md")]
pub mod tours {}

/// The README's Rust compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// So does the Rust of the page about shipping.
#[cfg(doctest)]
#[doc = include_str!("../tests/deploy/README.md")]
struct BeforeYouShip;
