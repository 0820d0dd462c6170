//! What is asked of both services.

use std::time::Duration;

use super::scenario::{Scenario, Step};

fn ask(topic: &str, payload: &str) -> Step {
    Step::Ask(topic.to_owned(), payload.to_owned())
}

fn create(job: &'static str) -> Step {
    Step::Create(job, r#"{"do":"this"}"#, None)
}

pub fn all() -> Vec<Scenario> {
    let all = [
        ("a day's work", a_days_work()),
        ("resumed", resumed()),
        ("errors", errors()),
        ("presigned", presigned()),
        ("status details", status_details()),
        ("versions", versions()),
        ("in the cloud", in_the_cloud()),
        ("documents", documents()),
        ("eleven jobs", eleven_jobs()),
        ("step timeouts", step_timeouts()),
        ("timeouts", timeouts()),
    ];
    all.map(|(name, steps)| Scenario { name, steps }).into()
}

/// From an empty queue to an empty queue, and every operation on the way.
fn a_days_work() -> Vec<Step> {
    vec![
        ask("get", "{}"),
        ask("get", ""),
        ask("start-next", r#"{"clientToken":"t1"}"#),
        ask("$next/get", "{}"),
        create("a"),
        create("b"),
        ask("get", r#"{"clientToken":"t2"}"#),
        ask("$next/get", r#"{"clientToken":"t3"}"#),
        ask("a/get", r#"{"clientToken":"t4"}"#),
        ask("a/get", r#"{"includeJobDocument":false}"#),
        ask("a/get", r#"{"executionNumber":1}"#),
        ask(
            "start-next",
            r#"{"clientToken":"t5","statusDetails":{"step":"one"}}"#,
        ),
        ask("get", "{}"),
        ask("a/update", r#"{"status":"IN_PROGRESS"}"#),
        ask(
            "a/update",
            r#"{"status":"IN_PROGRESS","statusDetails":{"step":"two","percent":"50"},"clientToken":"t6","includeJobExecutionState":true,"includeJobDocument":true}"#,
        ),
        ask("a/get", "{}"),
        ask(
            "a/update",
            r#"{"status":"SUCCEEDED","expectedVersion":4,"executionNumber":1,"clientToken":"t7","includeJobExecutionState":true}"#,
        ),
        ask("start-next", "{}"),
        ask(
            "b/update",
            r#"{"status":"FAILED","statusDetails":{"reason":"no such file"}}"#,
        ),
        ask("get", "{}"),
        create("c"),
        ask("c/update", r#"{"status":"REJECTED"}"#),
        create("d"),
        ask("d/update", r#"{"status":"SUCCEEDED"}"#),
    ]
}

/// A device that comes back, and one that works out of turn.
fn resumed() -> Vec<Step> {
    vec![
        create("a"),
        create("b"),
        create("c"),
        ask("start-next", r#"{"statusDetails":{"run":"first"}}"#),
        ask("start-next", r#"{"statusDetails":{"run":"second"}}"#),
        ask("start-next", "{}"),
        ask("c/update", r#"{"status":"IN_PROGRESS"}"#),
        ask("a/update", r#"{"status":"SUCCEEDED"}"#),
        ask("$next/get", "{}"),
        ask("start-next", "{}"),
        ask("get", "{}"),
        Step::CancelByForce("b"),
        Step::CancelByForce("c"),
        create("d"),
        create("e"),
        ask("e/update", r#"{"status":"IN_PROGRESS"}"#),
    ]
}

/// Every error code.
fn errors() -> Vec<Step> {
    vec![
        create("a"),
        ask("get", "no JSON"),
        ask("get", "[1]"),
        ask("start-next", "\"text\""),
        ask("a/get", "null"),
        ask("a/update", "7"),
        ask("a/update", "{}"),
        ask("a/update", r#"{"status":"DONE","clientToken":"t"}"#),
        ask("a/update", r#"{"status":"QUEUED","clientToken":"t"}"#),
        ask("a/update", r#"{"status":"CANCELED"}"#),
        ask("a/update", r#"{"status":"TIMED_OUT"}"#),
        ask("a/update", r#"{"status":"REMOVED"}"#),
        ask("nothing/get", r#"{"clientToken":"t"}"#),
        ask("nothing/update", r#"{"status":"FAILED"}"#),
        ask("nothing/update", r#"{"status":"QUEUED"}"#),
        ask("a/get", r#"{"executionNumber":2}"#),
        ask("a/update", r#"{"status":"FAILED","executionNumber":2}"#),
        ask("a/nonsense", "{}"),
        ask("a/update", r#"{"status":"SUCCEEDED"}"#),
        ask("a/update", r#"{"status":"SUCCEEDED"}"#),
        ask("a/update", r#"{"status":"IN_PROGRESS","clientToken":"t"}"#),
        ask("a/get", r#"{"clientToken":"t"}"#),
    ]
}

fn status_details() -> Vec<Step> {
    let details = |details: &str| {
        let payload = format!(r#"{{"status":"IN_PROGRESS","statusDetails":{details}}}"#);
        ask("a/update", &payload)
    };
    vec![
        create("a"),
        details(r#"{"k":"v","l":"w"}"#),
        details(r#"{"m":"x"}"#),
        ask("a/get", "{}"),
        details("{}"),
        ask("a/get", "{}"),
        details(r#"{"k":""}"#),
        details(r#"{"":"v"}"#),
        details(r#"{"k":7}"#),
        details(r#"["k"]"#),
        details(r#"{"a key":"v"}"#),
        details(r#"{"k":"two\nlines"}"#),
        details(&format!(r#"{{"k":"{}"}}"#, "x".repeat(1024))),
        details(&format!(r#"{{"more":"{}"}}"#, "x".repeat(1025))),
        ask(
            "start-next",
            r#"{"statusDetails":{"k":""},"clientToken":"t"}"#,
        ),
    ]
}

fn versions() -> Vec<Step> {
    vec![
        create("a"),
        ask(
            "a/update",
            r#"{"status":"IN_PROGRESS","expectedVersion":99,"clientToken":"t"}"#,
        ),
        ask(
            "a/update",
            r#"{"status":"IN_PROGRESS","expectedVersion":1,"statusDetails":{"k":"v"}}"#,
        ),
        ask(
            "a/update",
            r#"{"status":"IN_PROGRESS","expectedVersion":1}"#,
        ),
        ask(
            "a/update",
            r#"{"status":"IN_PROGRESS","expectedVersion":"2"}"#,
        ),
        ask(
            "a/update",
            r#"{"status":"IN_PROGRESS","expectedVersion":"two"}"#,
        ),
        ask("a/update", r#"{"status":"SUCCEEDED"}"#),
        ask("a/update", r#"{"status":"SUCCEEDED","expectedVersion":3}"#),
        ask("a/update", r#"{"status":"SUCCEEDED","expectedVersion":4}"#),
    ]
}

/// Jobs that are canceled, deleted, and created anew.
fn in_the_cloud() -> Vec<Step> {
    vec![
        create("a"),
        create("b"),
        create("c"),
        ask("start-next", "{}"),
        Step::Cancel("a"),
        Step::CancelByForce("a"),
        ask("a/update", r#"{"status":"SUCCEEDED"}"#),
        ask("a/get", "{}"),
        Step::Cancel("a"),
        Step::Cancel("c"),
        Step::Cancel("b"),
        Step::Cancel("nothing"),
        Step::Delete("b"),
        create("d"),
        ask("start-next", "{}"),
        Step::Delete("d"),
        ask("d/get", "{}"),
        ask("d/update", r#"{"status":"SUCCEEDED"}"#),
        create("d"),
        ask("start-next", "{}"),
        create("d"),
    ]
}

/// Documents that not every program can read.
fn documents() -> Vec<Step> {
    let steps = [
        ("escaped", r#"{"tab":"a\tb","quote":"\"","line":"a\nb"}"#),
        ("plain", r#"{"umlaut":"ä","list":[1,2.5,true,[]]}"#),
        ("astral", r#"{"rocket":"🚀"}"#),
        ("null", r#"{"none":null,"one":1}"#),
        ("lone", r#"{"a":"\ud83d"}"#),
        ("twice", r#"{"a":1,"a":2}"#),
        ("spaced", r#"{ "a" : 1 }"#),
    ];
    steps
        .into_iter()
        .flat_map(|(job, document)| {
            [
                Step::Create(job, document, None),
                ask(&format!("{job}/get"), "{}"),
                ask(
                    &format!("{job}/update"),
                    r#"{"status":"IN_PROGRESS","includeJobDocument":true}"#,
                ),
                Step::CancelByForce(job),
            ]
        })
        .collect()
}

/// Placeholders that the service replaces. (What v1 makes of a URL that is encoded already is told by
/// nobody, and not compared.)
fn presigned() -> Vec<Step> {
    let documents = [
        r#"{"v1":"${aws:iot:s3-presigned-url:https://s3.us-east-1.amazonaws.com/bucket/a key}"}"#,
        r#"{"v2":"${aws:iot:s3-presigned-url-v2:https://s3.us-east-1.amazonaws.com/bucket/a%20key%2B}"}"#,
        r#"{"v2":"${aws:iot:s3-presigned-url-v2:https://s3.us-east-1.amazonaws.com/bucket/key?versionId=7}"}"#,
        r#"{"up":"${aws:iot:s3-presigned-url-upload:https://s3.us-east-1.amazonaws.com/bucket/${thingName}/${jobId}-${executionNumber}}"}"#,
    ];
    let jobs = ["v1", "v2", "version", "upload"].into_iter();
    jobs.zip(documents)
        .flat_map(|(job, document)| {
            [
                Step::Create(job, document, None),
                ask(&format!("{job}/get"), "{}"),
                Step::CancelByForce(job),
            ]
        })
        .collect()
}

fn eleven_jobs() -> Vec<Step> {
    let jobs = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"];
    let mut steps: Vec<Step> = jobs.into_iter().map(create).collect();
    steps.push(ask("get", "{}"));
    steps
}

/// Limits for a step that are none.
fn step_timeouts() -> Vec<Step> {
    vec![
        create("a"),
        ask("start-next", r#"{"stepTimeoutInMinutes":0}"#),
        ask("start-next", r#"{"stepTimeoutInMinutes":10081}"#),
        ask(
            "a/update",
            r#"{"status":"IN_PROGRESS","stepTimeoutInMinutes":0}"#,
        ),
    ]
}

/// Real ones: a minute is the shortest.
fn timeouts() -> Vec<Step> {
    vec![
        Step::Create("bad", "{}", Some(0)),
        Step::Create("a", "{}", Some(1)),
        create("b"),
        ask("a/get", "{}"),
        ask("start-next", "{}"),
        Step::Wait(Duration::from_secs(62)),
        ask("a/get", "{}"),
        ask("a/update", r#"{"status":"SUCCEEDED"}"#),
        ask("start-next", r#"{"stepTimeoutInMinutes":5}"#),
        ask(
            "b/update",
            r#"{"status":"IN_PROGRESS","stepTimeoutInMinutes":10}"#,
        ),
        ask("b/get", "{}"),
    ]
}
