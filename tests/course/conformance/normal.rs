//! Messages without what is different each time.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use serde_json::value::RawValue;

/// A message as one line: the topic, and the payload with its times replaced and its job document
/// as the text that it came as.
pub fn line(topic: &str, payload: &[u8], thing_name: &str, job_prefix: &str) -> String {
    let payload = String::from_utf8_lossy(payload);
    let payload = match serde_json::from_str(&payload) {
        Ok(raw) => written("", raw),
        Err(_) => format!("not JSON: {payload}"),
    };
    format!("{topic} {payload}")
        .replace(job_prefix, "")
        .replace(thing_name, "THING")
}

/// A value with the members of its objects in order.
fn written(key: &str, raw: &RawValue) -> String {
    let text = raw.get();
    match key {
        "jobDocument" => return unsigned(text),
        "timestamp" | "queuedAt" | "startedAt" | "lastUpdatedAt" if is_now(text) => {
            return "SECONDS".to_owned();
        }
        "message" if !is_seen(text) => return "WORDS".to_owned(),
        // How many minutes are left: a few seconds have gone by in the meantime.
        "approximateSecondsBeforeTimedOut" => {
            let seconds: Option<u64> = text.parse().ok();
            return seconds.map_or(text.to_owned(), |left| {
                format!("{} MINUTES", left.div_ceil(60))
            });
        }
        _ => {}
    }
    if let Ok(members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(text) {
        let member = |(key, value): (&String, &&RawValue)| {
            let name = Value::from(key.as_str());
            format!("{name}:{}", written(key, value))
        };
        let members: Vec<_> = members.iter().map(member).collect();
        return format!("{{{}}}", members.join(","));
    }
    if let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(text) {
        let items: Vec<_> = items.iter().map(|item| written("", item)).collect();
        return format!("[{}]", items.join(","));
    }
    match serde_json::from_str::<Value>(text) {
        Ok(value) => value.to_string(), // one way of writing for each string
        Err(_) => text.to_owned(),
    }
}

/// A job document whose presigned URLs have neither host nor signature: what is left is what they are
/// good for.
fn unsigned(document: &str) -> String {
    let strings = document.split('"').map(|part| match part.split_once('?') {
        Some((url, query)) if url.starts_with("http") && query.contains("X-Amz-Signature=") => {
            let path = url.splitn(4, '/').last().unwrap_or_default();
            let more = query.split('&').filter(|one| !one.starts_with("X-Amz-"));
            let more: Vec<_> = more.chain(["SIGNED"]).collect();
            format!("URL/{path}?{}", more.join("&"))
        }
        _ => part.to_owned(),
    });
    strings.collect::<Vec<_>>().join("\"")
}

/// Whether this explanation of an error has words that were seen on the live service. The words
/// of all others are each service's own.
fn is_seen(message: &str) -> bool {
    [
        "\"Expected version",
        "\"The status of job execution",
        "\"Job Execution has reached terminal state",
        "\"The contents of the request",
        "\"The request payload must be",
    ]
    .iter()
    .any(|beginning| message.starts_with(beginning))
}

/// Whole seconds since the epoch, of today or so.
fn is_now(text: &str) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs();
    text.parse::<u64>()
        .is_ok_and(|seconds| now.abs_diff(seconds) < 24 * 60 * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_different_each_time_is_replaced_and_nothing_else() {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let payload = format!(
            r#"{{"timestamp":{now},"queuedAt":{now}000,"execution":{{"jobId":"p-a","jobDocument":{{ "a":"\ud83d" }},"approximateSecondsBeforeTimedOut":298}}}}"#
        );
        assert_eq!(
            line("get/accepted", payload.as_bytes(), "thing-1", "p-"),
            format!(
                r#"get/accepted {{"execution":{{"approximateSecondsBeforeTimedOut":5 MINUTES,"jobDocument":{{ "a":"\ud83d" }},"jobId":"a"}},"queuedAt":{now}000,"timestamp":SECONDS}}"#
            )
        );
    }

    #[test]
    fn of_a_presigned_url_the_key_is_compared() {
        for (url, left) in [
            (
                "https://h/b/k?X-Amz-Date=1&X-Amz-Signature=2",
                "URL/b/k?SIGNED",
            ),
            (
                "http://h:1/b/k?versionId=3&X-Amz-Signature=2",
                "URL/b/k?versionId=3&SIGNED",
            ),
            ("http://h:1/b/k?versionId=3", "http://h:1/b/k?versionId=3"),
        ] {
            let document = |url: &str| format!(r#"{{"a":"{url}","b":1}}"#);
            assert_eq!(unsigned(&document(url)), document(left));
        }
    }

    #[test]
    fn words_are_compared_where_they_were_seen() {
        let seen = r#"{"message":"Expected version 9 but found version 1"}"#;
        assert_eq!(line("x", seen.as_bytes(), "t-1", "p-"), format!("x {seen}"));
        let own = br#"{"message":"no such thing"}"#;
        assert_eq!(line("x", own, "t-1", "p-"), r#"x {"message":WORDS}"#);
    }
}
