//! The worked examples `telemetry` and `reboot`, as programs.

use local_iot_core::{Event, Status};
use serde_json::json;

use crate::support::{Program, THING, World, within};

#[tokio::test]
async fn telemetry_goes_on_while_jobs_are_done_over_the_same_connection() {
    let example = include_str!("../examples/telemetry.rs");
    let statement = example.split("//! ```").nth(1).unwrap();
    let statement = statement.replace("json\n", "").replace("//!", "");
    let policy = include_str!("../../policy.json");
    let policy = policy.replacen(
        "\"Statement\": [",
        &format!("\"Statement\": [{statement},"),
        1,
    );
    let world = World::set(|options| options.policy = policy).await;
    world.queue(&["first", "second"]);
    let program = Program::start_example("telemetry", &world.flags(&[]));
    world.succeeds("second").await;
    let topic = format!("dt/{THING}/temperature");
    let is_reading =
        |event: &Event| matches!(event, Event::Publish { topic: to, .. } if *to == topic);
    let so_far = world.core.journal().count(is_reading);
    assert!(so_far >= 4, "{so_far} readings in six seconds of work");
    within(world.core.journal().wait_for_count(so_far + 1, is_reading)).await;
    let connects = |event: &Event| matches!(event, Event::Connect { .. });
    assert_eq!(world.core.journal().count(connects), 1);
    assert_eq!(world.core.journal().violations(), [""; 0]);
    program.kill().await;
}

#[tokio::test]
async fn telemetry_without_its_statement_in_the_policy_names_it() {
    let world = World::new().await;
    let ended = Program::start_example("telemetry", &world.flags(&[]))
        .end()
        .await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.err.contains(
            "allow iot:Publish on arn:aws:iot:REGION:ACCOUNT:topic/dt/my-thing/temperature"
        ),
        "{}",
        ended.err
    );
}

#[tokio::test]
async fn a_job_restarts_the_device_and_the_next_run_reports_that_it_is_back() {
    let world = World::new().await;
    let jobs = world.core.jobs();
    jobs.create_job("restart", json!({"operation": "reboot"}))
        .unwrap();
    jobs.create_job("unknown", json!({"operation": "dance"}))
        .unwrap();
    let first = Program::start_example("reboot", &world.flags(&[]))
        .end()
        .await;
    assert_eq!(first.code, Some(0), "{}", first.err);
    let left = jobs.execution("restart").unwrap();
    assert_eq!(left.status, Status::InProgress);
    assert_eq!(left.status_details["step"], "restarting");
    let second = Program::start_example("reboot", &world.flags(&[]));
    world.succeeds("restart").await;
    let done = jobs.execution("restart").unwrap();
    assert_eq!(
        (done.starts, done.status_details["step"].as_str()),
        (1, "back")
    );
    within(jobs.wait_for_status("unknown", Status::Rejected)).await;
    second.kill().await;
}
