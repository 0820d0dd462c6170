//! Commands about faults, and what there is to see when one strikes.

use std::error::Error;

use local_iot_core::{Fault, Faults, Times, breaches, fault_names, fault_operations};
use serde_json::{Value, json};

/// For each fault, by its first word: how it is armed as an example, and what to watch for.
type Watch = [(&'static str, &'static str)];

/// All faults, in groups.
const GROUPS: &[(&str, &Watch)] = &[
    (
        "While it connects",
        &[
            (
                "drop-after-accept",
                "Cut the connection: the next one breaks at once, and the device waits before it tries again.",
            ),
            (
                "no-tls-answer",
                "Cut the connection: the device gives the handshake up after ten seconds.",
            ),
            (
                "not-tls",
                "Cut the connection: an HTTP server answers, and the device tries again later.",
            ),
            (
                "drop-after-tls",
                "Cut the connection: no CONNECT gets through; the next connection carries it.",
            ),
            (
                "no-connack",
                "Cut the connection: the device waits ten seconds for CONNACK, then connects anew.",
            ),
            (
                "connack 0x88",
                "Cut the connection: refused as unavailable, the device asks again a little later.",
            ),
            (
                "connect-denied-closes",
                "Cut the connection under a policy that denies iot:Connect: no code, only a close.",
            ),
            (
                "drop-after-connack",
                "Cut the connection: the device is in, and out again; its session goes on all the same.",
            ),
            (
                "session-lost",
                "Cut the connection: CONNACK says it is a new session, and the device subscribes anew.",
            ),
            (
                "claim-session",
                "Start the device anew: CONNACK claims a session where there can be none.",
            ),
            (
                "receive-maximum-0",
                "Cut the connection: a CONNACK that MQTT forbids; the device leaves and tries again.",
            ),
        ],
    ),
    (
        "On the line",
        &[
            (
                "no-pingresp",
                "Wait half a minute: an idle device notices that nobody answers, and connects anew.",
            ),
            (
                "no-suback",
                "Arm session-lost too, and cut: jobs are done all the same, without their events.",
            ),
            (
                "suback 0x87",
                "Arm session-lost too, and cut: one subscription is denied, and the device says which.",
            ),
            (
                "no-puback",
                "The message never gets its tick; what it asked for is done all the same.",
            ),
            (
                "breach pubrec",
                "An answer that MQTT forbids: the device leaves, and comes back.",
            ),
            (
                "puback 0x97",
                "The message gets a red code instead of a tick, and the device asks once more.",
            ),
            (
                "disconnect 0x8b",
                "The service says goodbye; the device comes back, and its session goes on.",
            ),
            (
                "drop-on-publish",
                "The message is sent once more on the next connection, marked DUP.",
            ),
            (
                "pubacks-out-of-order",
                "The ticks come in another order than the messages. Nothing is lost.",
            ),
            (
                "double-deliveries",
                "Every message comes twice; the job is done once.",
            ),
            (
                "unreadable-delivery",
                "A packet that breaks MQTT: the device leaves, three times, then wants a new session.",
            ),
        ],
    ),
    (
        "Replies of the Jobs service",
        &[
            (
                "lose-reply update",
                "No answer comes: the device asks again, and learns that it was done.",
            ),
            (
                "late-reply update 3000",
                "The answer takes three seconds; the device just waits.",
            ),
            (
                "double-reply update",
                "Two answers to one request: the second changes nothing.",
            ),
            (
                "other-thing-reply update",
                "The answer is another thing's: the device ignores it and asks again.",
            ),
            (
                "foreign-token-reply update",
                "The answer to somebody else's request: ignored, asked again.",
            ),
            (
                "no-token-reply update",
                "An answer that names no request: ignored, asked again.",
            ),
            (
                "not-json-reply update",
                "An answer that is no JSON: ignored, asked again.",
            ),
            (
                "wrong-shape-reply start-next",
                "JSON, but not what was promised: the device copes.",
            ),
            (
                "huge-reply start-next",
                "100 KiB that nobody asked for: read, and left unused.",
            ),
            (
                "overtaken-reply update",
                "News of the next job come before the answer about this one.",
            ),
            (
                "broken-execution JOB",
                "An event that can't be read is passed over. Twice, and what start-next brings is, too.",
            ),
        ],
    ),
    (
        "Around a request",
        &[
            (
                "reject update RequestThrottled",
                "The service is busy: the device waits a moment, and asks again.",
            ),
            (
                "drop-before update",
                "Cut off before the report was taken: it is sent again.",
            ),
            (
                "drop-after update",
                "Cut off after it was taken: the device finds out that it was.",
            ),
            (
                "drop-after-lost update",
                "As before, and the session is gone too: it subscribes anew.",
            ),
        ],
    ),
];

/// For the page: each fault as it is written, what it does, an example, and what to watch for.
pub fn catalogue() -> Value {
    let faults = GROUPS.iter().flat_map(|(group, faults)| {
        let fault = move |(example, watch): &(&str, &str)| {
            let (name, what) = named(example);
            json!({"group": group, "name": name, "what": what, "example": example, "watch": watch})
        };
        faults.iter().map(fault)
    });
    faults.collect()
}

/// The fault that an example is one of: as it is written, and what it does.
fn named(example: &str) -> (&'static str, &'static str) {
    let first = |text: &str| text.split(' ').next().map(str::to_owned);
    let is_it = |(name, _): &&(&str, &str)| first(name) == first(example);
    fault_names()
        .iter()
        .find(is_it)
        .copied()
        .unwrap_or_default()
}

pub fn list() -> String {
    let line = |(name, what): &(&str, &str)| format!("{name:<34} {what}");
    let operation = |(name, what): &(&str, &str)| format!("    {name:<30} {what}");
    let names = fault_names().iter().map(line);
    let operations = fault_operations().iter().map(operation);
    let heading = "OP is one of".to_owned();
    let breach = |(name, _, what): &(&str, _, &str)| format!("    {name:<30} {what}");
    let breaches = ["BREACH is one of".to_owned()]
        .into_iter()
        .chain(breaches().iter().map(breach));
    let end = "CODE is a reason code such as 0x87. What stands in brackets can be left out.";
    let lines = names.chain([heading]).chain(operations).chain(breaches);
    lines.chain([end.to_owned()]).collect::<Vec<_>>().join("\n")
}

pub fn arm(faults: &Faults, rest: &str) -> Result<String, Box<dyn Error>> {
    let (name, times) = match rest.rsplit_once(" x") {
        Some((name, count)) => (name, count.parse().map(Times::Count)?),
        None => (rest, Times::Once),
    };
    let fault: Fault = name
        .parse()
        .map_err(|error| format!("{error}; `faults` lists what can be told"))?;
    let answer = format!("armed: {fault}");
    faults.add(fault, times);
    Ok(answer)
}

/// What is still to strike, a line each.
pub fn armed(faults: &Faults) -> String {
    let armed = faults.armed();
    let line = |(fault, times): &(Fault, Times)| format!("{fault}, {times}");
    if armed.is_empty() {
        return "no faults are armed".to_owned();
    }
    armed.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_an_example_that_can_be_armed_and_something_to_watch_for() {
        let catalogue = catalogue();
        let faults = catalogue.as_array().unwrap();
        for (name, _) in fault_names() {
            let has_it = faults.iter().any(|fault| fault["name"] == *name);
            assert!(has_it, "add {name} to GROUPS, with what to watch for");
        }
        assert_eq!(faults.len(), fault_names().len());
        for fault in faults {
            let text = |name: &str| fault[name].as_str().unwrap();
            assert!(text("watch").ends_with(['.', '?']), "{}", text("name"));
            let example: Result<Fault, _> = text("example").parse();
            assert!(example.is_ok(), "{}", text("example"));
        }
    }
}
