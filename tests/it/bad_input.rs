//! Everything that comes from outside, as nobody would write it: no panic, and an error with words.

use clap::Parser;
use jobs_mqtt5::cli::Flags;
use jobs_mqtt5::jobs::{
    DescribedExecution, JobExecution, NextExecution, PendingJobExecutions, Rejection, Timestamp,
    Topics, UpdatedExecution,
};
use jobs_mqtt5::text::{cut, printable};
use jobs_mqtt5::tls::{Files, client_config};
use proptest::collection::vec;
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Any JSON value, nested a little.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-zA-Z]{1,12}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// An execution as the service sends it, with one field replaced by anything.
fn strange_execution() -> impl Strategy<Value = Value> {
    const FIELDS: [&str; 11] = [
        "jobId",
        "thingName",
        "jobDocument",
        "status",
        "statusDetails",
        "queuedAt",
        "startedAt",
        "lastUpdatedAt",
        "versionNumber",
        "executionNumber",
        "approximateSecondsBeforeTimedOut",
    ];
    (proptest::sample::select(&FIELDS[..]), any_json()).prop_map(|(field, value)| {
        let mut execution = json!({
            "jobId": "j", "thingName": "t", "jobDocument": {}, "status": "QUEUED",
            "queuedAt": 1, "lastUpdatedAt": 1, "versionNumber": 1, "executionNumber": 1
        });
        execution[field] = value;
        execution
    })
}

/// Reads the payload as whatever the service can send. Nothing but a value or an error comes back.
fn read_as_all(payload: &[u8]) {
    fn read<T: DeserializeOwned>(payload: &[u8]) {
        if let Err(error) = serde_json::from_slice::<T>(payload) {
            assert!(!error.to_string().is_empty());
        }
    }
    read::<PendingJobExecutions>(payload);
    read::<NextExecution>(payload);
    read::<DescribedExecution>(payload);
    read::<UpdatedExecution>(payload);
    read::<Rejection>(payload);
    read::<JobExecution>(payload);
}

proptest! {
    #[test]
    fn any_bytes_are_a_payload_or_an_error(payload in vec(any::<u8>(), 0..300)) {
        read_as_all(&payload);
    }

    #[test]
    fn any_json_is_a_payload_or_an_error(payload in any_json(), execution in strange_execution()) {
        read_as_all(payload.to_string().as_bytes());
        read_as_all(json!({ "execution": execution }).to_string().as_bytes());
        read_as_all(json!({ "queuedJobs": [execution] }).to_string().as_bytes());
        read_as_all(json!({ "code": payload, "executionState": execution }).to_string().as_bytes());
    }

    #[test]
    fn an_execution_that_is_read_can_be_shown(execution in strange_execution()) {
        if let Ok(execution) = serde_json::from_value::<JobExecution>(execution) {
            for time in [execution.queued_at, execution.started_at, execution.last_updated_at] {
                let shown = time.map(|time| time.to_string()).unwrap_or_default();
                prop_assert!(shown.is_empty() || shown.ends_with(" UTC"));
            }
            let status = execution.status.to_string();
            prop_assert!(!printable(&status).contains(char::is_control));
        }
    }

    #[test]
    fn any_number_is_a_time_with_a_date_or_none(number in any::<f64>()) {
        if let Some(time) = Timestamp::from_number(number) {
            prop_assert!(time.to_string().ends_with(" UTC"));
        }
    }

    #[test]
    fn any_topic_is_ours_or_not(topic in "(\\$aws/things/)?[a-z$+#/]{0,40}|.{0,40}") {
        let _ = Topics::of_thing("t").read(&topic);
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
    fn any_file_makes_a_configuration_or_an_error_that_names_the_file(
        content in prop_oneof![vec(any::<u8>(), 0..200), any_pem().prop_map(String::into_bytes)],
    ) {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("file.pem");
        std::fs::write(&path, content)?;
        let files = Files { ca: Some(path.clone()), ..Files::new(path.clone(), path) };
        let error = client_config(&files, 8883).map(drop).unwrap_err().to_string();
        prop_assert!(error.starts_with("The device certificate ")
            || error.starts_with("The private key ")
            || error.starts_with("The CA file "), "{error}");
        prop_assert!(!error.contains(char::is_control));
    }
}

/// Known flags and anything else.
fn any_argument() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::sample::select(
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
    let label = proptest::sample::select(
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
