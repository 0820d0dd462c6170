//! Looks for bytes for which a property does not hold: see `scripted_server.rs`.
#![no_main]

#[allow(dead_code)] // the target tries one thing
mod scripted_server;

libfuzzer_sys::fuzz_target!(|data: &[u8]| scripted_server::packets(data));
