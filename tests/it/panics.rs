//! A panic is one plain sentence on stderr, wherever it happens and whatever the verbosity.

use std::process::Command;

use jobs_mqtt5::cli::Verbosity;
use jobs_mqtt5::log;
use jobs_mqtt5::output::Output;

/// Set where the program below is to panic.
const PANIC: &str = "JOBS_MQTT5_TEST_PANIC";

/// Not a test, but a program that panics: the test below starts it in a process of its own.
#[test]
#[ignore = "started by the test below"]
fn a_program_that_panics() {
    if std::env::var_os(PANIC).is_none() {
        return;
    }
    log::start(Verbosity::NoLogs, &Output::on_stdout_and_stderr().unwrap());
    panic!("index out of bounds:\nthe len is {}", 3);
}

#[test]
fn a_panic_outside_of_the_work_is_one_sentence_with_its_place_and_no_backtrace() {
    let panics_here = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "panics::a_program_that_panics"])
        .env(PANIC, "1")
        .env("RUST_BACKTRACE", "full")
        .output()
        .unwrap();
    let said = String::from_utf8(panics_here.stderr).unwrap();
    let line = include_str!("panics.rs")
        .lines()
        .position(|line| line.contains("panic!(\"index"));
    assert_eq!(
        said,
        format!(
            "The program panicked at {}:{}: index out of bounds:\\nthe len is 3\n",
            file!(),
            line.unwrap() + 1
        )
    );
    assert_eq!(panics_here.status.code(), Some(101));
}

/// tokio panics where no file is left for its signals.
#[cfg(unix)]
#[tokio::test]
async fn a_program_that_may_open_a_few_files_only_says_so() {
    use crate::support::{Program, World, program_path};
    let world = World::new().await;
    for most in ["5", "6", "7", "8", "9"] {
        let mut command = tokio::process::Command::new("sh");
        command.args(["-c", &format!("ulimit -n {most}; exec \"$0\" \"$@\"")]);
        command.arg(program_path()).args(world.flags(&[]));
        let ended = Program::start_command(command).end().await;
        assert!(
            ended.err.contains(": Too many open files"),
            "{most}: {}",
            ended.err
        );
        assert!(!ended.err.contains("panicked"), "{most}: {}", ended.err);
        assert_eq!(ended.code, Some(1), "{most}");
    }
}
