//! A way to solve each exercise.

pub mod cancel;
pub mod checkpoint;
pub mod progress;
pub mod refuse;
pub mod repeatable;

/// That of the exercise `policy`.
pub const POLICY: &str = include_str!("policy.json");
