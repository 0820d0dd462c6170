//! The command that connects the sample to this service.

use std::env;
use std::path::Path;
use std::process::Command;

use local_iot_core::{Files, LocalIotCore};

use super::terminal::say;

/// The sample's flags for this service.
pub fn flags(core: &LocalIotCore, files: &Files) -> Vec<String> {
    let path = |path: &Path| path.display().to_string();
    [
        ("--endpoint", core.endpoint().to_owned()),
        ("--port", core.port().to_string()),
        ("--ca_file", path(&files.ca)),
        ("--cert", path(&files.cert)),
        ("--key", path(&files.key)),
        ("--thing_name", core.thing_name().to_owned()),
    ]
    .into_iter()
    .flat_map(|(flag, value)| [flag.to_owned(), value])
    .collect()
}

/// Builds the sample's program, so that a second terminal need not wait; what goes wrong is told there again.
/// Returns what starts it there.
///
/// Its library is there since this example was built: one crate is left.
pub fn build_program() -> &'static str {
    let example = env::current_exe().unwrap_or_default();
    let is_release = example
        .components()
        .any(|part| part.as_os_str() == "release");
    if let Some(cargo) = env::var_os("CARGO") {
        // (cargo run sets it)
        let mut build = Command::new(cargo);
        build
            .args(["build", "--bin", "jobs-mqtt5"])
            .args(is_release.then_some("--release"))
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.."));
        // What `cargo run` tells this example about its package is none of the program's business:
        // build scripts that look at it (ring's) would run anew, each time.
        for (name, _) in env::vars_os() {
            let is_ours =
                |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
            if name.to_str().is_some_and(is_ours) {
                build.env_remove(name);
            }
        }
        let _ = say("Building the program for the second terminal...");
        let _ = build.status();
    }
    if is_release {
        "cargo run --release --"
    } else {
        "cargo run --"
    }
}

/// Words as one types them: one with a space in it is quoted.
pub fn shown(words: &[String]) -> String {
    let quoted = |word: &String| match word.contains(char::is_whitespace) {
        true => format!("\"{word}\""),
        false => word.clone(),
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}
