//! No job document can stop the queue: whatever it is, it is shown, started and worked on; and an
//! execution that can't be read at all is out of the way of the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jobs_mqtt5::agent::{Job, Outcome};
use jobs_mqtt5::sample::lines;
use jobs_mqtt5::text::is_printable;
use local_iot_core::{Event, Fault, Status, Tamper, Times};

use crate::support::{World, idle, quick_work, within};

mod any;

/// Documents that some parsers stop at.
fn troublesome() -> Vec<(&'static str, String)> {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    vec![
        ("lone-surrogate", r#"{"a":"\ud83d"}"#.to_owned()),
        ("surrogate-key", r#"{"\ud83d":1}"#.to_owned()),
        ("brackets", nested(15 * 1024)),
        ("levels", format!(r#"{{"a":{}}}"#, nested(126))),
        (
            "number",
            r#"{"a":1e400,"b":-1E-9999,"c":123456789012345678901234567890}"#.to_owned(),
        ),
        (
            "twice",
            r#"{"a":1,"a":2,"jobId":"other","status":"CANCELED"}"#.to_owned(),
        ),
        ("null", "null".to_owned()),
        ("empty", "{}".to_owned()),
        ("text", r#""execution""#.to_owned()),
        ("escapes", r#"{"a":"\u0000\u001b[2J\u202e\n"}"#.to_owned()),
    ]
}

#[tokio::test]
async fn every_document_is_shown_started_and_worked_on_and_then_the_next_job() {
    for rewrites_documents in [false, true] {
        let world =
            World::set(|options| options.dialect.rewrites_documents = rewrites_documents).await;
        let documents = troublesome();
        for (job_id, document) in &documents {
            world
                .core
                .jobs()
                .create_job_with_text(job_id, document)
                .unwrap();
        }
        world.queue(&["next"]);
        let expected = documents.clone();
        let work = async move |job: &Job| {
            let text = job.execution().job_document.text().to_owned();
            match expected.iter().find(|(job_id, _)| *job.id() == *job_id) {
                Some((_, document)) if !rewrites_documents && text != *document => {
                    Err(format!("it came as {text}").into())
                }
                _ => Ok(Outcome::succeeded()),
            }
        };
        let running = world.run(world.settings(), work);
        world.succeeds("next").await;
        idle(&running).await;
        for (job_id, _) in &documents {
            let execution = world.core.jobs().execution(job_id).unwrap();
            let reason = execution.status_details.get("reason");
            assert_eq!(execution.status, Status::Succeeded, "{job_id}: {reason:?}");
            let shown = format!("Job {job_id}: QUEUED");
            let started = format!("was accepted. job_id:{job_id} job_document:");
            assert_eq!(running.out.count(&shown), 1, "{job_id}");
            assert_eq!(running.out.count(&started), 1, "{job_id}");
        }
        let repaints = |c: char| c.is_control() && c != '\n';
        assert!(!running.out.text().contains(repaints));
        running.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_document_that_can_not_be_read_as_the_type_wanted_fails_its_job_only() {
    let world = World::new().await;
    for (job_id, document) in troublesome() {
        world
            .core
            .jobs()
            .create_job_with_text(job_id, &document)
            .unwrap();
    }
    world.queue(&["next"]);
    let work = async |job: &Job| {
        let value: std::collections::BTreeMap<String, f64> = match job.id().as_str() {
            "next" => return Ok(Outcome::succeeded()),
            _ => job.document()?,
        };
        Ok(Outcome::failed(format!("read as {value:?}")))
    };
    let running = world.run(world.settings(), work);
    world.succeeds("next").await;
    let failed = |job_id: &str| {
        let execution = world.core.jobs().execution(job_id).unwrap();
        assert_eq!(execution.status, Status::Failed, "{job_id}");
        execution.status_details["reason"].clone()
    };
    for (job_id, _) in troublesome() {
        assert!(!failed(job_id).is_empty(), "{job_id}");
    }
    let reason = failed("lone-surrogate");
    assert!(
        reason.contains("escape") || reason.contains("surrogate"),
        "{reason}"
    );
    assert_eq!(failed("empty"), "read as {}");
    running.stop().await.unwrap();
}

#[tokio::test]
async fn an_execution_that_can_not_be_read_is_rejected_with_the_reason_and_the_queue_goes_on() {
    for field in [
        "versionNumber",
        "-status",
        "executionNumber",
        "-versionNumber",
    ] {
        let world = World::with_jobs(&["broken", "next"]).await;
        let fault = Fault::BrokenExecution("broken".to_owned(), field.to_owned());
        world.core.faults().add(fault, Times::Always);
        let running = world.run(world.settings(), quick_work());
        within(
            world
                .core
                .jobs()
                .wait_for_status("broken", Status::Rejected),
        )
        .await;
        world.succeeds("next").await;
        let broken = world.core.jobs().execution("broken").unwrap();
        let reason = &broken.status_details["reason"];
        let field = field.trim_start_matches('-');
        assert!(
            reason.starts_with("the job execution can't be read: ")
                && (reason.contains(field) || reason.contains("invalid type")),
            "{reason}"
        );
        running.out.wait_for("job_id:broken is REJECTED").await;
        assert_eq!(running.out.count(lines::WORK_STARTED), 1);
        running.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_loop_of_ones_own_goes_past_an_execution_that_can_not_be_read_as_well() {
    let world = World::with_jobs(&["broken", "next"]).await;
    let fault = Fault::BrokenExecution("broken".to_owned(), "status".to_owned());
    world.core.faults().add(fault, Times::Always);
    let mut device = world.device(|_| {});
    let job = device.next().await;
    assert_eq!(*job.id(), "next");
    let broken = world.core.jobs().execution("broken").unwrap();
    assert_eq!(broken.status, Status::Rejected);
    let is_fault = |event: &Event| matches!(event, Event::Fault(_));
    assert!(world.core.journal().count(is_fault) >= 2);
}

/// Puts other words into what the service sends: as long as those in whose place they are.
struct OtherWords {
    here: &'static str,
    there: &'static str,
    struck: AtomicUsize,
}

impl Tamper for OtherWords {
    fn tamper(&self, _: u64, packets: Vec<u8>) -> Vec<(Duration, Vec<u8>)> {
        let (here, there) = (self.here.as_bytes(), self.there.as_bytes());
        let mut packets = packets;
        for at in 0..packets.len() {
            if packets[at..].starts_with(here) {
                packets[at..at + here.len()].copy_from_slice(there);
                self.struck.fetch_add(1, Ordering::SeqCst);
            }
        }
        vec![(Duration::ZERO, packets)]
    }
}

#[tokio::test]
async fn a_job_id_or_status_that_aws_can_not_have_is_neither_shown_as_it_is_nor_part_of_a_topic() {
    for (here, there) in [
        (r#""jobId":"from-elsewhere""#, r#""jobId":"../../elsewher""#),
        (r#""jobId":"from-elsewhere""#, r#""jobId":"a/+/#\u0000xyz""#),
        (r#""jobId":"from-elsewhere""#, r#""jobId":"\u001b[2J12345""#),
        (r#""status":"QUEUED""#, r#""status":"\u001b""#),
        (r#""status":"IN_PROGRESS""#, r#""status":"\u001b[2JXY""#),
    ] {
        let world = World::with_jobs(&["from-elsewhere", "next"]).await;
        let other_words = Arc::new(OtherWords {
            here,
            there,
            struck: AtomicUsize::new(0),
        });
        world.core.set_tamper(Some(other_words.clone()));
        let running = world.run(world.settings(), quick_work());
        if here.contains("jobId") {
            // The service can't have such a job; if it had one, no other would be started.
            running
                .out
                .wait_for("Request to start next job failed")
                .await;
        } else {
            world.succeeds("next").await;
            idle(&running).await;
        }
        assert!(other_words.struck.load(Ordering::SeqCst) > 1, "{there}");
        for told in [running.out.text(), running.err.text()] {
            assert!(told.lines().all(is_printable), "{told:?}");
        }
        let topics = world
            .core
            .journal()
            .events()
            .into_iter()
            .filter_map(|event| match event {
                Event::Publish { topic, .. } => Some(topic),
                _ => None,
            });
        for topic in topics {
            let ours = ["from-elsewhere/", "next/", "get", "start-next"];
            let rest = topic.strip_prefix("$aws/things/my-thing/jobs/").unwrap();
            assert!(ours.iter().any(|begin| rest.starts_with(begin)), "{topic}");
        }
        running.stop().await.unwrap();
        assert_eq!(world.core.journal().violations(), [""; 0]);
    }
}
