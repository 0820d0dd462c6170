//! More than the jobs of one thing on one connection: a gateway, and telemetry.

use serde_json::json;

use super::client::{Client, publish};
use crate::{Event, LocalIotCore, Options, Status};

/// The sample's policy, and the topics of telemetry.
fn policy_with_telemetry() -> String {
    let telemetry = r#"{
      "Effect": "Allow",
      "Action": ["iot:Publish", "iot:Receive", "iot:Subscribe"],
      "Resource": [
        "arn:aws:iot:<region>:<account>:topic/dt/<thingname>/*",
        "arn:aws:iot:<region>:<account>:topicfilter/dt/<thingname>/*"
      ]
    },"#;
    let statements = "\"Statement\": [";
    Options::default()
        .policy
        .replacen(statements, &format!("{statements}{telemetry}"), 1)
}

#[tokio::test]
async fn two_things_on_one_connection() {
    let core = LocalIotCore::start(Options {
        thing_name: "a".to_owned(),
        more_things: vec!["b".to_owned()],
        ..Options::default()
    })
    .await
    .unwrap();
    assert!(core.jobs_of("c").is_none());
    let [a, b] = ["a", "b"].map(|thing| core.jobs_of(thing).unwrap());
    for jobs in [a, b] {
        jobs.create_job("job", json!({"for": jobs.thing_name()}))
            .unwrap();
    }
    let mut client = Client::connected(&core, "test-1").await;
    let filters = ["a", "b"].map(|thing| format!("$aws/things/{thing}/jobs/notify-next"));
    assert_eq!(client.subscribe(&[&filters[0], &filters[1]]).await, [1, 1]);
    for (id, thing) in [(1, "b"), (2, "a")] {
        let topic = format!("$aws/things/{thing}/jobs/start-next");
        assert_eq!(client.publish(id, &topic, json!({})).await, 0);
        let reply = client.delivery().await;
        assert_eq!(reply.topic_name(), format!("{topic}/accepted"));
        let document = format!(r#""jobDocument":{{"for":"{thing}"}}"#);
        let payload = String::from_utf8_lossy(reply.payload().as_slice()).into_owned();
        assert!(payload.contains(&document), "{payload}");
    }
    let topic = "$aws/things/b/jobs/job/update";
    client
        .publish(3, topic, json!({"status": "SUCCEEDED"}))
        .await;
    assert_eq!(
        client.delivery().await.topic_name(),
        format!("{topic}/accepted")
    );
    assert_eq!(client.delivery().await.topic_name(), filters[1]);
    assert_eq!(b.execution("job").unwrap().status, Status::Succeeded);
    assert_eq!(a.execution("job").unwrap().status, Status::InProgress);
    // A third one is not covered by the policy.
    let other = "$aws/things/c/jobs/start-next";
    assert_eq!(client.publish(4, other, json!({})).await, 0x87);
}

#[tokio::test]
async fn telemetry_needs_the_policy_and_reaches_who_subscribed() {
    let topic = "dt/my-thing/temperature";
    let core = LocalIotCore::start(Options::default()).await.unwrap();
    let mut client = Client::connected(&core, "test-1").await;
    assert_eq!(client.publish(1, topic, json!(21.5)).await, 0x87);

    core.set_policy(policy_with_telemetry()).unwrap();
    let mut dashboard = Client::connected(&core, "test-2").await;
    assert_eq!(dashboard.subscribe(&["dt/my-thing/+"]).await, [1]);
    client
        .send(publish(2, topic, &json!({"celsius": 21.5})))
        .await;
    assert_eq!(client.puback_code(2).await, 0);
    let reading = dashboard.delivery().await;
    assert_eq!(reading.topic_name(), topic);
    assert_eq!(reading.payload().as_slice(), br#"{"celsius":21.5}"#);

    core.publish("dt/my-thing/interval", "60").unwrap();
    assert_eq!(dashboard.delivery().await.payload().as_slice(), b"60");
    assert!(
        core.publish("$aws/things/my-thing/jobs/notify-next", "")
            .is_err()
    );
    assert!(core.publish("a/+", "").is_err());
    let delivered =
        |event: &Event| matches!(event, Event::Deliver { payload, .. } if **payload == *b"60");
    assert_eq!(core.journal().count(delivered), 1);
}
