//! What a process that is to fail at a certain step is started with: see failing_calls.c.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The library to load in front of the C library (`LD_PRELOAD`). It is compiled once.
pub fn failing_calls() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let name = format!("failing_calls-{}.so", std::process::id());
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        compile("tests/it/support/failing_calls.c", &library);
        library
    })
}

/// Makes a shared library of some C, by the compiler that Rust links with.
pub fn compile(source: &str, library: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
    let compiled = Command::new("cc")
        .args(["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"])
        .arg(library)
        .arg(source)
        .arg("-ldl")
        .status();
    assert!(compiled.unwrap().success());
}
