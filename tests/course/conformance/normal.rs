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
        "jobDocument" => return text.to_owned(),
        "timestamp" | "queuedAt" | "startedAt" | "lastUpdatedAt" if is_now(text) => {
            return "SECONDS".to_owned();
        }
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

/// Whole seconds since the epoch, of today or so.
fn is_now(text: &str) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs();
    text.parse::<u64>()
        .is_ok_and(|seconds| now.abs_diff(seconds) < 24 * 60 * 60)
}
