//! Whoever has a presigned URL may fetch what it stands for: what signs it is in no log line, no `Debug`
//! output, no error text and no reason that the service is told.

use std::collections::BTreeMap;

use jobs_mqtt5::agent::{Event, Job, Outcome};
use jobs_mqtt5::jobs::{ExecutionReply, Rejection};
use jobs_mqtt5::sample::lines;

use crate::support::{World, detail, within};

const URL: &str = "https://b.example/f.bin?X-Amz-Date=1&X-Amz-Signature=SECRET";

/// An execution with the URL wherever a text may be.
fn execution() -> ExecutionReply {
    let text = format!(
        r#"{{"execution": {{"jobId": "j", "status": "see {URL}", "versionNumber": 1, "executionNumber": 1,
            "jobDocument": {{"url": "{URL}"}}, "statusDetails": {{"from": "{URL}"}}}}}}"#
    );
    serde_json::from_str(&text).unwrap()
}

#[test]
fn what_signs_a_url_is_in_no_debug_output() {
    let reply = execution();
    let started = Event::Started(reply.execution.clone().unwrap().into());
    let rejection = format!(r#"{{"code": "InvalidRequest", "message": "no: {URL}"}}"#);
    let rejection: Rejection = serde_json::from_str(&rejection).unwrap();
    let failed = Outcome::failed(format!("GET {URL}: 403"));
    for shown in [
        format!("{reply:?}"),
        format!("{started:#?}"),
        format!("{rejection:?}"),
        format!("{failed:?}"),
        format!("{:?}", detail("from", URL)),
    ] {
        assert!(!shown.contains("SECRET"), "{shown}");
        assert!(shown.contains("f.bin?…"), "{shown}");
    }
    // Whoever asks for them as they came has them.
    let execution = reply.execution.unwrap();
    assert!(execution.job_document.text().contains(URL));
    assert_eq!(execution.status_details.get("from"), Some(URL));
}

#[test]
fn a_document_of_another_form_is_an_error_that_quotes_no_signature() {
    let document = execution().execution.unwrap().job_document;
    let error = document.read::<BTreeMap<String, u8>>().unwrap_err();
    assert_eq!((error.line(), error.column()), (1, 69));
    for shown in [error.to_string(), format!("{error:?}")] {
        assert!(shown.contains("https://b.example/f.bin?…"), "{shown}");
        assert!(!shown.contains("SECRET"), "{shown}");
    }
}

#[tokio::test]
async fn a_reason_or_progress_that_quotes_a_presigned_url_is_told_without_its_signature() {
    let jobs = ["other_form", "error", "panic", "refused"];
    let world = World::new().await;
    for job_id in jobs {
        let document = format!("\"{URL}\"");
        let made = world.core.jobs().create_job_with_text(job_id, &document);
        made.unwrap();
    }
    let work = async |job: &Job| {
        job.checkpoint(detail("from", URL)).await?;
        match job.id().as_str() {
            "other_form" => drop(job.document::<Vec<u8>>()?),
            "error" => Err(format!("GET {URL}: 403"))?,
            "panic" => panic!("GET {URL}: 403"),
            _ => {}
        }
        Ok(Outcome::rejected(format!("not from {URL}")))
    };
    let running = world.run(world.settings(), work);
    running.out.wait_for(lines::NOTHING_TO_START).await;
    for job_id in jobs {
        let execution = world.core.jobs().execution(job_id).unwrap();
        let reason = &execution.status_details["reason"];
        assert!(reason.contains("https://b.example/f.bin?…"), "{reason}");
    }
    let (out, err) = (running.out.clone(), running.err.clone());
    running.stop().await.unwrap();
    for said in [out.text(), err.text()] {
        assert!(!said.contains("SECRET"), "{said}");
    }
}

#[tokio::test]
async fn what_signs_a_url_is_not_in_the_debug_output_of_a_message() {
    let world = World::open().await;
    let (mqtt, _events) = world.connect();
    let mut inbox = mqtt.subscribe(["a"]);
    within(inbox.granted().wait()).await.unwrap();
    world.core.publish("a", URL).unwrap();
    let message = within(inbox.next()).await.unwrap();
    assert_eq!(message.payload, URL);
    let shown = format!("{message:?}");
    assert_eq!(
        shown,
        format!(r#"Message {{ topic: "a", {} bytes, .. }}"#, URL.len())
    );
}
