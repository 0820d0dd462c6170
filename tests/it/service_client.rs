//! The service client, as a program of one's own would use it: it asks with names that AWS can have only, and
//! goes on after a reply that is damaged or late.

use std::time::Duration;

use jobs_mqtt5::agent::{Event, Outcome};
use jobs_mqtt5::jobs::{JobId, JobStatus};
use local_iot_core::{Fault, On, Operation, Status, Times};
use serde_json::json;

use crate::support::{World, long_waits, within};

mod payloads;

#[tokio::test]
async fn a_job_id_that_aws_can_not_have_is_an_error_before_anything_is_sent() {
    let long = "x".repeat(65);
    for text in [
        "a#b",
        "a/+",
        "a/b",
        "../../etc/passwd",
        "",
        "a\0b",
        "$next",
        &long,
    ] {
        let error = JobId::new(text).unwrap_err();
        assert!(error.to_string().contains("1 to 64 letters"), "{error}");
    }
    let world = World::with_jobs(&["job"]).await;
    let (client, mqtt) = world.jobs_client();
    let job_id = JobId::new("job").unwrap();
    let described = within(client.describe(&job_id)).await.unwrap().unwrap();
    assert_eq!(described.status, JobStatus::Queued);
    mqtt.disconnect();
    mqtt.ended().await;
}

#[tokio::test]
async fn a_running_job_can_be_described_for_a_fresh_url_until_it_is_gone() {
    let world = World::new().await;
    let document = json!({"url": "${aws:iot:s3-presigned-url:https://localhost/firmware}"});
    let jobs = world.core.jobs();
    jobs.create_job("job", document.clone()).unwrap();
    let mut device = world.device(|_| {});
    let job = device.next().await;
    let described = job.describe().await.unwrap().unwrap();
    assert_eq!(described.status, JobStatus::InProgress);
    let (first, fresh) = (&job.execution().job_document, described.job_document);
    assert!(fresh.text().contains("https://localhost/firmware?X-Amz-"));
    assert_ne!(*first, fresh);

    jobs.delete_job("job").unwrap();
    assert_eq!(job.describe().await.unwrap(), None);
    jobs.create_job("job", document).unwrap(); // another one, under the same name
    assert_eq!(job.describe().await.unwrap(), None);
    device.mqtt.disconnect();
    device.mqtt.ended().await;
}

#[tokio::test]
async fn an_execution_that_is_damaged_once_is_started_and_one_that_stays_unreadable_is_rejected() {
    for (damaged, lost, status) in [
        (1, 0, Status::InProgress),
        (2, 0, Status::Rejected),
        (2, 1, Status::Rejected), // the reply to its rejection, which is then refused: it is REJECTED
    ] {
        let world = World::with_jobs(&["broken", "next"]).await;
        let mut device = world.device(|_| {});
        let mut events = device.agent.events();
        let faults = world.core.faults();
        let fault = Fault::BrokenExecution("broken".to_owned(), "versionNumber".to_owned());
        faults.add(fault, Times::Count(damaged));
        if lost > 0 {
            faults.add(Fault::LoseReply(On::Outcome), Times::Count(lost));
        }
        let job = device.next().await;
        let broken = world.core.jobs().execution("broken").unwrap();
        assert_eq!(broken.status, status);
        if status == Status::Rejected {
            assert_eq!(*job.id(), "next"); // it is not in the way
            let reason = &broken.status_details["reason"];
            let begins = "the job execution can't be read: invalid type: ";
            assert!(reason.starts_with(begins), "{reason}");
            let is_told = |event: &Event| matches!(event, Event::UnreadableRejected { job_id } if *job_id == "broken");
            while !is_told(&within(events.next()).await.unwrap()) {}
        }
        within(job.finish(Outcome::succeeded())).await.unwrap();
        device.mqtt.disconnect();
        device.mqtt.ended().await;
    }
}

#[tokio::test]
async fn an_execution_whose_replies_alone_are_damaged_down_to_its_name_is_asked_for_again() {
    let world = World::with_jobs(&["damaged"]).await;
    let fault = Fault::BrokenExecution("damaged".to_owned(), "-jobId".to_owned());
    world.core.faults().add(fault, Times::Count(2)); // the description is whole again
    let mut device = world.device(|_| {});
    let mut events = device.agent.events();
    let job = device.next().await;
    assert_eq!(*job.id(), "damaged");
    let is_told = |event: &Event| matches!(event, Event::StartFailed(error) if error.to_string().contains("can't be read (missing field `jobId`"));
    while !is_told(&within(events.next()).await.unwrap()) {}
    within(job.finish(Outcome::succeeded())).await.unwrap();
    device.mqtt.disconnect();
    device.mqtt.ended().await;
}

#[tokio::test]
async fn a_reply_that_comes_while_a_request_waits_for_its_next_try_is_as_good() {
    let world = World::with_jobs(&["job"]).await;
    let start = Operation::StartNext;
    let late = Fault::LateReply(On::Only(start), Duration::from_millis(300));
    world.core.faults().add(late, Times::Once);
    let mut device = world.device(|settings| {
        settings.jobs.reply_timeout = Duration::from_millis(50);
        settings.jobs.backoff = long_waits(Duration::from_secs(60));
    });
    let job = device.next().await;
    assert_eq!(*job.id(), "job");
    assert_eq!(world.requests(start), 1);
}
