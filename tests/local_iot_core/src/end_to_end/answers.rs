//! What the service says word by word, as it was seen on the live one.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use super::{
    client::{Client, jobs_topic, publish},
    faults::is_silent,
    story::subscribed,
};
use crate::{LocalIotCore, NewJob, Options, Status};

/// What stands in a message.
fn keys(message: &Value) -> Vec<&str> {
    let fields = message.as_object().unwrap();
    fields.keys().map(String::as_str).collect()
}

async fn allowing_everything() -> LocalIotCore {
    let everything = r#"{"Statement": {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}}"#;
    let options = Options {
        policy: everything.to_owned(),
        minute: Duration::from_millis(100),
        ..Options::default()
    };
    LocalIotCore::start(options).await.unwrap()
}

#[tokio::test]
async fn the_fields_of_each_message() {
    let core = LocalIotCore::start(Options::default()).await.unwrap();
    core.jobs().create_job("a", json!({})).unwrap();
    let mut client = subscribed(&core).await;

    let (_, described) = client.ask(1, "a/get", json!({})).await;
    let mut expected = vec![
        "executionNumber",
        "jobDocument",
        "jobId",
        "lastUpdatedAt",
        "queuedAt",
        "status",
        "versionNumber",
    ];
    assert_eq!(keys(&described["execution"]), expected);
    let seconds = described["timestamp"].as_u64().unwrap();
    assert!((1_000_000_000..100_000_000_000).contains(&seconds));
    assert!(described["execution"]["queuedAt"].as_u64().unwrap() <= seconds);
    let (_, without) = client
        .ask(2, "a/get", json!({"includeJobDocument": false}))
        .await;
    expected.remove(1);
    assert_eq!(keys(&without["execution"]), expected);

    let update = json!({"status": "IN_PROGRESS", "clientToken": "t"});
    let (_, updated) = client.ask(3, "a/update", update).await;
    assert_eq!(keys(&updated), ["clientToken", "timestamp"]);
    let update = json!({"status": "IN_PROGRESS", "includeJobExecutionState": true, "includeJobDocument": true});
    let (_, updated) = client.ask(4, "a/update", update).await;
    assert_eq!(
        keys(&updated),
        ["executionState", "jobDocument", "timestamp"]
    );
    assert_eq!(
        updated["executionState"],
        json!({"status": "IN_PROGRESS", "versionNumber": 3})
    );
    let update = json!({"status": "IN_PROGRESS", "expectedVersion": 99});
    let (_, refused) = client.ask(5, "a/update", update).await;
    assert_eq!(
        keys(&refused),
        ["code", "executionState", "message", "timestamp"]
    );
    assert_eq!(
        refused["message"],
        "Expected version 99 but found version 3"
    );
    let (_, refused) = client.ask(6, "a/update", json!({"status": "QUEUED"})).await;
    assert_eq!(refused["code"], "InvalidStateTransition");
    assert_eq!(keys(&refused), ["code", "message", "timestamp"]);
}

#[tokio::test]
async fn which_events_come_and_in_which_order() {
    let core = allowing_everything().await;
    let mut client = Client::connected(&core, "test-1").await;
    let events = ["notify", "notify-next"].map(jobs_topic);
    client.subscribe(&[&events[0], &events[1]]).await;

    core.jobs().create_job("a", json!({})).unwrap();
    assert_eq!(client.message().await.0, "notify");
    assert_eq!(client.message().await.0, "notify-next");
    core.jobs().create_job("b", json!({})).unwrap(); // behind another: notify alone
    assert_eq!(client.message().await.0, "notify");
    client.ask(1, "start-next", json!({})).await; // neither
    let (topic, _) = client
        .ask(2, "a/update", json!({"status": "SUCCEEDED"}))
        .await;
    assert_eq!(topic, "a/update/accepted");
    assert_eq!(client.message().await.0, "notify");
    let (topic, next) = client.message().await;
    assert_eq!(
        (topic.as_str(), &next["execution"]["jobId"]),
        ("notify-next", &json!("b"))
    );
    core.jobs().cancel_job("b").unwrap();
    let (topic, left) = client.message().await;
    assert_eq!((topic.as_str(), &left["jobs"]), ("notify", &json!({})));
    let (topic, none) = client.message().await;
    assert_eq!(topic, "notify-next");
    assert_eq!(keys(&none), ["timestamp"]);
    // What has ended is no news any more.
    core.jobs().touch("a", BTreeMap::new()).unwrap();
    core.jobs().delete_job("b").unwrap();
    assert!(is_silent(&mut client).await);
}

#[tokio::test]
async fn a_device_hears_that_its_time_is_over() {
    let core = allowing_everything().await;
    let job = NewJob::new("a", "{}").in_progress_timeout_minutes(1);
    core.jobs().create(job).unwrap();
    core.jobs().create_job("b", json!({})).unwrap();
    let mut client = subscribed(&core).await;
    let (_, started) = client.ask(1, "start-next", json!({})).await;
    let left = &started["execution"]["approximateSecondsBeforeTimedOut"];
    assert!((0..=60).contains(&left.as_u64().unwrap()), "{left}");
    let (topic, next) = client.message().await;
    assert_eq!(topic, "notify-next");
    assert_eq!(next["execution"]["jobId"], "b");
    assert_eq!(core.jobs().execution("a").unwrap().status, Status::TimedOut);
    let (_, refused) = client
        .ask(2, "a/update", json!({"status": "SUCCEEDED"}))
        .await;
    assert_eq!(refused["code"], "InvalidStateTransition");
    assert_eq!(refused["executionState"]["status"], "TIMED_OUT");
}

#[tokio::test]
async fn a_document_comes_rewritten_as_aws_does_it() {
    let core = LocalIotCore::start(Options::default()).await.unwrap();
    let text = r#"{ "kept": "🚀", "dropped": null }"#;
    core.jobs().create_job_with_text("a", text).unwrap();
    let mut client = subscribed(&core).await;
    let mut reply_to = async |id, topic: &str, request| {
        client.send(publish(id, &jobs_topic(topic), &request)).await;
        client.puback_code(id).await;
        String::from_utf8(client.delivery().await.payload().as_slice().to_vec()).unwrap()
    };
    let started = reply_to(1, "start-next", json!({})).await;
    assert!(
        started.contains(r#""jobDocument":{"kept":"🚀"}"#),
        "{started}"
    );
    let update = json!({"status": "IN_PROGRESS", "includeJobDocument": true});
    let updated = reply_to(2, "a/update", update).await;
    assert!(
        updated.contains(r#""jobDocument":{"kept":"\uD83D\uDE80"}"#),
        "{updated}"
    );
}

#[tokio::test]
async fn a_document_comes_as_the_text_it_was_given_as_where_that_is_wanted() {
    let mut options = Options::default();
    options.dialect.rewrites_documents = false;
    let core = LocalIotCore::start(options).await.unwrap();
    let deep = format!("{}{}", "[".repeat(15_000), "]".repeat(15_000));
    let texts = [
        r#"{"a":"\ud83d"}"#,
        "1e400",
        r#"{"a":1, "a":2}"#,
        "null",
        &deep,
    ];
    let mut client = subscribed(&core).await;
    for (n, text) in (1..).zip(texts) {
        let job_id = format!("job-{n}");
        core.jobs().create_job_with_text(&job_id, text).unwrap();
        let event = client.delivery().await;
        let says_it = |payload: &[u8]| {
            let payload = String::from_utf8_lossy(payload).into_owned();
            payload.contains(&format!(r#""jobDocument":{text}"#))
        };
        assert!(says_it(event.payload().as_slice()));
        let request = publish(n, &jobs_topic("start-next"), &json!({}));
        client.send(request).await;
        client.puback_code(n).await;
        assert!(says_it(client.delivery().await.payload().as_slice()));
        core.jobs().cancel_job_by_force(&job_id).unwrap();
        client.delivery().await;
    }
}

#[tokio::test]
async fn each_message_has_its_own_presigned_url() {
    let core = LocalIotCore::start(Options::default()).await.unwrap();
    let document = json!({"url": "${aws:iot:s3-presigned-url:https://localhost/firmware}"});
    core.jobs().create_job("a", document).unwrap();
    let mut client = subscribed(&core).await;
    let mut urls = Vec::new();
    for (id, rest) in [(1, "a/get"), (2, "start-next"), (3, "start-next")] {
        let (_, reply) = client.ask(id, rest, json!({})).await;
        urls.push(
            reply["execution"]["jobDocument"]["url"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    let update = json!({"status": "IN_PROGRESS", "includeJobDocument": true});
    let (_, updated) = client.ask(4, "a/update", update).await;
    urls.push(updated["jobDocument"]["url"].as_str().unwrap().to_owned());
    // The event that nobody subscribed to had the first one.
    let expected = (2..=5).map(|n| format!("https://localhost/firmware?X-Amz-Signature={n}"));
    assert_eq!(urls, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn the_list_ends_after_ten() {
    let core = LocalIotCore::start(Options::default()).await.unwrap();
    for n in 0..12 {
        core.jobs()
            .create_job(&format!("job-{n}"), json!({}))
            .unwrap();
    }
    let mut client = Client::connected(&core, "test-1").await;
    let update = json!({"status": "IN_PROGRESS"});
    client.ask(1, "job-11/update", update).await;
    let (_, list) = client.ask(2, "get", json!({})).await;
    let [in_progress, queued] =
        ["inProgressJobs", "queuedJobs"].map(|key| list[key].as_array().unwrap());
    assert_eq!(in_progress[0]["jobId"], "job-11");
    assert_eq!((in_progress.len(), queued.len()), (1, 9));
}

#[tokio::test]
async fn what_status_details_may_hold() {
    let core = LocalIotCore::start(Options::default()).await.unwrap();
    core.jobs().create_job("a", json!({})).unwrap();
    let mut client = Client::connected(&core, "test-1").await;
    let long = |character: &str, times| character.repeat(times);
    let mut id = 0;
    for (key, value, is_good) in [
        ("k", long("ä", 1024), true),
        ("k", long("x", 1025), false),
        ("k", String::new(), false),
        ("k", "two\nlines".to_owned(), false),
        ("k", "zero\u{200b}width".to_owned(), false),
        ("k", "private \u{e000}".to_owned(), false),
        ("k", "unassigned \u{378}".to_owned(), false),
        ("k", "emoji 🚀".to_owned(), true),
        ("a:b_c-9", "v".to_owned(), true),
        ("a b", "v".to_owned(), false),
        ("", "v".to_owned(), false),
        (&long("k", 128), "v".to_owned(), true),
        (&long("k", 129), "v".to_owned(), false),
    ] {
        id += 1;
        let update = json!({"status": "IN_PROGRESS", "statusDetails": {key: value}});
        let (topic, reply) = client.ask(id, "a/update", update).await;
        let expected = if is_good {
            "a/update/accepted"
        } else {
            "a/update/rejected"
        };
        assert_eq!(topic, expected, "{key}: {value:?}");
        assert!(is_good || reply["code"] == "InvalidRequest");
    }
    for (minutes, is_good) in [
        (0, false),
        (1, true),
        (10_080, true),
        (10_081, false),
        (-1, true),
        (-2, false),
    ] {
        id += 1;
        let update = json!({"status": "IN_PROGRESS", "stepTimeoutInMinutes": minutes});
        let (_, reply) = client.ask(id, "a/update", update).await;
        assert_eq!(reply.get("code").is_none(), is_good, "{minutes}");
    }
}
