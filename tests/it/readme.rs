//! The README, held to its word: what it quotes is there, what it shows is what happens, its links
//! lead somewhere, and its commands work. (Its Rust blocks are compiled and run as documentation
//! tests of the library.)

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use jobs_mqtt5::jobs::JobExecution;
use local_iot_core::Status;
use serde_json::Value;

use crate::support::World;

#[path = "../write_config.rs"]
mod write_config;
use write_config::write_config;

const README: &str = include_str!("../../README.md");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

// What it quotes.

#[test]
fn what_is_quoted_stands_in_the_file_it_names() {
    let mut quoted = BTreeSet::new();
    for block in blocks() {
        let Some(path) = block.marker.strip_prefix("from ") else {
            let line = block.line;
            assert_ne!(
                block.language, "rs",
                "line {line} does not say where it is from"
            );
            continue;
        };
        let found = has_lines(&read(path), &block.text);
        assert!(
            found,
            "line {}: this is not in {path}:\n{}",
            block.line, block.text
        );
        quoted.insert(path.to_owned());
    }
    // The tour calls at every room.
    for room in [
        "src/main",
        "src/cli",
        "src/tls",
        "src/mqtt/",
        "src/jobs/",
        "src/sample",
    ] {
        assert!(
            quoted.iter().any(|path| path.starts_with(room)),
            "nothing is quoted from {room}"
        );
    }
}

#[test]
fn the_flags_are_those_of_the_program() {
    let help = Command::new(env!("CARGO_BIN_EXE_jobs-mqtt5"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap().replace(".exe", "");
    assert_eq!(marked("help").trim_end(), help.trim_end());
}

#[test]
fn the_messages_in_the_table_are_those_of_the_program() {
    let sources = sources();
    let mut checked = 0;
    for row in section("When something goes wrong").lines() {
        let Some(seen) = row.strip_prefix("| `") else {
            continue;
        };
        let seen = seen.split(" | ").next().unwrap();
        for message in seen
            .split('`')
            .step_by(2)
            .filter(|message| !message.is_empty())
        {
            let said = sources.iter().any(|line| has_in_order(line, message))
                || without_reason(message)
                    .is_some_and(|rest| sources.iter().any(|line| has_in_order(line, &rest)));
            assert!(said, "the program never says: {message}");
            checked += 1;
        }
    }
    assert!(
        checked > 30,
        "only {checked} messages were found in the table"
    );
}

#[test]
fn the_sections_that_the_program_refers_to_are_there() {
    let sources = sources();
    for name in ["On AWS", "MQTT5 and MQTT 3.1.1"] {
        let reference = format!("\\\"{name}\\\"");
        assert!(
            sources.iter().any(|line| line.contains(&reference)),
            "nobody refers to {name}"
        );
        assert!(!section(name).is_empty(), "there is no section {name}");
    }
}

// What it shows.

/// Has the program do the jobs of the transcript, and looks for each of its lines.
#[cfg(unix)]
#[tokio::test]
async fn the_transcript_is_what_the_program_tells() {
    let transcript = marked("transcript");
    let from = transcript.find("Connecting to").unwrap();
    let story: Vec<&str> = transcript[from..].lines().collect();
    let to = story.iter().position(|line| *line == "Client Stopped.");
    let story = &story[..to.map_or(story.len(), |last| last + 1)];

    let world = World::new().await;
    for line in story {
        if let Some((job, document)) = line.split_once(" job_document:")
            && let Some(job) = job.strip_prefix("Job ")
        {
            let (job_id, _) = job.split_once(':').unwrap();
            let document = serde_json::from_str(document).unwrap();
            world.core.jobs().create_job(job_id, document).unwrap();
        }
    }
    let program = world.start(&[]);
    program.out.wait_for("there are no jobs to be done").await;
    let told = program.interrupt().await.out;
    let told: BTreeSet<String> = told.lines().map(without_what_differs).collect();
    for line in story {
        let line = without_what_differs(line);
        assert!(
            told.contains(&line),
            "'{line}' is not among what was told: {told:#?}"
        );
    }
    assert!(story.len() > 20);
}

/// The worked example of "Make it yours", with the job documents that are shown there.
#[tokio::test]
async fn the_worked_example_writes_a_file_or_says_why_not() {
    let world = World::new().await;
    for line in marked("documents").lines() {
        let (job_id, document) = line
            .strip_prefix("create-job ")
            .unwrap()
            .split_once(' ')
            .unwrap();
        let document = serde_json::from_str(document).unwrap();
        world.core.jobs().create_job(job_id, document).unwrap();
    }
    let file = world.folder.path().join("config.json");
    let path = file.clone();
    let work = Arc::new(move |execution: &JobExecution| write_config(execution, &path));
    let running = world.run(world.settings(), work);
    running.out.wait_for("there are no jobs to be done").await;
    running.stop().await.unwrap();

    let good = world.core.jobs().execution("good").unwrap();
    assert_eq!(good.status, Status::Succeeded);
    assert_eq!(json_in(&file), good.document["config"]);
    let bad = world.core.jobs().execution("bad").unwrap();
    assert_eq!(bad.status, Status::Failed);
    assert_eq!(bad.status_details["reason"], marked("reason").trim_end());
}

#[test]
fn the_worked_example_replaces_the_file_as_a_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    let old = "the old content, which is a good deal longer than the new";
    std::fs::write(&file, old).unwrap();
    for document in [
        r#"{"operation": "reboot"}"#,
        r#"{"operation": "write-config"}"#,
        r#"{"operation": "write-config", "config": {"report_every_seconds": -1}}"#,
        r#"{"operation": "write-config", "config": {"report_every_seconds": 1, "more": 2}}"#,
        r#"["write-config"]"#,
        "null",
    ] {
        let reason = write_config(&execution(document), &file).unwrap_err();
        assert!(
            reason.starts_with("the job document is not as expected: "),
            "{reason}"
        );
        assert_eq!(std::fs::read_to_string(&file).unwrap(), old);
    }
    let good = execution(r#"{"operation": "write-config", "config": {"report_every_seconds": 1}}"#);
    for _ in 0..2 {
        write_config(&good, &file).unwrap(); // a second time: work may be repeated
        assert_eq!(json_in(&file), good.job_document["config"]);
        assert_eq!(
            std::fs::read_dir(&folder).unwrap().count(),
            1,
            "something is left behind"
        );
    }
    let reason = write_config(&good, &folder.path().join("no/such/folder")).unwrap_err();
    assert!(reason.contains("can't be written: "), "{reason}");
}

#[test]
fn systemd_takes_the_unit() {
    let installed = "/usr/local/bin/jobs-mqtt5";
    let unit = read("tests/jobs-mqtt5.service");
    assert!(unit.contains(installed));
    // systemd looks whether what the unit starts is there.
    let unit = unit.replace(installed, env!("CARGO_BIN_EXE_jobs-mqtt5"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs-mqtt5.service");
    std::fs::write(&path, unit).unwrap();
    let Ok(verified) = Command::new("systemd-analyze")
        .arg("verify")
        .arg(&path)
        .output()
    else {
        println!("There is no systemd-analyze here, so the unit is not verified.");
        return;
    };
    // It complains about a key that it does not know, and ends with 0 all the same.
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(
        verified.status.success() && !said.contains("jobs-mqtt5.service"),
        "{said}"
    );
}

// Where it leads.

#[test]
fn every_link_leads_somewhere() {
    let anchors: BTreeSet<String> = headings().into_iter().map(anchor).collect();
    assert_eq!(
        anchors.len(),
        headings().len(),
        "two headings have the same anchor"
    );
    let links = links();
    for link in &links {
        if let Some(anchor) = link.strip_prefix('#') {
            assert!(
                anchors.contains(anchor),
                "there is no heading for #{anchor}"
            );
        } else if !link.starts_with("https://") {
            assert!(
                Path::new(ROOT).join(link).is_file(),
                "there is no file {link}"
            );
        }
    }
    for heading in headings()
        .into_iter()
        .filter(|heading| heading.starts_with("## "))
    {
        let link = format!("#{}", anchor(heading));
        assert!(links.contains(&link), "'{heading}' is not in the contents");
    }
}

// Its commands.

#[cfg(unix)]
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
#[cfg(unix)]
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

#[cfg(unix)]
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

#[cfg(unix)]
const ENDPOINT: &str = "a1b2c3d4e5f6g7-ats.iot.eu-central-1.amazonaws.com";
#[cfg(unix)]
const CERTIFICATE_ID: &str = "0123456789abcdef";

/// What a shell script did.
#[cfg(unix)]
struct Ran {
    out: String,
    /// The calls of `aws` and `cargo`, word by word.
    calls: Vec<Vec<String>>,
    /// The files that it left.
    files: Vec<String>,
}

/// Runs a script in a folder with the policy's template. In the place of `aws` and `cargo` it calls
/// stand-ins, which write down how they were called, and answer as far as the script needs it.
#[cfg(unix)]
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

// How it is read.

/// A fenced block of the README.
struct Block {
    language: &'static str,
    /// The comment in the line before it, or nothing.
    marker: &'static str,
    /// Where it begins.
    line: usize,
    text: String,
}

fn blocks() -> Vec<Block> {
    blocks_of(README)
}

fn blocks_of(text: &'static str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut before = "";
    let mut lines = (1..).zip(text.lines());
    while let Some((line, content)) = lines.next() {
        if let Some(language) = content.strip_prefix("```") {
            let inside = lines.by_ref().map(|(_, content)| content);
            let inside = inside.take_while(|content| !content.starts_with("```"));
            blocks.push(Block {
                language,
                marker: before
                    .strip_prefix("<!-- ")
                    .and_then(|m| m.strip_suffix(" -->"))
                    .unwrap_or(""),
                line,
                text: inside.map(|content| format!("{content}\n")).collect(),
            });
        }
        before = content;
    }
    blocks
}

/// The text of the one block with this marker.
fn marked(marker: &str) -> String {
    let mut found: Vec<Block> = blocks();
    found.retain(|block| block.marker == marker);
    assert_eq!(found.len(), 1, "blocks marked {marker}");
    found.remove(0).text
}

#[cfg(unix)]
fn shell_blocks(section: &'static str) -> Vec<String> {
    let blocks = blocks_of(section)
        .into_iter()
        .filter(|block| block.language == "sh");
    blocks.map(|block| block.text).collect()
}

/// The lines outside of fenced blocks.
fn prose() -> impl Iterator<Item = &'static str> {
    let mut fenced = false;
    README.lines().filter(move |line| {
        let fence = line.starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

fn headings() -> Vec<&'static str> {
    prose().filter(|line| line.starts_with('#')).collect()
}

/// What stands under this heading, up to the next one of its rank.
fn section(name: &str) -> &'static str {
    let heading = headings()
        .into_iter()
        .find(|heading| heading.trim_start_matches('#').trim() == name)
        .unwrap_or_else(|| panic!("there is no section {name}"));
    let rank = heading.split(' ').next().unwrap();
    let from = README.find(&format!("\n{heading}\n")).unwrap() + heading.len() + 2;
    let rest = &README[from..];
    let to = rest.find(&format!("\n{rank} ")).unwrap_or(rest.len());
    &rest[..to]
}

/// The anchor that GitHub gives to a heading.
fn anchor(heading: &str) -> String {
    let title = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = title
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn links() -> BTreeSet<String> {
    let ends = |link: &str| link.split(')').next().map(str::to_owned);
    prose()
        .flat_map(|line| line.split("](").skip(1).filter_map(ends))
        .collect()
}

// What it is compared with.

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn json_in(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A job execution with this document.
fn execution(document: &str) -> JobExecution {
    serde_json::from_str(&format!(
        r#"{{"jobId": "job", "status": "IN_PROGRESS", "versionNumber": 2, "executionNumber": 1,
             "jobDocument": {document}}}"#
    ))
    .unwrap()
}

/// Whether these lines stand one after another in the file, all indented by as much more or less.
fn has_lines(file: &str, lines: &str) -> bool {
    fn at_the_margin(lines: &[&str]) -> Vec<String> {
        let indent = |line: &&str| line.len() - line.trim_start().len();
        let margin = lines
            .iter()
            .filter(|line| !line.trim().is_empty())
            .map(indent)
            .min();
        let cut = |line: &&str| line.get(margin.unwrap_or(0)..).unwrap_or("").to_owned();
        lines.iter().map(cut).collect()
    }
    let file: Vec<&str> = file.lines().collect();
    let lines: Vec<&str> = lines.lines().collect();
    let wanted = at_the_margin(&lines);
    file.windows(lines.len())
        .any(|window| at_the_margin(window) == wanted)
}

/// The lines of the program's source, with each string in one line, and without comments and tests.
fn sources() -> Vec<String> {
    fn collect(folder: &Path, lines: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, lines);
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap();
            let program = source.split("#[cfg(test)]").next().unwrap();
            let mut strings = program.split("\\\n");
            let mut joined = strings.next().unwrap().to_owned();
            strings.for_each(|rest| joined.push_str(rest.trim_start()));
            let told = joined
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            lines.extend(told.map(str::to_owned));
        }
    }
    let mut lines = Vec::new();
    collect(&Path::new(ROOT).join("src"), &mut lines);
    lines
}

/// Whether the line has the parts of the message between its `…`, in their order.
fn has_in_order(line: &str, message: &str) -> bool {
    let mut rest = line;
    let mut parts = message
        .split('…')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    parts.all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

/// The message with `…` for its reason code, such as `0x87 (not authorized)`, if that is one which
/// the program knows.
fn without_reason(message: &str) -> Option<String> {
    let (before, rest) = message.split_once("0x")?;
    let (code, rest) = rest.split_once(" (")?;
    let (name, after) = rest.split_once(')')?;
    let known = format!("0x{code} => \"{name}\"");
    assert!(
        read("src/mqtt/reason.rs").contains(&known),
        "{known} is not known"
    );
    Some(format!("{before}…{after}"))
}

/// A line of the story without the times and the client id.
#[cfg(unix)]
fn without_what_differs(line: &str) -> String {
    if line.starts_with("Exiting Sample: ") {
        return "Exiting Sample".to_owned();
    }
    let time = |word: &str| {
        word.len() >= 8 && word.chars().all(|c| c.is_ascii_digit() || "-:".contains(c))
    };
    let words = line.split(' ').map(|word| match word {
        word if word.starts_with("'test-") => "CLIENT",
        word if time(word.trim_end_matches(',')) => "TIME",
        word => word,
    });
    words.collect::<Vec<_>>().join(" ")
}
