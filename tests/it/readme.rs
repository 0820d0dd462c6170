//! The README, held to its word: what it quotes is there, what it shows is what happens, its links
//! lead somewhere, and its commands work. (Its Rust blocks are compiled and run as documentation
//! tests of the library.)

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use jobs_mqtt5::agent::Outcome;
use jobs_mqtt5::jobs::StatusDetails;
#[cfg(unix)]
use jobs_mqtt5::sample::lines;

mod commands;
mod reading;
mod shells;
mod stand_ins;
use reading::*;
pub(crate) use reading::{has_lines, marked};

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
    let tour = section("Read the code");
    for room in [
        "main", "work", "cli", "tls", "mqtt/", "jobs/", "agent/", "sample",
    ] {
        let link = format!("](src/{room}");
        assert!(tour.contains(&link), "the tour does not call at {room}");
    }
    assert!(!quoted.is_empty());
}

#[test]
fn it_can_be_read_in_twenty_minutes() {
    let words = read("README.md").split_whitespace().count();
    assert!(words <= 3_600, "it has {words} words");
}

#[test]
fn the_flags_are_those_of_the_program() {
    let help = Command::new(env!("CARGO_BIN_EXE_jobs-mqtt5"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap().replace(".exe", "");
    let page = read("tests/it/FLAGS.md");
    let (_, shown) = page.split_once("<!-- help -->\n```text\n").unwrap();
    assert_eq!(
        shown.trim_end().trim_end_matches('`').trim_end(),
        help.trim_end()
    );
}

#[test]
fn the_messages_in_the_table_are_those_of_the_program() {
    let sources = sources();
    let mut checked = 0;
    let rest = read("tests/it/MESSAGES.md");
    let table = section("When something goes wrong").lines();
    for row in table.chain(rest.lines()) {
        let Some(seen) = row.strip_prefix("| `") else {
            continue;
        };
        let seen = seen.split(" | ").next().unwrap();
        for message in seen
            .split('`')
            .step_by(2)
            .filter(|message| !message.is_empty())
        {
            // What happened is one sentence, and what to do about it is another from elsewhere.
            for sentence in sentences(message) {
                let said = sources.iter().any(|line| has_in_order(line, &sentence))
                    || without_reason(&sentence)
                        .is_some_and(|rest| sources.iter().any(|line| has_in_order(line, &rest)));
                assert!(said, "the program never says: {sentence}");
            }
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
    for name in ["A job", "MQTT5 and MQTT 3.1.1"] {
        let reference = format!("\\\"{name}\\\"");
        assert!(
            sources.iter().any(|line| line.contains(&reference)),
            "nobody refers to {name}"
        );
        assert!(!section(name).is_empty(), "there is no section {name}");
    }
}

/// How `details` are made, as the table of "Make it yours" has it.
#[test]
fn the_details_of_the_table_can_be_made() -> Result<(), Box<dyn std::error::Error>> {
    macro_rules! shown {
        ($code:expr) => {{
            let shown = format!("`{}`", stringify!($code));
            assert!(section("Make it yours").contains(&shown), "{shown}");
            $code
        }};
    }
    let details = shown!(StatusDetails::from_pairs([("version", "1.4.2")])?);
    assert!(matches!(
        Outcome::Succeeded(details),
        Outcome::Succeeded(details) if details.get("version") == Some("1.4.2")
    ));
    Ok(())
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

    let world = crate::support::World::new().await;
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
    program.out.wait_for(lines::NOTHING_TO_START).await;
    let told = program.interrupt().await.out;
    let told: BTreeSet<String> = told.lines().map(without_what_differs).collect();
    for line in story {
        let line = without_what_differs(line);
        assert!(
            told.contains(&line),
            "'{line}' is not among what was told: {told:#?}"
        );
    }
    assert!(story.len() > 15);
}

#[test]
fn systemd_takes_the_unit() {
    let installed = "/usr/local/bin/jobs-mqtt5";
    let unit = read("tests/deploy/jobs-mqtt5.service");
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
            let (file, _) = link.split_once('#').unwrap_or((link, "")); // pages.rs looks at anchors
            assert!(
                Path::new(ROOT).join(file).is_file(),
                "there is no file {file}"
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
