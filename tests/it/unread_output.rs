//! A stdout or stderr that nobody reads (`| less`, Ctrl-S, a log collector that hangs) stops nothing:
//! jobs, keep-alive and signals go on, and what could not be told is counted.

use std::io::Write;
use std::process::Stdio;

use jobs_mqtt5::sample::lines;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

use crate::support::{World, program_path, within};

/// Starts the program, and reads nothing of what it says.
fn start(world: &World, flags: &[&str]) -> Child {
    Command::new(program_path())
        .args(world.flags(flags))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Queues jobs whose documents have so many bytes, about.
fn queue(world: &World, jobs: usize, bytes: usize) -> Vec<String> {
    let job_ids: Vec<String> = (0..jobs).map(|n| format!("job-{n}")).collect();
    for job_id in &job_ids {
        let document = json!({ "do": job_id, "for": "x".repeat(bytes) });
        world.core.jobs().create_job(job_id, document).unwrap();
    }
    job_ids
}

/// Waits until all are SUCCEEDED.
async fn all_succeed(world: &World, job_ids: &[String]) {
    for job_id in job_ids {
        world.succeeds(job_id).await;
    }
    assert_eq!(world.core.journal().violations(), [""; 0]);
}

/// The next line that has this in it.
async fn line_with(part: &str, lines: &mut (impl AsyncRead + Unpin)) -> String {
    let mut lines = BufReader::new(lines).lines();
    let found = async {
        loop {
            let line = lines.next_line().await.unwrap().expect("the stream ended");
            if line.contains(part) {
                return line;
            }
        }
    };
    within(found).await
}

/// Interrupted, it ends with exit code 0 within two seconds, although nobody reads its last words.
#[cfg(unix)]
async fn ends_in_time(child: &mut Child) {
    let start = std::time::Instant::now();
    let id = child.id().unwrap().to_string();
    let kill = Command::new("kill").args(["-s", "TERM", &id]).status();
    assert!(kill.await.unwrap().success());
    let status = within(child.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(start.elapsed().as_secs_f32() < 2.0, "{:?}", start.elapsed());
}

#[cfg(unix)]
#[tokio::test]
async fn four_hundred_jobs_are_done_while_nobody_reads_stdout() {
    use tokio::io::AsyncReadExt;

    let world = World::new().await;
    let job_ids = queue(&world, 400, 1_000);
    let mut program = start(&world, &[]);
    // (Waits for up to 30 seconds each; all together, they take some 15.)
    all_succeed(&world, &job_ids).await;
    ends_in_time(&mut program).await;

    // It was stuck indeed: the pipe has the beginning of the story, and nothing of its end.
    let (mut out, mut err) = (String::new(), String::new());
    let stdout = program.stdout.as_mut().unwrap();
    within(stdout.read_to_string(&mut out)).await.unwrap();
    let stderr = program.stderr.as_mut().unwrap();
    within(stderr.read_to_string(&mut err)).await.unwrap();
    assert!(out.starts_with("Connecting to "), "{out}");
    assert!(!out.contains("Client Stopped."), "somebody has read it");
    assert_eq!(err, "");
}

#[tokio::test]
async fn when_somebody_reads_again_the_lines_left_out_are_counted_and_the_story_goes_on() {
    let world = World::new().await;
    let job_ids = queue(&world, 80, 8_000); // more than the pipe and the buffer hold
    let mut program = start(&world, &[]);
    all_succeed(&world, &job_ids).await;

    let stdout = program.stdout.as_mut().unwrap();
    let gap = line_with("lines dropped", stdout).await;
    let count = gap
        .strip_prefix("… ")
        .and_then(|rest| rest.strip_suffix(" lines dropped: output was blocked"));
    assert!(count.unwrap().parse::<u32>().unwrap() > 20, "{gap}");
    world.queue(&["after-it"]);
    world.succeeds("after-it").await;
    let line = line_with("start next job was accepted. job_id:after-it", stdout).await;
    assert!(
        line.ends_with(r#"job_document:{"do":"after-it"}"#),
        "{line}"
    );
    program.kill().await.unwrap();
}

#[tokio::test]
async fn jobs_are_done_while_nobody_reads_the_log_on_stderr() {
    // The other end of this pipe is held open and not read, and it is full before the program starts.
    let (_unread, stderr) = std::io::pipe().unwrap();
    let mut filler = stderr.try_clone().unwrap();
    let filler = std::thread::spawn(move || filler.write_all(&[b'.'; 1024 * 1024]));

    let world = World::new().await;
    let job_ids = queue(&world, 10, 1_000);
    let mut program = Command::new(program_path())
        .args(world.flags(&["--verbosity", "Trace"]))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    all_succeed(&world, &job_ids).await;
    // The story on stdout does not wait for the log.
    let stdout = program.stdout.as_mut().unwrap();
    line_with(lines::NOTHING_TO_START, stdout).await;
    #[cfg(unix)]
    ends_in_time(&mut program).await;
    assert!(!filler.is_finished(), "somebody has read it");
}
