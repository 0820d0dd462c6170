use std::time::{Duration, Instant};

use local_iot_core::{Action, Console, Entry, Event, Options, Policy, Properties};

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
    assert_eq!(moment.about, "VersionMismatch");
    assert_eq!(moment.job_id.as_deref(), Some("a"));
    assert_eq!((moment.qos, moment.packet_id), (Some(1), Some(7)));
    assert!(moment.dup && moment.bad);
    let shown = moment.payload.as_ref().unwrap();
    assert_eq!(shown.size, payload.len());
    assert!(
        shown.text.ends_with(r#""https://a.example/?…"}"#),
        "{}",
        shown.text
    );
    let check = &moment.checks[0];
    assert_eq!((check.action, check.allowed), ("iot:Receive", true));
    let policy: serde_json::Value = serde_json::from_str(&Options::default().policy).unwrap();
    let statement = &policy["Statement"][check.statement.unwrap()];
    assert_eq!(statement["Action"], "iot:Receive");
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
    assert_eq!(told[0].about, "nothing is pending");
}

#[tokio::test]
async fn a_reader_gets_what_was_and_what_comes() {
    const LIMIT: Duration = Duration::from_secs(30);
    let core = core().await;
    let chart = Chart::new(&core, &Options::default().policy);
    core.jobs().create_job_with_text("a", "{}").unwrap();
    core.jobs().create_job_with_text("b", "{}").unwrap();
    let read = async {
        let first = chart.from(0, 1).await;
        assert_eq!(first[0].label, "a");
        assert_eq!(chart.from(1, 10).await[0].label, "b");
        core.jobs().cancel_job("b").unwrap();
        let next = chart.from(2, 10).await;
        assert_eq!(next[0].about, "QUEUED → CANCELED");
        assert_eq!(next[0].execution.as_ref().unwrap()["status"], "CANCELED");
    };
    tokio::select! {
        biased;
        () = chart.draw() => unreachable!("it draws for ever"),
        read = tokio::time::timeout(LIMIT, read) => read.unwrap(),
    }
}
