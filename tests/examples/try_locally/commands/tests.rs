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
    match desk.obey(line) {
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
        ("create-job a", "needs an id and a JSON document"),
        ("create-job a {", "is not JSON"),
        (
            "create-job a timeout=soon {}",
            "'soon' is not a number of minutes",
        ),
        ("create-job a timeout=0 {}", "not in 1..=10080"),
        ("cancel-job a", "no job 'a'"),
        ("delete-job a", "no job 'a'"),
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
    assert_eq!(desk.obey("quit").unwrap(), Answer::Quit);
    assert_eq!(desk.obey("quiet").unwrap(), Answer::Quiet);
    assert_eq!(desk.obey("verbose").unwrap(), Answer::Verbose);
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
            continue;
        }
        let answer = said(&desk, command);
        assert!(!answer.contains("is not known"), "{command}: {answer}");
    }
    let listed = desk.core.jobs().list();
    assert!(listed.iter().all(|job| job.status == Status::Queued));
}
