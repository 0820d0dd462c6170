//! Ctrl-C and SIGTERM: the story is told to its end, DISCONNECT is said, exit code 0, within two
//! seconds, whatever the program is at.
#![cfg(unix)]

use std::time::{Duration, Instant};

use jobs_mqtt5::sample::lines;
use local_iot_core::{Event, Fault, Status, Times};

use crate::support::{Ended, Program, World, program_path, within};

/// What is promised.
const LIMIT: Duration = Duration::from_secs(2);

/// Brings a program to the point that the test is about, and interrupts it there. A machine that is
/// busy with other tests may be late once or twice: one of three programs has to end in time.
async fn interrupted_in_time(
    signal: &str,
    start: impl AsyncFn() -> (World, Program),
) -> (World, Ended) {
    let mut took = Vec::new();
    for _ in 0..3 {
        let (world, program) = start().await;
        let start = Instant::now();
        program.signal(signal).await;
        let ended = program.end().await;
        took.push(start.elapsed());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let last = "Disconnecting...\nClient Stopped.\n";
        assert!(ended.out.ends_with(last), "{}", ended.out);
        if took.last() < Some(&LIMIT) {
            return (world, ended);
        }
    }
    panic!("{took:?}");
}

fn says_goodbye(world: &World) -> bool {
    let goodbye = Event::Disconnect {
        by_client: true,
        reason: 0,
    };
    world.core.journal().count(|event| *event == goodbye) == 1
}

#[tokio::test]
async fn while_waiting_for_jobs() {
    for (signal, name) in [("INT", "Ctrl-C"), ("TERM", "SIGTERM")] {
        let (world, ended) = interrupted_in_time(signal, async || {
            let world = World::new().await;
            let program = world.start(&[]);
            program.out.wait_for(lines::NOTHING_TO_START).await;
            (world, program)
        })
        .await;
        assert!(
            ended
                .out
                .contains(&format!("Exiting Sample: interrupted by {name}\n"))
        );
        let goodbye = |event: &Event| matches!(event, Event::Disconnect { .. });
        within(world.core.journal().wait_for(goodbye)).await;
        assert!(says_goodbye(&world));
    }
}

/// A supervisor can leave signals blocked in what it starts.
#[tokio::test]
async fn although_the_parent_had_blocked_the_signals() {
    use nix::sys::signal::{SigSet, Signal};
    for signal in ["INT", "TERM"] {
        interrupted_in_time(signal, async || {
            let world = World::new().await;
            let blocked = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
            blocked.thread_block().unwrap();
            let program = world.start(&[]); // what a thread blocks, its children do
            blocked.thread_unblock().unwrap();
            program.out.wait_for(lines::NOTHING_TO_START).await;
            (world, program)
        })
        .await;
    }
}

#[tokio::test]
async fn while_connecting() {
    interrupted_in_time("INT", async || {
        let world = World::new().await;
        world.core.faults().add(Fault::NoConnack, Times::Always);
        let program = world.start(&[]);
        let connects = |event: &Event| matches!(event, Event::Connect { .. });
        within(world.core.journal().wait_for(connects)).await;
        (world, program)
    })
    .await;
}

#[tokio::test]
async fn while_waiting_to_connect_again() {
    interrupted_in_time("TERM", async || {
        let world = World::new().await;
        world.core.stop_listening().await;
        let program = world.start(&[]);
        program.err.wait_for("can't be reached").await;
        (world, program)
    })
    .await;
}

#[tokio::test]
async fn while_working_the_job_stays_in_progress_and_the_next_run_takes_it_up() {
    let (world, ended) = interrupted_in_time("INT", async || {
        let world = World::with_jobs(&["long"]).await;
        let program = world.start(&["--job_time", "3600"]);
        program.out.wait_for(lines::WORK_STARTED).await;
        (world, program)
    })
    .await;
    let why = "Exiting Sample: interrupted by Ctrl-C; job_id:long stays IN_PROGRESS, and the next run \
               resumes it\n";
    assert!(ended.out.contains(why), "{}", ended.out);
    assert_eq!(
        world.core.jobs().execution("long").unwrap().status,
        Status::InProgress
    );

    let program = world.start(&[]);
    program.out.wait_for("In Progress: long @ 20").await;
    program.out.wait_for(lines::REPORT_ACCEPTED).await;
    program.interrupt().await;
    let execution = world.core.jobs().execution("long").unwrap();
    assert_eq!((execution.status, execution.starts), (Status::Succeeded, 1));
}

#[tokio::test]
async fn a_closed_stdout_or_stderr_is_no_reason_to_stop_working() {
    for closed in ["1", "2"] {
        let world = World::with_jobs(&["unseen"]).await;
        // The shell's `head -c0` reads nothing and goes; the program writes to a pipe without reader.
        let pipe = match closed {
            "1" => "\"$0\" \"$@\" | head -c0",
            _ => "\"$0\" \"$@\" 2>&1 >/dev/null | head -c0",
        };
        let mut command = tokio::process::Command::new("sh");
        command.args(["-c", pipe]).arg(program_path());
        command.args(world.flags(&["--verbosity", "Trace"]));
        command.process_group(0);
        let program = Program::start_command(command);
        world.succeeds("unseen").await;
        // It is not the shell's job to pass signals on: the whole group gets it.
        program.signal_group("TERM").await;
    }
}
