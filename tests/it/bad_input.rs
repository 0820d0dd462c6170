//! Everything that comes from outside, as nobody would write it: no panic, an error with words, and
//! whatever else `tests/fuzz/properties.rs` says of any bytes at all. `cargo fuzz` looks for more
//! (`tests/fuzz/README.md`); here, the corpus is tried as it is, changed a little, and beside it what
//! looks like it.

#[path = "../fuzz/properties.rs"]
mod properties;
#[path = "../fuzz/scripted_server.rs"]
mod scripted_server;

use std::path::{Path, PathBuf};

use clap::Parser;
use jobs_mqtt5::cli::Flags;
use jobs_mqtt5::jobs::Timestamp;
use jobs_mqtt5::text::{cut, printable};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

type Property = fn(&[u8]);

const TARGETS: [(&str, Property); 4] = [
    ("packets", scripted_server::packets),
    ("replies", properties::reply),
    ("topics", properties::topic),
    ("pem", properties::pem),
];

/// What AWS sends, and files that people have, by what they are for.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(target);
    let mut paths: Vec<PathBuf> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() > 5, "{}", folder.display());
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

#[test]
fn the_corpus_has_all_properties() {
    for (target, property) in TARGETS {
        corpus(target).iter().for_each(|input| property(input));
    }
}

#[test]
fn the_packets_of_the_corpus_reach_the_device() {
    let messages = corpus("packets").into_iter();
    let messages: usize = messages
        .map(|packets| scripted_server::messages(&packets))
        .sum();
    assert_eq!(messages, 6);
}

/// One of the corpus, with some bytes changed, left out, doubled, or taken from elsewhere.
fn changed(target: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let pieces = select(
        &[
            "{}", "[]", "null", "-1", "1e999", "\"", "\\ud83d", "\n", "/", "\0", "-----", "\x01",
            "\x7f",
        ][..],
    );
    let change = (any::<prop::sample::Index>(), 0_usize..40, 0..4, pieces);
    (select(corpus(target)), vec(change, 1..6)).prop_map(|(mut input, changes)| {
        for (at, length, kind, piece) in changes {
            let at = at.index(input.len() + 1);
            let end = (at + length).min(input.len());
            match kind {
                0 => drop(input.drain(at..end)),
                1 => drop(input.splice(at..end, piece.bytes())),
                2 => drop(input.splice(at..at, input[at..end].to_vec())),
                _ => input[at..end]
                    .iter_mut()
                    .for_each(|byte| *byte ^= 1 << (length % 8)),
            }
        }
        input
    })
}

/// Any JSON text, from a number to thousands of brackets, and what no value in memory can hold.
fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        "-?[1-9][0-9]{0,400}(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,4})?",
        ".{0,12}".prop_map(|text| serde_json::to_string(&text).unwrap()),
        Just(r#""half a smile \ud83d""#.to_owned()),
    ];
    let nested = leaf.prop_recursive(8, 64, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|all| format!("[{}]", all.join(","))),
            vec(("[a-zA-Z]{1,12}", inner), 0..4).prop_map(|fields| {
                let fields = fields
                    .iter()
                    .map(|(name, value)| format!("\"{name}\":{value}"));
                format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
            }),
        ]
    });
    let deep = prop_oneof![9 => Just(0), 1 => 0_usize..5_000];
    (nested, deep)
        .prop_map(|(json, deep)| format!("{}{json}{}", "[".repeat(deep), "]".repeat(deep)))
}

/// An execution as the service sends it, with one field replaced by anything.
fn strange_execution() -> impl Strategy<Value = String> {
    const FIELDS: [(&str, &str); 11] = [
        ("jobId", "\"j\""),
        ("thingName", "\"t\""),
        ("jobDocument", "{}"),
        ("status", "\"QUEUED\""),
        ("statusDetails", "{}"),
        ("queuedAt", "1"),
        ("startedAt", "1"),
        ("lastUpdatedAt", "1"),
        ("versionNumber", "1"),
        ("executionNumber", "1"),
        ("approximateSecondsBeforeTimedOut", "1"),
    ];
    // What repaints a terminal, or turns the direction of writing round.
    let disguised = "([a-z]|\u{1b}\\[2J|\u{202e}|\n|\u{0}){1,6}";
    let disguised = disguised.prop_map(|text: String| serde_json::to_string(&text).unwrap());
    (0..FIELDS.len(), prop_oneof![any_json(), disguised]).prop_map(|(strange, json)| {
        let fields = FIELDS.iter().enumerate().map(|(nth, (name, value))| {
            let value = if nth == strange { &json } else { *value };
            format!("\"{name}\":{value}")
        });
        format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
    })
}

proptest! {
    #[test]
    fn any_payload_is_read_or_an_error(payload in prop_oneof![
        vec(any::<u8>(), 0..300),
        any_json().prop_map(String::into_bytes),
        changed("replies"),
    ]) {
        properties::reply(&payload);
    }

    #[test]
    fn any_execution_is_read_or_an_error(execution in strange_execution(), code in any_json()) {
        for payload in [
            format!(r#"{{"execution":{execution}}}"#),
            format!(r#"{{"queuedJobs":[{execution}]}}"#),
            format!(r#"{{"code":{code},"executionState":{execution}}}"#),
            execution,
        ] {
            properties::reply(payload.as_bytes());
        }
    }

    #[test]
    fn any_number_is_a_time_with_a_date_or_none(number in any::<f64>()) {
        if let Some(time) = Timestamp::from_number(number) {
            prop_assert!(time.to_string().ends_with(" UTC"));
        }
    }

    #[test]
    fn any_packets_of_a_server_are_read_in_pieces_as_at_once(packets in prop_oneof![
        vec(any::<u8>(), 0..300),
        vec(any::<u8>(), 0..100).prop_map(|rest| [&[0x20, 3, 0, 0, 0][..], &rest].concat()),
        changed("packets"),
    ]) {
        scripted_server::packets(&packets);
    }

    #[test]
    fn any_topic_is_that_of_an_answer_or_not_ours(topic in prop_oneof![
        "(\\$aws/things/t/jobs/)?[a-z$+#/]{0,40}|.{0,40}",
        "\\$aws/things/t/jobs/(.{0,9}/)?(get|update|start-next|notify-next)(/accepted|/rejected|/)?",
        changed("topics").prop_map(|topic| String::from_utf8_lossy(&topic).into_owned()),
    ]) {
        properties::topic(topic.as_bytes());
    }

    #[test]
    fn any_text_is_safe_to_show_and_keeps_to_its_limit(text in any::<String>(), limit in 1_usize..50) {
        prop_assert!(!printable(&text).contains(char::is_control));
        prop_assert!(cut(&text, limit).chars().count() <= limit);
    }

    #[test]
    fn any_flags_are_taken_or_refused_with_words(arguments in vec(any_argument(), 0..12)) {
        let arguments = [String::from("jobs-mqtt5")].into_iter().chain(arguments);
        if let Err(refused) = Flags::try_parse_from(arguments) {
            prop_assert!(!refused.to_string().is_empty());
            prop_assert!([0, 2].contains(&refused.exit_code())); // 0: --help, --version
        }
    }

    #[test]
    fn any_file_makes_a_configuration_or_an_error_that_names_the_file_and_shows_no_key(
        content in prop_oneof![
            vec(any::<u8>(), 0..200),
            any_pem().prop_map(String::into_bytes),
            changed("pem"),
        ],
    ) {
        properties::pem(&content);
    }
}

/// Known flags and anything else.
fn any_argument() -> impl Strategy<Value = String> {
    prop_oneof![
        select(
            &[
                "--endpoint",
                "--cert",
                "--key",
                "--ca_file",
                "--thing_name",
                "--client_id",
                "--port",
                "--job_time",
                "--proxy_host",
                "--proxy_port",
                "--verbosity",
                "--is_ci",
                "--mqtt_version",
                "--help",
                "--p",
                "localhost",
                "5",
                "0",
            ][..]
        )
        .prop_map(str::to_owned),
        ".{0,20}",
    ]
}

/// Something that looks like PEM.
fn any_pem() -> impl Strategy<Value = String> {
    let label = select(
        &[
            "CERTIFICATE",
            "PRIVATE KEY",
            "RSA PRIVATE KEY",
            "EC PRIVATE KEY",
            "ENCRYPTED PRIVATE KEY",
            "\u{1b}[2J",
        ][..],
    );
    vec((label, "[A-Za-z0-9+/=\n]{0,80}"), 1..4).prop_map(|blocks| {
        let block =
            |(label, body)| format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
        blocks.into_iter().map(block).collect()
    })
}
