//! Jobs for somebody else, and for another time, stay QUEUED and cost nothing, and the others are done.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jobs_mqtt5::agent::{Decision, Event, Filter, Outcome};
use local_iot_core::{Operation, Status};
use tokio::time::sleep;

use crate::support::{World, counted_work, idle, quick_work};

/// The jobs whose names begin so.
fn only(begins: &'static str) -> Filter {
    Arc::new(move |execution| {
        if execution.job_id.as_str().starts_with(begins) {
            Decision::Start
        } else {
            Decision::Leave
        }
    })
}

#[tokio::test]
async fn a_job_that_the_device_can_not_do_now_stays_queued_and_others_are_done_meanwhile() {
    let world = World::with_jobs(&["later", "now"]).await;
    let is_busy = Arc::new(AtomicBool::new(true));
    let busy = Arc::clone(&is_busy);
    let mut device = world.device(|settings| {
        settings.agent.filter = Some(Arc::new(move |execution| {
            if *execution.job_id.as_str() == *"later" && busy.load(Ordering::SeqCst) {
                Decision::Later(Duration::from_secs(3600))
            } else {
                Decision::Start
            }
        }));
    });
    let (mut events, jobs) = (device.agent.events(), device.jobs.clone());
    let calls = async {
        world.succeeds("now").await;
        while !matches!(events.next().await, Some(Event::NothingToStart)) {}
        let asked = world.requests(Operation::GetPending);
        sleep(Duration::from_millis(500)).await;
        let looks = world.requests(Operation::GetPending) - asked;
        assert!(looks <= 1, "{looks} looks: a busy loop"); // (one, if an event is on its way)
        let later = world.core.jobs().execution("later").unwrap();
        assert_eq!((later.status, later.starts), (Status::Queued, 0));
        is_busy.store(false, Ordering::SeqCst);
        jobs.look_again();
        world.succeeds("later").await;
    };
    tokio::select! {
        ended = device.agent.run(quick_work()) => panic!("{ended:?}"),
        () = calls => {}
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_put_off_is_looked_at_again_after_the_time_that_it_names() {
    let world = World::with_jobs(&["job"]).await;
    let times = Arc::new(Mutex::new(Vec::new()));
    let looks = Arc::clone(&times);
    let mut device = world.device(|settings| {
        settings.mqtt.transport = world.tunnel(Duration::ZERO);
        settings.agent.filter = Some(Arc::new(move |_| {
            let mut looks = looks.lock().unwrap();
            looks.push(tokio::time::Instant::now());
            match looks.len() {
                1 => Decision::Later(Duration::from_secs(120)),
                2 => Decision::Later(Duration::ZERO), // a second all the same
                _ => Decision::Start,
            }
        }));
    });
    let done = world.core.jobs().wait_for_status("job", Status::Succeeded);
    tokio::select! {
        ended = device.agent.run_here(async |_| Ok(Outcome::succeeded())) => panic!("{ended:?}"),
        _ = done => {}
    }
    let times = times.lock().unwrap();
    let waits: Vec<_> = times
        .windows(2)
        .map(|two| (two[1] - two[0]).as_secs())
        .collect();
    assert_eq!(waits, [120, 1]);
}

#[tokio::test]
async fn an_execution_that_is_not_for_this_program_stays_queued_and_costs_no_requests() {
    let world = World::with_jobs(&["theirs-1", "theirs-2"]).await;
    let mut settings = world.settings();
    settings.agent.filter = Some(only("ours"));
    let running = world.run(settings, quick_work());
    for id in ["theirs-1", "theirs-2"] {
        let line = format!("job_id:{id} is not for this program, and stays QUEUED.");
        running.out.wait_for(&line).await;
    }
    idle(&running).await;
    let all = |world: &World| {
        [
            Operation::GetPending,
            Operation::Describe,
            Operation::StartNext,
            Operation::Update,
        ]
        .map(|operation| world.requests(operation))
    };
    let before = all(&world);
    assert_eq!(before[2..], [0, 0], "nothing was started");
    sleep(Duration::from_millis(500)).await; // at 20 to 200 ms a pause, it would ask several times
    assert_eq!(all(&world), before, "it asks again and again");
    // An event is worth another look: its own is done, past the others.
    world.queue(&["ours-1"]);
    world.core.jobs().cancel_job_by_force("theirs-1").unwrap(); // (the first in line is another one)
    world.succeeds("ours-1").await;
    running.stop().await.unwrap();
    let theirs = world.core.jobs().execution("theirs-2").unwrap();
    assert_eq!((theirs.status, theirs.starts), (Status::Queued, 0));
}

#[tokio::test]
async fn two_programs_on_one_thing_do_each_its_own_jobs() {
    let world = World::new().await;
    let mut running = Vec::new();
    for whose in ["a-", "b-"] {
        let mut settings = world.settings();
        settings.mqtt.client_id = format!("test-{whose}");
        settings.agent.filter = Some(only(whose));
        settings.agent.idle_timeout = Duration::from_millis(300);
        let (work, count) = counted_work();
        running.push((world.run(settings, work), count));
    }
    world.queue(&["a-1", "b-1", "b-2", "a-2"]);
    for id in ["a-1", "b-1", "b-2", "a-2"] {
        world.succeeds(id).await;
        assert_eq!(world.core.jobs().execution(id).unwrap().starts, 1, "{id}");
    }
    for (running, count) in running {
        running.stop().await.unwrap();
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }
}
