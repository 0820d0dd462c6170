mod recordings;

use std::time::{Duration, Instant};

use local_iot_core::{Action, Console, Entry, Event, Options, Policy, Properties, Status};

use super::*;

async fn core() -> LocalIotCore {
    LocalIotCore::start(Options::default()).await.unwrap()
}

/// What is told of these events, under the sample's policy.
fn told(core: &LocalIotCore, events: impl IntoIterator<Item = Event>) -> Vec<Moment> {
    let policy = fill_policy(&Options::default().policy, "my-thing");
    let mut teller = Teller::new(core.jobs(), &policy);
    let entry = |event| Entry {
        at: Instant::now(),
        connection: 1,
        event,
    };
    let entries = events.into_iter().map(entry).enumerate();
    entries
        .filter_map(|(n, entry)| teller.tell(n, &entry))
        .collect()
}

/// A presigned URL, as people and programs write them.
const SIGNED: [&str; 4] = [
    r"https://a.example/f\u003fX-Amz-Signature=SECRET",
    "https://a.example/f?n='1'&X-Amz-Signature=SECRET",
    "https%3A%2F%2Fa.example%2Ff%3FX-Amz-Signature%3DSECRET",
    "https://a.example/f?X-Amz-Signature=SECRET",
];

fn deliver(topic: &str, payload: &str) -> Event {
    Event::Deliver {
        topic: topic.to_owned(),
        packet_id: Some(7),
        dup: true,
        retain: false,
        properties: Properties::default(),
        payload: payload.as_bytes().into(),
    }
}

#[tokio::test]
async fn a_message_is_told_with_the_statement_that_allows_it() {
    let topic = "$aws/things/my-thing/jobs/a/update/rejected";
    let payload = r#"{"code": "VersionMismatch", "url": "https://a.example/?X-Amz-Date=1"}"#;
    let told = told(&core().await, [deliver(topic, payload)]);
    let moment = &told[0];
    assert_eq!(moment.label, "PUBLISH");
    assert_eq!(moment.way, Some((Lane::Service, Lane::Device)));
    assert_eq!(moment.topic, "jobs/a/update/rejected");
    assert_eq!(moment.says, "VersionMismatch");
    assert_eq!(moment.job_id.as_deref(), Some("a"));
    assert_eq!((moment.qos, moment.packet_id), (Some(1), Some(7)));
    assert!(moment.dup && moment.bad);
    let shown = moment.payload.as_ref().unwrap();
    assert_eq!(shown.size, payload.len());
    let text = shown.text.as_ref().unwrap();
    assert!(text.ends_with(r#""https://a.example/?…"}"#), "{text}");
    let check = &moment.checks[0];
    assert_eq!((check.action, check.allowed), ("iot:Receive", true));
    let policy: serde_json::Value = serde_json::from_str(&Options::default().policy).unwrap();
    let statement = &policy["Statement"][check.statement.unwrap()];
    assert_eq!(statement["Action"], "iot:Receive");
}

#[tokio::test]
async fn a_report_that_comes_too_late_is_refused_as_it_should_be() {
    let core = core().await;
    for job_id in ["canceled", "queued"] {
        core.jobs().create_job_with_text(job_id, "{}").unwrap();
    }
    core.jobs().cancel_job("canceled").unwrap();
    let refused = |job_id: &str| {
        let topic = format!("$aws/things/my-thing/jobs/{job_id}/update/rejected");
        deliver(&topic, r#"{"code": "InvalidStateTransition"}"#)
    };
    let told = told(&core, ["canceled", "queued", "deleted"].map(refused));
    assert_eq!(
        told.iter().map(|one| one.bad).collect::<Vec<_>>(),
        [false, true, false]
    );
    let line = told[0].line();
    let words = "InvalidStateTransition (as it should be: canceled was CANCELED before the device reported)";
    assert!(line.ends_with(words), "{line}");
    assert_eq!(told[1].expected, None);
}

#[tokio::test]
async fn a_denial_is_told_by_the_policy_that_was_in_force() {
    let resource = Action::Receive.resource("$aws/things/my-thing/jobs/notify-next");
    let refused = || Event::Refused {
        action: Action::Receive,
        resource: resource.clone(),
    };
    let deny = r#"{"Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}"#;
    assert!(Policy::parse(deny).is_ok());
    let events = [
        refused(),
        Event::Console(Console::Policy(deny.to_owned())),
        refused(),
    ];
    let told = told(&core().await, events);
    let checks: Vec<_> = told.iter().flat_map(|moment| &moment.checks).collect();
    assert!(checks[0].allowed); // the policy that is said to refuse it does not
    assert!(!checks[1].allowed);
    assert_eq!(checks[1].statement, Some(0));
    assert_eq!(told[2].about, "iot:Receive jobs/notify-next");
}

#[tokio::test]
async fn a_request_and_a_reply_are_told_once_though_they_are_written_down_twice() {
    let core = core().await;
    let topic = "$aws/things/my-thing/jobs/notify-next";
    let reply = Event::Reply {
        topic: topic.to_owned(),
        accepted: true,
        code: None,
        payload: [].into(),
    };
    let told = told(&core, [reply, deliver(topic, "{}")]);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].says, "nothing is pending");
}

#[tokio::test]
async fn a_reader_gets_what_was_and_what_comes() {
    const LIMIT: Duration = Duration::from_secs(30);
    let core = core().await;
    let chart = Chart::new(&core, &Options::default().policy);
    core.jobs().create_job_with_text("a", "{}").unwrap();
    core.jobs().create_job_with_text("b", "{}").unwrap();
    let read = async {
        assert_eq!(chart.from(0).await.0[0].label, "a");
        assert_eq!(chart.from(1).await.0[0].label, "b");
        core.jobs().cancel_job("b").unwrap();
        let (next, _) = chart.from(2).await;
        assert_eq!(next[0].about, "QUEUED → CANCELED");
        assert_eq!(next[0].execution.as_ref().unwrap()["status"], "CANCELED");
    };
    tokio::select! {
        biased;
        () = chart.draw() => unreachable!("it draws for ever"),
        read = tokio::time::timeout(LIMIT, read) => read.unwrap(),
    }
}

#[tokio::test]
async fn no_string_of_a_moment_holds_a_signature() {
    let core = core().await;
    for signed in SIGNED {
        let properties = Properties {
            response_topic: Some(signed.to_owned()),
            user_properties: vec![(signed.to_owned(), signed.to_owned())],
            content_type: Some(signed.to_owned()),
            ..Properties::default()
        };
        let status = format!(r#"{{"status": "{}"}}"#, signed.replace('\\', r"\\"));
        let topic = "$aws/things/my-thing/jobs/a/update";
        let policy = format!(
            r#"{{"Statement": [{{"Effect": "Deny", "Action": "*", "Resource": "{}"}}]}}"#,
            signed.replace('\\', r"\\")
        );
        let events = [
            Event::Publish {
                client_id: "my-thing".to_owned(),
                topic: topic.to_owned(),
                payload: status.as_bytes().into(),
                qos: 0,
                dup: false,
                retain: false,
                packet_id: None,
                properties,
            },
            deliver(&format!("dt/{signed}"), "{}"),
            deliver(&format!("$aws/things/my-thing/jobs/{signed}/update"), "{}"),
            Event::Console(Console::Command(signed.to_owned())),
            Event::Console(Console::Command(format!("publish a {signed}"))),
            Event::Console(Console::Refusal(format!("'{signed}' is not known"))),
            Event::Console(Console::Policy(policy)),
            Event::Fault(format!("reject update {signed}")),
            Event::Violation(format!("'{signed}' is no topic to publish to")),
            Event::Refused {
                action: Action::Receive,
                resource: Action::Receive.resource(signed),
            },
        ];
        let count = events.len();
        let told = told(&core, events);
        assert_eq!(told.len(), count);
        for moment in &told {
            let shown = serde_json::to_string(moment).unwrap() + &moment.line();
            assert!(shown.contains("?…"), "{shown}");
            assert!(!shown.contains("SECRET"), "{shown}");
        }
    }
}

#[tokio::test]
async fn a_message_on_any_topic_of_the_thing_is_told_with_all_that_a_page_reads() {
    let core = core().await;
    for topic in ["$aws/things/my-thing/", "$aws/things/my-thing/jobs/", ""] {
        let told = told(&core, [deliver(topic, "")]);
        let moment = serde_json::to_value(&told[0]).unwrap();
        for text in ["label", "topic", "about", "says", "properties"] {
            assert!(moment[text].is_string(), "{topic}: no {text}");
        }
    }
}

#[tokio::test]
async fn a_job_is_told_with_how_far_it_is_and_why_it_failed() {
    let core = core().await;
    core.jobs().create_job_with_text("a", "{}").unwrap();
    let details = [("blinked", "1"), ("reason", "no lamp")];
    let details = details.map(|(name, value)| (name.to_owned(), value.to_owned()));
    core.jobs().touch("a", details.into()).unwrap();
    let change = |to| Event::StateChange {
        job_id: "a".to_owned(),
        from: Some(Status::InProgress),
        to,
        version: 2,
    };
    let changes = [Status::InProgress, Status::Failed].map(change);
    let told: Vec<String> = told(&core, changes).iter().map(Moment::line).collect();
    assert!(told[0].ends_with("-- a IN_PROGRESS, changed blinked: 1, reason: no lamp"));
    assert!(told[1].ends_with("-- a IN_PROGRESS \u{2192} FAILED reason: no lamp"));
}

#[tokio::test]
async fn memory_is_bounded_and_what_is_let_go_is_told() {
    const MOST: usize = 100_000;
    let core = core().await;
    let chart = Chart::with_most(&core, &Options::default().policy, MOST);
    let draw = async {
        core.jobs().create_job_with_text("a", "{}").unwrap();
        core.jobs().create_job_with_text("b", "{}").unwrap();
        core.jobs().delete_job("b").unwrap();
        core.set_policy(r#"{"Statement": []}"#).unwrap();
        for _ in 0..100 {
            core.journal().note("x".repeat(10_000));
        }
        chart.from(103).await;
        let (before, moments) = chart.snapshot();
        // a, b, b removed, the policy, and a hundred notes
        assert!(before.gone > 80 && before.gone + moments.len() == 104);
        assert_eq!(before.policy, serde_json::json!({"Statement": []}));
        assert_eq!(before.jobs.keys().collect::<Vec<_>>(), ["a"]);
        let weights = moments.iter().map(|moment| moment.weight());
        assert!(weights.sum::<usize>() <= MOST);
        // Who reads slowly goes on with what is kept.
        let (kept, _) = chart.from(3).await;
        assert_eq!(kept[0].n, moments[0].n);
        assert!(core.journal().entries().is_empty(), "kept twice");
    };
    tokio::select! {
        biased;
        () = chart.draw() => unreachable!("it draws forever"),
        drawn = tokio::time::timeout(Duration::from_secs(30), draw) => drawn.unwrap(),
    }
}
