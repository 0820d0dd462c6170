//! What a product that stands on the library relies on: its process ends, its work ends with what runs it,
//! and no message is lost in silence.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jobs_mqtt5::agent::{Interrupted, Job, Outcome};
use jobs_mqtt5::mqtt::{self, Buffer, Event, Publish};
use local_iot_core::{Event as Seen, Status, Tamper};
use tokio::sync::mpsc;

use crate::support::{Program, THING, World, next_message, quick_work, within};

mod stands_still;

// The process, and the work

#[tokio::test]
async fn a_device_on_the_library_whose_work_hangs_ends_with_1_on_one_thread_and_on_several() {
    for threads in ["one", "several"] {
        let world = World::with_jobs(&["job"]).await;
        let port = world.core.port().to_string();
        let [cert, key, ca] = [&world.files.cert, &world.files.key, &world.files.ca]
            .map(|path| path.to_str().unwrap().to_owned());
        let flags = [threads.to_owned(), port, cert, key, ca];
        let device = Program::start_example("hanging_work", &flags);
        device.out.wait_for("The work hangs.").await;
        world.core.jobs().cancel_job_by_force("job").unwrap();
        let ended = device.end().await;
        assert_eq!(ended.code, Some(1), "{threads}: {}", ended.err);
        let words = "the work on job_id:job did not end within 0.3 seconds after it was told to\n";
        assert_eq!(ended.err, words, "{threads}");
    }
}

#[tokio::test]
async fn dropping_a_run_ends_its_work_and_the_next_run_of_the_job_waits_for_that() {
    let world = World::with_jobs(&["job"]).await;
    let mut device = world.device(|_| {});
    let (told, mut heard) = mpsc::unbounded_channel();
    let at_work = Arc::new(AtomicUsize::new(0));
    let together = Arc::clone(&at_work);
    let slow = async move |job: &Job| {
        at_work.fetch_add(1, Ordering::SeqCst);
        let _ = told.send(());
        let why = job.interrupted().await;
        assert_eq!(job.check(), Err(Interrupted::Stopping));
        std::thread::sleep(Duration::from_millis(300)); // it takes its time
        at_work.fetch_sub(1, Ordering::SeqCst);
        Err(why.into())
    };
    tokio::select! {
        ended = device.agent.run(slow) => panic!("{ended:?}"),
        begun = within(heard.recv()) => assert_eq!(begun, Some(())),
    }
    assert_eq!(together.load(Ordering::SeqCst), 1);
    let next = async move |_: &Job| {
        assert_eq!(together.load(Ordering::SeqCst), 0, "the first goes on");
        Ok(Outcome::succeeded())
    };
    tokio::select! {
        ended = device.agent.run(next) => panic!("{ended:?}"),
        () = world.succeeds("job") => {}
    }
    assert_eq!(world.core.jobs().execution("job").unwrap().starts, 1);
}

#[tokio::test]
async fn work_in_several_parts_is_not_interrupted_by_the_end_of_one() {
    let world = World::with_jobs(&["job"]).await;
    let mut device = world.device(|_| {});
    let job = device.next().await;
    for _ in 0..2 {
        let part = async |job: &Job| {
            job.check()?;
            Ok(Outcome::succeeded())
        };
        assert_eq!(within(job.run(part)).await, Outcome::succeeded());
    }
    within(job.finish(Outcome::succeeded())).await.unwrap();
    world.succeeds("job").await;
}

// Messages

/// Once this has come back, what was published before has been delivered.
async fn all_is_delivered(mqtt: &mqtt::Client) {
    within(mqtt.publish(Publish::new("other", "")))
        .await
        .unwrap();
}

#[tokio::test]
async fn what_does_not_fit_into_a_buffer_is_counted_and_told_to_its_reader_and_as_an_event() {
    let (messages, bytes) = (3, 20);
    // Full by its messages, and by its bytes.
    for (payload, fitting) in [("x", 3), ("ten bytes.", 2)] {
        let world = World::open().await;
        let (mqtt, mut events) = world.connect();
        let mut slow = mqtt.subscribe_with(["a"], Buffer { messages, bytes });
        within(slow.granted().wait()).await.unwrap();
        for _ in 0..10 {
            world.core.publish("a", payload).unwrap();
        }
        all_is_delivered(&mqtt).await;
        for _ in 0..fitting {
            within(slow.next()).await.unwrap();
        }
        assert_eq!(slow.missed(), 10 - fitting);
        world.core.publish("a", payload).unwrap();
        within(slow.next()).await.unwrap(); // there is room again
        assert_eq!(slow.missed(), 0);
        let mut told = Vec::new();
        while told.len() < 3 {
            if let Event::Overflow { filters, dropped } = within(events.next()).await.unwrap() {
                assert_eq!(filters, ["a"]);
                told.push(dropped);
            }
        }
        assert_eq!(told, [1, 2, 4]);
    }
}

#[tokio::test]
async fn jobs_are_done_whatever_a_slow_subscriber_of_their_topics_does() {
    let world = World::open().await;
    let mut device = world.device(|_| {});
    let buffer = Buffer {
        messages: 1,
        bytes: 1,
    };
    let mut slow = device
        .mqtt
        .subscribe_with([format!("$aws/things/{THING}/jobs/#")], buffer);
    within(slow.granted().wait()).await.unwrap();
    let ids: Vec<String> = (0..100).map(|nth| format!("job-{nth}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    world.queue(&ids);
    tokio::select! {
        ended = device.agent.run(quick_work()) => panic!("{ended:?}"),
        () = world.succeeds("job-99") => {}
    }
    assert!(slow.missed() > 0);
}

#[tokio::test]
async fn a_handler_that_panics_ends_nothing() {
    let world = World::open().await;
    let (mqtt, _events) = world.connect();
    let panics = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&panics);
    let _handled = mqtt.handle(["a"], move |delivery| match delivery {
        mqtt::Delivery::Message(_) => {
            counted.fetch_add(1, Ordering::SeqCst);
            panic!("in a handler")
        }
        _ => true,
    });
    let mut other = mqtt.subscribe(["a"]);
    within(other.granted().wait()).await.unwrap();
    world.core.publish("a", "first").unwrap();
    world.core.publish("a", "second").unwrap();
    assert_eq!(next_message(&mut other).await.1, "first");
    assert_eq!(next_message(&mut other).await.1, "second");
    assert_eq!(mqtt.connection(), 1);
    assert!(panics.load(Ordering::SeqCst) > 0);
}

#[tokio::test]
async fn a_session_that_is_lost_while_a_reply_is_waited_for_costs_no_time_limit() {
    let world = World::with_jobs(&["job"]).await;
    let mut device = world.device(|settings| {
        settings.jobs.reply_timeout = Duration::from_secs(600);
    });
    let fault = local_iot_core::Fault::LoseReply(local_iot_core::On::Any);
    world.core.faults().add(fault, local_iot_core::Times::Once);
    let struck = |event: &Seen| matches!(event, Seen::Fault(_));
    let lose_session = async {
        world.core.journal().wait_for(struck).await;
        world.core.forget_sessions();
        world.core.drop_connections();
        std::future::pending().await
    };
    let job = tokio::select! {
        job = device.next() => job,
        () = lose_session => unreachable!(),
    };
    assert_eq!(*job.id(), "job");
}

// What belongs together

/// Keeps the reply to start-next back, and lets it go together with what comes next.
#[derive(Default)]
struct Together(Mutex<Option<Vec<u8>>>, AtomicUsize);

impl Tamper for Together {
    fn tamper(&self, _connection: u64, packets: Vec<u8>) -> Vec<(Duration, Vec<u8>)> {
        let mut kept = self.0.lock().unwrap();
        let has = |what: &str| {
            packets
                .windows(what.len())
                .any(|bytes| bytes == what.as_bytes())
        };
        if kept.is_none() && has("start-next/accepted") {
            *kept = Some(packets);
            return Vec::new();
        }
        match kept.take() {
            Some(before) if has("notify-next") => {
                self.1.fetch_add(1, Ordering::SeqCst);
                vec![(Duration::ZERO, [before, packets].concat())]
            }
            before => {
                *kept = before;
                vec![(Duration::ZERO, packets)]
            }
        }
    }
}

#[tokio::test]
async fn a_reply_and_a_later_event_that_arrive_in_one_piece_are_told_in_their_order() {
    let world = World::with_jobs(&["first"]).await;
    let together = Arc::new(Together::default());
    world.core.set_tamper(Some(together.clone()));
    let running = world.run(world.settings(), quick_work());
    let started = world
        .core
        .jobs()
        .wait_for_status("first", Status::InProgress);
    within(started).await;
    world.queue(&["second"]);
    world.core.jobs().cancel_job_by_force("first").unwrap();
    let event = "Received Next Job Execution Changed event. job_id:second";
    running.out.wait_for(event).await;
    assert_eq!(together.1.load(Ordering::SeqCst), 1, "it struck");
    let text = running.out.text();
    let (told, _) = text.split_once(event).unwrap();
    let reply = "Request to start next job was accepted. job_id:first";
    assert!(told.contains(reply), "{text}");
    world.succeeds("second").await;
    running.stop().await.unwrap();
}
