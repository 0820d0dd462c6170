//! The exercises, as they are to be repaired.

pub mod cancel;
pub mod checkpoint;
pub mod progress;
pub mod refuse;
pub mod repeatable;

/// The exercise `policy` is no Rust.
pub const POLICY: &str = include_str!("policy.json");
