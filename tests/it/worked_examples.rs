//! The worked example `device`, as a program.

use std::time::Duration;

use jobs_mqtt5::mqtt::Publish;
use local_iot_core::{Event, Message, Status, fill_policy};
use serde_json::json;
use tokio::time::timeout;

use crate::support::{Program, THING, World, within};

/// What `device` does besides jobs.
fn world_for_a_device() -> impl Future<Output = World> {
    let more = fill_policy(
        r#"{"Effect": "Allow", "Action": "iot:Publish",
            "Resource": "arn:aws:iot:<region>:<account>:topic/dt/<thingname>/*"},
           {"Effect": "Allow", "Action": ["iot:Publish", "iot:Receive"],
            "Resource": "arn:aws:iot:<region>:<account>:topic/cmd/<thingname>/*"},
           {"Effect": "Allow", "Action": "iot:Subscribe",
            "Resource": "arn:aws:iot:<region>:<account>:topicfilter/cmd/<thingname>/*"},"#,
        THING,
    );
    let policy = include_str!("../../policy.json");
    let policy = policy.replacen("\"Statement\": [", &format!("\"Statement\": [{more}"), 1);
    World::set(|options| options.policy = policy)
}

#[tokio::test]
async fn a_device_sends_readings_and_brews_over_one_connection() {
    let world = world_for_a_device().await;
    let jobs = world.core.jobs();
    jobs.create_job("two-cups", json!({"cups": 2})).unwrap();
    jobs.create_job("one-cup", json!({"cups": 1})).unwrap();
    let program = Program::start_example("device", &world.flags(&[]));
    world.succeeds("one-cup").await;
    assert_eq!(
        jobs.execution("two-cups").unwrap().status_details["cups"],
        "2"
    );
    let topic = format!("dt/{THING}/celsius");
    let is_reading =
        |event: &Event| matches!(event, Event::Publish { topic: to, .. } if *to == topic);
    let so_far = world.core.journal().count(is_reading);
    assert!(so_far >= 2, "{so_far} readings in three seconds of work");
    within(world.core.journal().wait_for_count(so_far + 1, is_reading)).await;
    let connects = |event: &Event| matches!(event, Event::Connect { .. });
    assert_eq!(world.core.journal().count(connects), 1);
    assert_eq!(world.core.journal().violations(), [""; 0]);
    program.kill().await;
}

#[test]
fn the_whole_device_is_a_short_program() {
    let lines = include_str!("../examples/device.rs").lines().count();
    assert!(lines < 110, "{lines} lines");
}

#[tokio::test]
async fn a_device_whose_job_is_canceled_ends_it_and_does_the_next() {
    let world = world_for_a_device().await;
    let jobs = world.core.jobs();
    jobs.create_job("cups", json!({"cups": 60})).unwrap();
    jobs.create_job("next", json!({"cups": 1})).unwrap();
    let program = Program::start_example("device", &world.flags(&[]));
    program.out.wait_for("cups: cup 1 of 60").await;
    let is_progress = |update: &serde_json::Value| {
        update["statusDetails"]["step"] == "brewing" && update["status"] == "IN_PROGRESS"
    };
    assert!(
        world.updates().iter().any(is_progress),
        "{:?}",
        world.updates()
    );
    jobs.cancel_job_by_force("cups").unwrap();
    world.succeeds("next").await;
    assert_eq!(jobs.execution("cups").unwrap().status, Status::Canceled);
    program.kill().await;
}

#[tokio::test]
async fn a_device_answers_a_command_where_the_answer_is_expected() {
    let world = world_for_a_device().await;
    let program = Program::start_example("device", &world.flags(&[]));
    let subscribed = |event: &Event| matches!(event, Event::Suback { .. });
    within(world.core.journal().wait_for(subscribed)).await;
    let (mqtt, _) = world.connect();
    let answers = format!("cmd/{THING}/answers/1");
    let mut answered = mqtt.subscribe([&answers]);
    within(answered.granted().wait()).await.unwrap();
    let command = Publish::new(format!("cmd/{THING}/blink"), "")
        .response_topic(&answers)
        .correlation_data("17");
    within(mqtt.publish(command)).await.unwrap();
    let answer = within(answered.next()).await.unwrap();
    assert_eq!(answer.payload, format!("done: cmd/{THING}/blink"));
    assert_eq!(answer.correlation_data.as_deref(), Some(&b"17"[..]));
    program.kill().await;
}

#[tokio::test]
async fn a_command_whose_answer_can_t_be_published_costs_that_answer_and_nothing_else() {
    let world = world_for_a_device().await;
    let jobs = world.core.jobs();
    jobs.create_job("cups", json!({"cups": 60})).unwrap();
    let program = Program::start_example("device", &world.flags(&[]));
    program.out.wait_for("cups: cup 1 of 60").await;
    let (mqtt, _) = world.connect();
    let good = format!("cmd/{THING}/answers/1");
    let mut answered = mqtt.subscribe([&good]);
    within(answered.granted().wait()).await.unwrap();
    let too_long = ["x".repeat(257), "x".repeat(65_535)];
    let deep = "a/b/c/d/e/f/g/h/i/j/k/l"; // AWS IoT Core takes seven slashes
    let jobs_topic = format!("$aws/things/{THING}/jobs/cups/update/accepted");
    let bad = [
        "not/for/this/device",
        "#",
        "a/+/b",
        "",
        "a\0b",
        "$aws/x",
        deep,
        &jobs_topic,
    ];
    let bad = bad.into_iter().chain(too_long.iter().map(String::as_str));
    for (number, topic) in bad.enumerate() {
        let command = |topic: &str| {
            let mut command = Message::new(format!("cmd/{THING}/blink"), "");
            command.properties.response_topic = Some(topic.to_owned());
            command.properties.correlation_data = Some(number.to_string().into());
            world.core.forge_message(command);
        };
        command(topic);
        let counted = format!("An answer was skipped ({} so far)", number + 1);
        program.err.wait_for(&counted).await;
        // (A topic that costs the session costs the commands in it as well: they are given anew.)
        let expected = number.to_string();
        let is_answered = async {
            loop {
                command(&good);
                let answer = timeout(Duration::from_secs(2), answered.next()).await;
                let data = answer
                    .ok()
                    .and_then(|answer| answer.unwrap().correlation_data);
                if data.as_deref() == Some(expected.as_bytes()) {
                    return;
                }
            }
        };
        within(is_answered).await;
    }
    // Its job goes on as well.
    assert_eq!(jobs.execution("cups").unwrap().status, Status::InProgress);
    jobs.create_job("next", json!({"cups": 1})).unwrap();
    jobs.cancel_job_by_force("cups").unwrap();
    world.succeeds("next").await;
    program.kill().await;
}

#[tokio::test]
async fn a_device_that_was_killed_goes_on_with_the_cup_it_was_at() {
    let world = world_for_a_device().await;
    let jobs = world.core.jobs();
    jobs.create_job("cups", json!({"cups": 3})).unwrap();
    let first = Program::start_example("device", &world.flags(&[]));
    first.out.wait_for("cups: cup 2 of 3").await;
    first.kill().await;
    let second = Program::start_example("device", &world.flags(&[]));
    world.succeeds("cups").await;
    assert_eq!(second.out.count("cups: cup 1 of 3"), 0);
    assert_eq!(jobs.execution("cups").unwrap().starts, 1);
    second.kill().await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_device_that_is_told_to_stop_ends_with_0_and_leaves_its_job_for_the_next_run() {
    let world = world_for_a_device().await;
    let jobs = world.core.jobs();
    jobs.create_job("cups", json!({"cups": 60})).unwrap();
    let program = Program::start_example("device", &world.flags(&[]));
    program.out.wait_for("cups: cup 1 of 60").await;
    let ended = program.interrupt().await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(jobs.execution("cups").unwrap().status, Status::InProgress);
}

#[tokio::test]
async fn a_device_whose_policy_lacks_a_statement_says_which_publish_was_refused() {
    let world = World::new().await;
    let ended = Program::start_example("device", &world.flags(&[]))
        .end()
        .await;
    assert_eq!(ended.code, Some(1));
    let words = "the server refused a publish to dt/my-thing/celsius: PUBACK 0x87 (not authorized)";
    assert!(ended.err.contains(words), "{}", ended.err);
}
