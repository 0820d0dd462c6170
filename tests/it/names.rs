//! Names that take their time: a look-up may outlast the try that wanted it, what it brings serves the
//! next, and the addresses that a name had last are tried while no name server answers.
//!
//! The look-up is the test's own ([`Tcp::resolved_by`]); what the system's does without a thread is tried
//! on the real program.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use jobs_mqtt5::mqtt::{self, Client, ConnectionErrorKind, Event, Events, Publish, Tcp};
use tokio::net::TcpListener;

use crate::support::{World, interruption, within};

/// What a name server says; nothing before it is sent.
type Answer = io::Result<Vec<SocketAddr>>;

/// A name server that answers each question with what the test sends, and how often it was asked.
fn name_server() -> (Tcp, mpsc::Sender<Answer>, Arc<AtomicUsize>) {
    let (answers, next) = mpsc::channel();
    let (next, asked) = (std::sync::Mutex::new(next), Arc::new(AtomicUsize::new(0)));
    let count = asked.clone();
    let resolver = Tcp::resolved_by(move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        let answer = next.lock().unwrap().recv();
        answer.unwrap_or_else(|_| Err(io::ErrorKind::NotFound.into())) // the test is over
    });
    (resolver, answers, asked)
}

fn connect(world: &World, tcp: Tcp) -> (Client, Events<Event>) {
    let mut options = world.settings().mqtt;
    options.transport = Arc::new(tcp);
    options.tcp_timeout = Duration::from_millis(500);
    mqtt::connect(options)
}

async fn connected(events: &mut Events<Event>) {
    loop {
        match within(events.next()).await.unwrap() {
            Event::Connected { .. } => return,
            Event::Ended(outcome) => panic!("{outcome:?}"),
            _ => {}
        }
    }
}

fn address(world: &World) -> Vec<SocketAddr> {
    vec![SocketAddr::from(([127, 0, 0, 1], world.core.port()))]
}

#[tokio::test]
async fn a_look_up_that_outlasts_a_try_is_asked_once_and_serves_a_later_one() {
    let world = World::open().await;
    let (tcp, answers, asked) = name_server();
    let (mqtt, mut events) = connect(&world, tcp);
    for _ in 0..2 {
        let error = interruption(&mut events).await;
        assert_eq!(error.kind(), ConnectionErrorKind::Unreachable);
        assert!(
            error.to_string().ends_with("no name server answered"),
            "{error}"
        );
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    answers.send(Ok(address(&world))).unwrap();
    within(mqtt.publish(Publish::new("a", "x"))).await.unwrap();
}

#[tokio::test]
async fn a_look_up_that_fails_is_said_and_asked_again() {
    let world = World::open().await;
    let (tcp, answers, asked) = name_server();
    let (mqtt, mut events) = connect(&world, tcp);
    answers
        .send(Err(io::Error::other("the server is busy")))
        .unwrap();
    let error = interruption(&mut events).await;
    assert!(error.to_string().ends_with("the server is busy"), "{error}");
    answers.send(Ok(address(&world))).unwrap();
    within(mqtt.publish(Publish::new("a", "x"))).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn the_last_good_addresses_are_tried_while_no_name_server_answers() {
    let world = World::open().await;
    let (tcp, answers, asked) = name_server();
    let (_mqtt, mut events) = connect(&world, tcp);
    answers.send(Ok(address(&world))).unwrap();
    connected(&mut events).await;
    // Nothing comes; then an error, as from a name server that is not there.
    for answer in [None, Some(Err(io::ErrorKind::TimedOut.into()))] {
        world.core.drop_connections();
        let began = Instant::now();
        if let Some(answer) = answer {
            answers.send(answer).unwrap();
        }
        connected(&mut events).await;
        let took = began.elapsed();
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
    assert!(asked.load(Ordering::SeqCst) > 1, "nobody asked again");
}

#[tokio::test]
async fn a_name_that_has_moved_is_found_although_its_name_server_is_slow() {
    let world = World::open().await;
    let (tcp, answers, _) = name_server();
    let old = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (_mqtt, mut events) = connect(&world, tcp);
    answers.send(Ok(vec![old.local_addr().unwrap()])).unwrap();
    drop(within(old.accept()).await.unwrap()); // whoever is there now does not speak TLS
    interruption(&mut events).await;
    drop(within(old.accept()).await.unwrap()); // no answer yet: the old address
    answers.send(Ok(address(&world))).unwrap();
    connected(&mut events).await;
}

/// The system has no thread to give for a while: the program says so, and goes on once there is one.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[tokio::test]
async fn a_system_without_a_thread_for_the_look_up_is_waited_out() {
    use crate::support::{Program, program_path};
    use tokio::process::Command;

    let world = World::with_jobs(&["job"]).await;
    // Each thread takes a GiB of address space, and there is room for those that write the output.
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -S -v 2800000; exec \"$0\" \"$@\""]);
    command.arg(program_path()).args(world.flags(&[]));
    command.env("RUST_MIN_STACK", (1024 * 1024 * 1024).to_string());
    let program = Program::start_command(command);
    let no_thread = "can't be reached: the system has no thread to look it up (";
    program.err.wait_for(no_thread).await;

    let mut lift = Command::new("prlimit");
    lift.args(["--as=unlimited:", "--pid", &program.id().to_string()]);
    assert!(lift.status().await.unwrap().success());
    world.succeeds("job").await;
    let ended = program.interrupt().await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
}

#[tokio::test]
async fn a_resolver_that_panics_is_asked_again() {
    let world = World::open().await;
    let (found, calls) = (address(&world), AtomicUsize::new(0));
    let tcp = Tcp::resolved_by(move |_, _| {
        assert!(calls.fetch_add(1, Ordering::SeqCst) > 0, "no answer");
        Ok(found.clone())
    });
    let (_mqtt, mut events) = connect(&world, tcp);
    let error = interruption(&mut events).await;
    assert!(error.to_string().ends_with("no answer"), "{error}");
    connected(&mut events).await;
}
