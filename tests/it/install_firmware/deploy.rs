//! How the device program itself is updated: tests/deploy/boot.
