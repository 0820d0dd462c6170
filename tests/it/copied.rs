//! The connection, the jobs client, the agent and TLS are for whoever builds a device of their own: they
//! compile in another crate, copied as they are.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// What is copied: four layers, and the two files that all of them know.
const COPIED: [&str; 6] = ["mqtt", "jobs", "agent", "tls", "text.rs", "error_class.rs"];

/// As they are by default, and with the other crypto provider.
const FEATURES: [&[&str]; 2] = [&[], &["--no-default-features", "--features", "aws-lc-rs"]];

/// Eighty crates on a busy machine take minutes, and nothing else takes as long.
const BUILD_LIMIT: Duration = Duration::from_secs(15 * 60);

fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

#[tokio::test]
#[ignore = "builds some eighty crates once more: cargo test -- --ignored copied"]
async fn four_layers_and_two_files_compile_in_another_crate_as_they_are() {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR"));
    let crate_ = tempfile::tempdir().unwrap();
    let source = crate_.path().join("src");
    fs::create_dir(&source).unwrap();
    let mut library = String::new();
    for name in COPIED {
        copy(&ours.join("src").join(name), &source.join(name));
        library += &format!("pub mod {};\n", name.trim_end_matches(".rs"));
    }
    fs::write(source.join("lib.rs"), library).unwrap();
    let manifest = fs::read_to_string(ours.join("Cargo.toml")).unwrap();
    let part = |from: &str, to: &str| {
        let (_, rest) = manifest.split_once(from).unwrap();
        format!("{from}{}", rest.split_once(to).unwrap().0)
    };
    let package = "[package]\nname = \"a_device\"\nedition = \"2024\"\n[workspace]\n\
                   [lints.rust]\nwarnings = \"deny\"\n";
    // What was built for this crate already, macros and C among it, is taken from there.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let features = part("[features]", "[dependencies]");
    let dependencies = part("[dependencies]", "[dev-dependencies]");
    let manifest = [package, &features, &dependencies].concat();
    fs::write(crate_.path().join("Cargo.toml"), manifest).unwrap();
    fs::copy(ours.join("Cargo.lock"), crate_.path().join("Cargo.lock")).unwrap();
    for features in FEATURES {
        let checking = Command::new(env!("CARGO"))
            .args(["check", "--quiet"])
            .args(features)
            .current_dir(crate_.path())
            .env("CARGO_TARGET_DIR", target)
            .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only") // as in our Cargo.toml
            .env("CARGO_INCREMENTAL", "0")
            .kill_on_drop(true)
            .output();
        let checked = timeout(BUILD_LIMIT, checking).await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success(), "{features:?}: {said}");
    }
}
