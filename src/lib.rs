#![doc = include_str!("../README.md")]
//!
//! # The map of the crate
//!
//! The library is laid out in rooms; each knows only those above it:
//!
//! - [`cli`]: the flags
//! - [`tls`]: PEM files to a TLS configuration, and what is wrong with them
//! - [`mqtt`]: one MQTT5 connection, kept up
//! - [`jobs`]: the Jobs service as typed requests, replies and events
//! - [`sample`]: the story, and the place for your own work
//!
//! Beside them: [`story`] (what is told), [`log`] (what is logged), [`text`] (safe to show), [`names`]
//! (what messages call the settings), [`stop`] (signals).

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

pub mod cli;
pub mod jobs;
pub mod log;
pub mod mqtt;
pub mod names;
pub mod program;
pub mod sample;
pub mod stop;
pub mod story;
pub mod text;
pub mod tls;
