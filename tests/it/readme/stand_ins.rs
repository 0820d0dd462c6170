//! Runs a script of the README or of a lesson, with stand-ins for what it calls.
#![cfg(unix)]

use std::process::Command;

use super::reading::read;

pub(super) const ENDPOINT: &str = "a1b2c3d4e5f6g7-ats.iot.eu-central-1.amazonaws.com";
pub(super) const CERTIFICATE_ID: &str = "0123456789abcdef";
const SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// What a shell script did.
pub(super) struct Ran {
    pub(super) out: String,
    /// The calls of `aws` and `cargo`, word by word.
    pub(super) calls: Vec<Vec<String>>,
    /// The files that it left.
    pub(super) files: Vec<String>,
}

/// Runs a script in a folder with the policy's template. In the place of `aws`, `cargo` and what else
/// reaches out or takes time it calls stand-ins. They write down how they were called, and answer as
/// far as the script needs it.
pub(super) fn run(script: &str) -> Ran {
    let arn = "arn:aws:iot:eu-central-1:123456789012";
    let stand_ins = format!(
        r#"
        set -eu
        told() {{ printf '%s\037' "$@" >> "$CALLS"; printf '\036' >> "$CALLS"; }}
        cargo() {{
            told cargo "$@"
            case "$*" in *install_firmware*) mkdir -p installed ;; esac
        }}
        curl() {{
            while [ $# -gt 1 ]; do
                case "$1" in -o) touch "$2" ;; esac
                shift
            done
        }}
        openssl() {{ echo "{SHA256} *file"; }}
        sleep() {{ :; }}
        cmp() {{ :; }}
        aws() {{
            told aws "$@"
            case "$*" in
                *describe-endpoint*) echo {ENDPOINT} ;;
                *get-caller-identity*) echo 123456789012 ;;
                *create-thing-group*) echo {arn}:thinggroup/group ;;
                *create-thing*) echo {arn}:thing/thing ;;
                *create-role*) echo arn:aws:iam::123456789012:role/role ;;
                *create-keys*) echo {arn}:cert/{CERTIFICATE_ID} ;;
            esac
            while [ $# -gt 1 ]; do
                case "$1" in *-outfile) touch "$2" ;; esac
                shift
            done
        }}
        "#
    );
    let folder = tempfile::tempdir().unwrap();
    let (place, calls) = (folder.path().join("place"), folder.path().join("calls"));
    std::fs::create_dir(&place).unwrap();
    std::fs::write(place.join("policy.json"), read("policy.json")).unwrap();
    std::fs::write(&calls, "").unwrap();
    let ran = Command::new("sh")
        .args(["-c", &format!("{stand_ins}\n{script}")])
        .current_dir(&place)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("CALLS", &calls)
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && complaint.is_empty(), "{complaint}");
    let words = |call: &str| call.split_terminator('\x1f').map(str::to_owned).collect();
    let calls = std::fs::read_to_string(&calls).unwrap();
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
    let files = std::fs::read_dir(&place).unwrap().map(name);
    Ran {
        out: String::from_utf8(ran.stdout).unwrap(),
        calls: calls.split_terminator('\x1e').map(words).collect(),
        files: files.map(|name| name.into_string().unwrap()).collect(),
    }
}
