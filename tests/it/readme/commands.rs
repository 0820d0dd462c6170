//! The README's commands, run by a shell with stand-ins for what they call.
#![cfg(unix)]

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use super::reading::{read, section, shell_blocks};

#[test]
fn each_sed_command_makes_a_policy_of_the_template() {
    let of_the_connection = "${iot:Connection.Thing.ThingName}";
    for (heading, client, thing) in [
        ("On AWS", "test-*", "my-first-thing"),
        ("For production", of_the_connection, of_the_connection),
    ] {
        let sed = shell_blocks(section(heading))
            .into_iter()
            .find(|block| block.contains("sed "));
        let sed = sed.unwrap();
        let sed = sed.split("\naws ").next().unwrap();
        let names = "REGION=eu-central-1 ACCOUNT=123456789012 THING=my-first-thing\n";
        let ran = run(&format!("{names}{sed}\ncat my-policy.json"));
        assert!(
            !ran.out.contains(['<', '>']),
            "a placeholder is left: {}",
            ran.out
        );
        let policy: Value = serde_json::from_str(&ran.out).unwrap();
        let statements = policy["Statement"].as_array().unwrap();
        let resources = statements
            .iter()
            .flat_map(|statement| match &statement["Resource"] {
                Value::Array(many) => many.clone(),
                one => vec![one.clone()],
            });
        let arns: BTreeSet<String> = resources.map(|arn| arn.as_str().unwrap().into()).collect();
        for arn in [
            format!("client/{client}"),
            format!("topic/$aws/things/{thing}/jobs/start-next"),
            format!("topic/$aws/things/{thing}/jobs/*/update"),
            format!("topicfilter/$aws/things/{thing}/jobs/notify-next"),
        ] {
            let arn = format!("arn:aws:iot:eu-central-1:123456789012:{arn}");
            assert!(arns.contains(&arn), "{arn} is not among {arns:#?}");
        }
        // A variable for the client id is safe only for a certificate that is attached to the thing.
        let attached = |statement: &Value| {
            statement["Action"] == "iot:Connect"
                && statement["Condition"]["Bool"]["iot:Connection.Thing.IsAttached"] == "true"
        };
        assert_eq!(statements.iter().any(attached), client == of_the_connection);
        let size = ran.out.chars().filter(|c| !c.is_whitespace()).count();
        assert!(size <= 2048, "AWS takes no policy of {size} characters");
    }
}

/// Runs "On AWS" from top to bottom: every variable is set before it is used, git takes none of the
/// files, the program takes its flags, and all that is made is taken away again.
#[test]
fn on_aws_hangs_together_and_leaves_nothing_behind() {
    let ran = run(&shell_blocks(section("On AWS")).concat());
    assert_eq!(ran.files, ["policy.json"], "a file is left behind");

    let position = |command: &str| {
        let called = ran
            .calls
            .iter()
            .position(|call| call.get(2).is_some_and(|c| c == command));
        called.unwrap_or_else(|| panic!("{command} is never called"))
    };
    for (first, then) in [
        ("create-job", "describe-job-execution"),
        ("create-job", "delete-job"),
        ("create-thing", "delete-thing"),
        ("create-keys-and-certificate", "delete-certificate"),
        ("create-policy", "delete-policy"),
        ("attach-thing-principal", "detach-thing-principal"),
        ("attach-policy", "detach-policy"),
        // AWS deletes nothing that is attached, and no certificate that is active.
        ("detach-thing-principal", "delete-certificate"),
        ("detach-policy", "delete-certificate"),
        ("detach-policy", "delete-policy"),
        ("update-certificate", "delete-certificate"),
    ] {
        assert!(
            position(first) < position(then),
            "{first} belongs before {then}"
        );
    }
    let delete = &ran.calls[position("delete-certificate")];
    assert_eq!(delete[3..], ["--certificate-id", CERTIFICATE_ID]);

    use clap::Parser;
    let cargo = ran.calls.iter().find(|call| call[0] == "cargo").unwrap();
    let dashes = cargo.iter().position(|argument| argument == "--").unwrap();
    let flags = jobs_mqtt5::cli::Flags::try_parse_from(&cargo[dashes..]).unwrap();
    assert_eq!(flags.endpoint, ENDPOINT);

    let mut made: Vec<&str> = vec!["my-policy.json"];
    for pair in ran.calls[position("create-keys-and-certificate")].windows(2) {
        if pair[0].ends_with("-outfile") {
            made.push(&pair[1]);
        }
    }
    assert_eq!(made.len(), 4);
    for file in [flags.cert, flags.key] {
        assert!(
            made.contains(&file.to_str().unwrap()),
            "{file:?} is not made"
        );
    }
    for file in made {
        let extension = format!("*.{}", file.rsplit('.').next().unwrap());
        let ignored = read(".gitignore")
            .lines()
            .any(|line| line == extension || line == format!("/{file}"));
        assert!(ignored, "git would take {file}");
    }
}

#[test]
fn the_commands_for_a_fleet_have_settings_in_json() {
    let fleet = shell_blocks(section("From one device to a fleet")).concat();
    let ran = run(&format!("THING=my-first-thing\n{fleet}"));
    let job = ran
        .calls
        .iter()
        .find(|call| call[2] == "create-job")
        .unwrap();
    for (setting, field) in [
        ("--document", "operation"),
        ("--job-executions-rollout-config", "exponentialRate"),
        ("--abort-config", "criteriaList"),
        ("--timeout-config", "inProgressTimeoutInMinutes"),
        ("--job-executions-retry-config", "criteriaList"),
    ] {
        let at = job.iter().position(|argument| argument == setting).unwrap();
        let json: Value = serde_json::from_str(&job[at + 1]).unwrap();
        assert!(!json[field].is_null(), "{setting} has no {field}");
    }
}

const ENDPOINT: &str = "a1b2c3d4e5f6g7-ats.iot.eu-central-1.amazonaws.com";
const CERTIFICATE_ID: &str = "0123456789abcdef";

/// What a shell script did.
struct Ran {
    out: String,
    /// The calls of `aws` and `cargo`, word by word.
    calls: Vec<Vec<String>>,
    /// The files that it left.
    files: Vec<String>,
}

/// Runs a script in a folder with the policy's template. In the place of `aws` and `cargo` it calls
/// stand-ins, which write down how they were called, and answer as far as the script needs it.
fn run(script: &str) -> Ran {
    let arn = "arn:aws:iot:eu-central-1:123456789012";
    let stand_ins = format!(
        r#"
        set -eu
        told() {{ printf '%s\037' "$@" >> "$CALLS"; printf '\036' >> "$CALLS"; }}
        cargo() {{ told cargo "$@"; }}
        aws() {{
            told aws "$@"
            case "$*" in
                *describe-endpoint*) echo {ENDPOINT} ;;
                *get-caller-identity*) echo 123456789012 ;;
                *create-thing-group*) echo {arn}:thinggroup/group ;;
                *create-thing*) echo {arn}:thing/thing ;;
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
