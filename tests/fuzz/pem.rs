//! Looks for bytes for which a property does not hold: see `properties.rs`.
#![no_main]

#[allow(dead_code)] // each target tries one of them
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::pem(data));
