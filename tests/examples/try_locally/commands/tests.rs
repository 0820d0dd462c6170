use jobs_mqtt5::mqtt::{self, Publish};
use jobs_mqtt5::tls;
use local_iot_core::{Console, Event, Options, Status, Times, fault_names, fault_operations};

use super::*;

async fn desk() -> Desk {
    let options = Options {
        policy: PRODUCT.to_owned(),
        ..Options::default()
    };
    Desk::new(LocalIotCore::start(options).await.unwrap(), PRODUCT)
}

fn said(desk: &Desk, line: &str) -> String {
    match desk.obey(line, Origin::Terminal) {
        Ok(Answer::Say(answer)) => answer,
        Ok(other) => panic!("{other:?}"),
        Err(error) => format!("error: {error}"),
    }
}

#[tokio::test]
async fn a_job_from_its_creation_to_its_deletion() {
    let desk = desk().await;
    assert_eq!(said(&desk, "list"), "no jobs");
    let created = said(&desk, r#"create-job a timeout=5 {"say": "\ud83d"}"#);
    assert_eq!(created, "a is QUEUED");
    let listed = said(&desk, "list");
    assert!(
        listed.starts_with("a QUEUED (version 1, execution 1)\n"),
        "{listed}"
    );
    assert!(
        listed.ends_with(r#"document: {"say": "\ud83d"}"#),
        "{listed}"
    );
    assert_eq!(said(&desk, "cancel-job a"), "a is CANCELED");
    assert_eq!(said(&desk, "delete-job a"), "a is deleted");
    assert_eq!(said(&desk, "create-job a {}"), "a is QUEUED");
    assert_eq!(said(&desk, "time-out a"), "a is TIMED_OUT");
}

/// (The test `rotate_certificate` has a device that takes such a certificate.)
#[tokio::test]
async fn a_key_is_certified_that_a_job_was_answered_with() {
    let desk = desk().await;
    said(&desk, "create-job key {}");
    let answer = said(&desk, "certify certificate key");
    assert_eq!(answer, "error: 'key' has no status detail csr");
    let not_one = [("csr".to_owned(), "AAAA".to_owned())];
    desk.core.jobs().touch("key", not_one.into()).unwrap();
    let answer = said(&desk, "certify certificate key");
    assert_eq!(answer, "error: the request has no P-256 key");
    assert!(desk.core.jobs().execution("certificate").is_none());
}

#[tokio::test]
async fn a_list_shows_the_reason_and_neither_an_escape_sequence_nor_a_presigned_url() {
    let desk = desk().await;
    let document = r#"{"url": "https://a.example/f?X-Amz-Signature=secret"}"#;
    desk.core
        .jobs()
        .create_job_with_text("a", document)
        .unwrap();
    let details = [("reason".to_owned(), "\u{1b}[2Jno such file".to_owned())];
    desk.core.jobs().touch("a", details.into()).unwrap();
    let listed = said(&desk, "list");
    assert!(
        listed.ends_with(r"reason: \u{1b}[2Jno such file"),
        "{listed}"
    );
    assert!(listed.contains("https://a.example/f?…"), "{listed}");
}

#[tokio::test]
async fn what_goes_wrong_is_said() {
    let desk = desk().await;
    for (line, part) in [
        ("create-job a", "needs an ID and a JSON document"),
        ("create-job a {", "is not JSON"),
        ("create-job a '{}'", "without quotes around it"),
        ("certify", "needs two job IDs"),
        ("certify a", "needs two job IDs"),
        ("certify a b c", "needs two job IDs"),
        ("fault lose-reply update x0", "x0 is never"),
        ("publish response=a/# dt/a x", "no topic to respond to"),
        ("record no-payloads", "needs the name of a file"),
        ("record a b", "needs the name of a file"),
        ("record a no-payload", "needs the name of a file"),
        ("record a\u{a0}no-payload", "needs the name of a file"),
        ("record a no-payloads x", "needs the name of a file"),
        (
            "create-job a timeout=soon {}",
            "'soon' is not a number of minutes",
        ),
        ("create-job a timeout=0 {}", "not in 1..=10080"),
        ("cancel-job a", "no job 'a'"),
        ("delete-job a", "no job 'a'"),
        ("delete-job", "delete-job needs the ID of a job"),
        ("delete-job a b", "one job ID: 'a', without 'b'"),
        ("time-out", "time-out needs the ID of a job"),
        ("cancel-job", "cancel-job needs the ID of a job"),
        ("cancel-job a --now", "an ID and `force`, without '--now'"),
        ("list a", "list stands alone, without 'a'"),
        ("cut now", "cut stands alone, without 'now'"),
        ("quit now", "quit stands alone, without 'now'"),
        ("fault", "fault needs a name"),
        ("fault cut xyz", "'yz' is not a number of times, such as x2"),
        ("publish", "publish needs a topic"),
        (
            "publish qos=2 a b",
            "qos is 0 or 1 at AWS IoT Core, not '2'",
        ),
        (
            "publish expiry=soon a b",
            "'soon' is not a number of seconds",
        ),
        (
            "publish property=a a b",
            "a property is NAME:VALUE, not 'a'",
        ),
        ("fault nonsense", "`faults` lists what can be told"),
        ("publish $aws/x y", "is no topic to publish to"),
        ("policy no/such/file", "no/such/file can't be read"),
        ("policy {}", "not a policy"),
        ("record", "needs the name of a file"),
        ("nonsense", "'nonsense' is not known"),
    ] {
        let answer = said(&desk, line);
        assert!(answer.contains(part), "{line}: {answer}");
    }
    assert_eq!(desk.obey("quit", Origin::Terminal).unwrap(), Answer::Quit);
    assert_eq!(desk.obey("quiet", Origin::Terminal).unwrap(), Answer::Quiet);
    assert_eq!(
        desk.obey("verbose", Origin::Terminal).unwrap(),
        Answer::Verbose
    );
}

/// What the cloud sends reaches the device of a product with all that was said about it, and the answer
/// may be sent; so may what a shadow takes.
#[tokio::test]
async fn a_command_with_a_response_topic_is_answered_under_the_products_policy() {
    let desk = desk().await;
    let folder = tempfile::tempdir().unwrap();
    let files = desk.core.pki().write_to(folder.path()).unwrap();
    let files = tls::Files::new(files.cert, files.key).ca(files.ca);
    let tls = Arc::new(tls::client_config(&files).unwrap());
    let thing = desk.core.thing_name();
    let mut options = mqtt::Options::new(desk.core.endpoint(), thing, tls);
    options.port = desk.core.port();
    let (mqtt, _events) = mqtt::connect(options);
    let shadow = format!("$aws/things/{thing}/shadow");
    let mut commands = mqtt.subscribe([format!("cmd/{thing}/+"), format!("{shadow}/#")]);
    within(commands.granted().wait()).await.unwrap();

    let answers = format!("cmd/{thing}/answers/1");
    let line = format!(
        "publish qos=0 response={answers} correlation=17 type=text/plain expiry=60 \
         property=from:cloud property=a:b:c cmd/{thing}/blink twice, please"
    );
    assert_eq!(
        said(&desk, &line),
        format!("published to cmd/{thing}/blink")
    );
    let command = within(commands.next()).await.unwrap();
    assert_eq!(command.payload, "twice, please");
    assert_eq!(command.response_topic.as_deref(), Some(answers.as_str()));
    assert_eq!(command.correlation_data.as_deref(), Some(&b"17"[..]));
    let properties = [("from", "cloud"), ("a", "b:c")];
    let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(command.user_properties, properties);

    for topic in [
        command.response_topic.unwrap(),
        format!("{shadow}/update"),
        format!("{shadow}/name/config/update"),
        format!("dt/{thing}/celsius"),
    ] {
        within(mqtt.publish(Publish::new(topic, "done")))
            .await
            .unwrap();
    }

    let kept = format!("publish retain cmd/{thing}/mode quiet");
    said(&desk, &kept);
    within(commands.next()).await.unwrap();
    let mut later = mqtt.subscribe([format!("cmd/{thing}/mode")]);
    let kept = within(later.next()).await.unwrap();
    assert!(kept.retain && kept.payload == "quiet", "{kept:?}");
}

async fn within<T>(it: impl Future<Output = T>) -> T {
    let limit = std::time::Duration::from_secs(30);
    tokio::time::timeout(limit, it).await.unwrap()
}

#[tokio::test]
async fn commands_are_written_down_and_questions_are_not() {
    let desk = desk().await;
    for line in ["list", "faults", "policy", "cut", "cancel-job a"] {
        said(&desk, line);
    }
    let notes = desk.core.journal().events().into_iter();
    let notes: Vec<_> = notes
        .filter_map(|event| match event {
            Event::Console(note) => Some(note),
            _ => None,
        })
        .collect();
    let expected = [
        Console::Command("cut".to_owned()),
        Console::Command("cancel-job a".to_owned()),
        Console::Refusal("no job 'a'".to_owned()),
    ];
    assert_eq!(notes, expected);
}

#[tokio::test]
async fn another_policy_is_put_in_force_and_shown() {
    let desk = desk().await;
    assert!(said(&desk, "policy").starts_with("The product's policy"));
    assert_eq!(said(&desk, "policy sample"), "the policy is in force");
    assert!(said(&desk, "policy").contains("policy.json"));
    let own = r#"{"Statement": []}"#;
    assert_eq!(
        said(&desk, &format!("policy {own}")),
        "the policy is in force"
    );
    assert!(said(&desk, "policy").ends_with(own));
}

#[tokio::test]
async fn faults_are_armed_and_their_operations_listed() {
    let desk = desk().await;
    assert_eq!(
        said(&desk, "fault lose-reply update x2"),
        "armed: lose-reply update"
    );
    assert_eq!(desk.core.faults().armed()[0].1, Times::Count(2));
    assert_eq!(said(&desk, "armed"), "lose-reply update, 2");
    said(&desk, "clear-faults");
    assert_eq!(said(&desk, "armed"), "no faults are armed");
    let listed = said(&desk, "faults");
    for (name, _) in fault_names().iter().chain(fault_operations()) {
        assert!(listed.contains(name), "{name}");
    }
}

#[tokio::test]
async fn help_names_every_command() {
    let desk = desk().await;
    let help = said(&desk, "help");
    let commands = help
        .lines()
        .filter(|line| !line.starts_with(' '))
        .map(|line| first_word(line).0);
    for command in commands {
        if matches!(command, "quit" | "quiet" | "verbose") {
            assert!(STANDS_ALONE.contains(&command));
            continue;
        }
        let answer = said(&desk, command);
        assert!(!answer.contains("is not known"), "{command}: {answer}");
    }
    let listed = desk.core.jobs().list();
    assert!(listed.iter().all(|job| job.status == Status::Queued));
}
