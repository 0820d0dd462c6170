//! Each flag that changes what the program does, as it does it.

use jobs_mqtt5::sample::lines;
use local_iot_core::{Event, Fault, Status, Times};

use crate::support::{LIMIT, Program, World};

mod connects;

#[tokio::test]
async fn help_names_every_flag_with_its_default_and_shows_a_whole_command() {
    let ended = Program::start(&["--help".to_owned()]).end().await;
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    for part in [
        "--endpoint <HOST>",
        "--cert <FILE>",
        "--key <FILE>",
        "--ca_file <FILE>",
        "--thing_name <NAME>",
        "--client_id <ID>",
        "[default: test- and a fresh UUID]",
        "--port <PORT>",
        "[default: 8883]",
        "--job_time <SECONDS>",
        "[default: 5]",
        "--proxy_host <HOST>",
        "--proxy_port <PORT>",
        "[default: 8080]",
        "--verbosity <LEVEL>",
        "[default: NoLogs]",
        "--timestamps",
        "--is_ci [<ANY>]",
        "--mqtt_version <VERSION>",
        "Example:\n  jobs-mqtt5 --endpoint ",
        "--thing_name my-thing\n",
    ] {
        assert!(ended.out.contains(part), "{part} in\n{}", ended.out);
    }
    let version = Program::start(&["--version".to_owned()]).end().await;
    assert_eq!(
        version.out,
        format!("jobs-mqtt5 {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[tokio::test]
async fn wrong_usage_ends_with_exit_code_2_and_clap_s_message() {
    let ended = Program::start(&["--endpoint".to_owned(), "https://x".to_owned()])
        .end()
        .await;
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""));
    assert!(
        ended
            .err
            .starts_with("error: invalid value 'https://x' for '--endpoint <HOST>'")
    );
    assert!(
        ended
            .err
            .contains("give the host name alone, without 'https://'"),
        "{}",
        ended.err
    );
}

#[tokio::test]
async fn what_is_no_port_is_told_what_one_is() {
    for flag in ["--port", "--proxy_port"] {
        for value in ["https", "0", "65536", "-1", ""] {
            let ended = Program::start(&[flag.to_owned(), value.to_owned()])
                .end()
                .await;
            let says = format!("for '{flag} <PORT>': give a number from 1 to 65535\n");
            assert_eq!(ended.code, Some(2));
            assert!(ended.err.contains(&says), "{}", ended.err);
        }
    }
}

#[tokio::test]
async fn a_flag_s_value_can_not_repaint_the_terminal() {
    let strange = "\u{1b}[2J\u{7}\u{202e}1".to_owned();
    let ended = Program::start(&["--port".to_owned(), strange]).end().await;
    assert_eq!(ended.code, Some(2));
    let expected = r"error: invalid value '\u{1b}[2J\u{7}\u{202e}1' for '--port <PORT>'";
    assert!(ended.err.starts_with(expected), "{}", ended.err);
}

#[tokio::test]
async fn ci_mode_lists_describes_and_ends() {
    let world = World::with_jobs(&["one", "two"]).await;
    let ended = world.start(&["--is_ci", "true"]).end().await;
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    assert!(
        ended
            .out
            .starts_with("Connecting to endpoint with client ID\n"),
        "{}",
        ended.out
    );
    assert!(
        !ended.out.contains("localhost"),
        "no endpoint in a public log: {}",
        ended.out
    );
    assert!(ended.out.contains(
        "At least one job queued in CI! No further work to do. Exiting sample...\nDisconnecting...\n"
    ));
    assert!(!ended.out.contains("start"), "{}", ended.out);
    for job in ["one", "two"] {
        assert_eq!(
            world.core.jobs().execution(job).unwrap().status,
            Status::Queued
        );
    }
}

#[tokio::test]
async fn ci_mode_without_a_job_fails() {
    let world = World::new().await;
    let ended = world.start(&["--is_ci", "true"]).end().await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended
            .out
            .contains("\nERROR: No jobs queued in CI! At least one job should be queued!\n")
    );
    assert!(
        ended.err.starts_with("No job is queued for this thing"),
        "{}",
        ended.err
    );
}

#[tokio::test]
async fn verbosity_logs_to_stderr_and_no_secret_is_in_it() {
    let world = World::with_jobs(&["job"]).await;
    let program = world.start(&["--verbosity", "trace"]);
    program.out.wait_for(lines::NOTHING_TO_START).await;
    program.err.wait_for("connected").await;
    let words = program.err.text();
    program.kill().await;
    assert!(
        words.contains(" INFO ") && words.contains("TRACE"),
        "{words}"
    );
    let key = std::fs::read_to_string(&world.files.key).unwrap();
    for line in key.lines().filter(|line| !line.starts_with("-----")) {
        assert!(!words.contains(line), "the key is in the log");
    }
}

#[tokio::test]
async fn timestamps_are_put_before_each_line_on_both_streams_and_only_when_asked_for() {
    let is_timed = |line: &String| {
        let (time, rest) = line.split_at_checked(24).unwrap_or((line, ""));
        let is_time = humantime::parse_rfc3339(time).is_ok_and(|at| {
            let age = at.elapsed().unwrap_or_default();
            age < LIMIT && time.contains('.') && time.ends_with('Z')
        });
        is_time && rest.starts_with(' ') && rest.len() > 1
    };
    for asked in [true, false] {
        let world = World::with_jobs(&["job"]).await;
        world
            .core
            .faults()
            .add(Fault::DropAfterConnack, Times::Once);
        let flags: &[&str] = if asked { &["--timestamps"] } else { &[] };
        let program = world.start(flags);
        program.out.wait_for(lines::NOTHING_TO_START).await;
        program.err.wait_for(lines::CONNECTION_BACK).await;
        let (out, err) = (program.out.lines(), program.err.lines());
        program.kill().await;
        for line in out.iter().chain(&err) {
            assert_eq!(is_timed(line), asked, "{line}");
        }
    }
}

#[tokio::test]
async fn each_run_has_a_client_id_of_its_own_that_the_sample_policy_allows() {
    let world = World::with_jobs(&["job"]).await;
    for _ in 0..2 {
        assert_eq!(world.start(&["--is_ci", "x"]).end().await.code, Some(0));
    }
    let events = world.core.journal().events();
    let ids: Vec<String> = events
        .into_iter()
        .filter_map(|event| match event {
            Event::Connect { client_id, .. } => Some(client_id),
            _ => None,
        })
        .collect();
    assert!(
        ids[0].starts_with("test-") && ids[1].starts_with("test-"),
        "{ids:?}"
    );
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn job_time_is_how_long_the_work_lasts() {
    let world = World::with_jobs(&["job"]).await;
    let program = world.start(&["--job_time", "1"]);
    world.succeeds("job").await;
    program.kill().await;
    let entries = world.core.journal().entries();
    let at = |status| {
        let fits = |event: &Event| matches!(event, Event::StateChange { to, .. } if *to == status);
        entries.iter().find(|entry| fits(&entry.event)).unwrap().at
    };
    let lasted = at(Status::Succeeded) - at(Status::InProgress);
    assert!(lasted.as_secs_f32() >= 1.0, "{lasted:?}");
}

#[tokio::test]
#[cfg(unix)]
async fn a_private_key_that_others_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::with_jobs(&["job"]).await;
    let key = world.files.key.display().to_string();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ended = world.start(&["--is_ci", "x"]).end().await;
    assert_eq!(
        ended.err,
        format!(
            "Warning: {key} holds a secret and is open to others than its owner (mode 644). Fix it \
             with: chmod 600 '{key}'\n"
        )
    );
    assert_eq!(ended.code, Some(0));
}
