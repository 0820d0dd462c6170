//! The faults as the page offers them: in words, and with what there is to see when one strikes.

use local_iot_core::fault_names;
use serde_json::{Value, json};

use super::words::first_word;

/// For each fault: in words, how it is armed as an example, and what to watch for.
type Offered = [(&'static str, &'static str, &'static str)];

/// All faults, in groups.
const GROUPS: &[(&str, &Offered)] = &[
    (
        "While it connects",
        &[
            (
                "Drop the TCP connection",
                "drop-after-accept",
                "Cut the connection: the next one breaks at once, and the device waits before it tries again.",
            ),
            (
                "Leave the TLS handshake unanswered",
                "no-tls-answer",
                "Cut the connection: the device gives the handshake up after ten seconds.",
            ),
            (
                "Answer TLS with plain HTTP",
                "not-tls",
                "Cut the connection: an HTTP server answers, and the device tries again later.",
            ),
            (
                "Drop the connection after TLS",
                "drop-after-tls",
                "Cut the connection: no CONNECT gets through; the next connection carries it.",
            ),
            (
                "Leave CONNECT unanswered",
                "no-connack",
                "Cut the connection: the device waits ten seconds for CONNACK, then connects anew.",
            ),
            (
                "Refuse CONNECT: server unavailable",
                "connack 0x88",
                "Cut the connection: refused as unavailable, the device asks again a little later.",
            ),
            (
                "Close instead of refusing CONNECT",
                "connect-denied-closes",
                "Cut the connection under a policy that denies iot:Connect: no code, only a close.",
            ),
            (
                "Drop the connection after CONNACK",
                "drop-after-connack",
                "Cut the connection: the device is in, and out again; its session goes on all the same.",
            ),
            (
                "Forget the session",
                "session-lost",
                "Cut the connection: CONNACK says it is a new session, and the device subscribes anew.",
            ),
            (
                "Claim a session that is not there",
                "claim-session",
                "Start the device anew: CONNACK claims a session where there can be none.",
            ),
            (
                "Forbid every PUBLISH in CONNACK",
                "receive-maximum-0",
                "Cut the connection: a CONNACK that MQTT forbids; the device leaves and tries again.",
            ),
        ],
    ),
    (
        "On the line",
        &[
            (
                "Leave PINGREQ unanswered",
                "no-pingresp",
                "Wait half a minute: an idle device notices that nobody answers, and connects anew.",
            ),
            (
                "Leave SUBSCRIBE unanswered",
                "no-suback",
                "Arm session-lost too, and cut: jobs are done all the same, without their events.",
            ),
            (
                "Deny a subscription",
                "suback 0x87",
                "Arm session-lost too, and cut: one subscription is denied, and the device says which.",
            ),
            (
                "Leave PUBLISH unacknowledged",
                "no-puback",
                "The message never gets its tick; what it asked for is done all the same.",
            ),
            (
                "Break MQTT: a PUBREC at QoS 1",
                "breach pubrec",
                "An answer that MQTT forbids: the device leaves, and comes back.",
            ),
            (
                "Refuse the message: quota exceeded",
                "puback 0x97",
                "The message gets a red code instead of a tick, and the device asks once more.",
            ),
            (
                "Disconnect: the service shuts down",
                "disconnect 0x8b",
                "The service says goodbye; the device comes back, and its session goes on.",
            ),
            (
                "Drop the connection at a PUBLISH",
                "drop-on-publish",
                "The message is sent once more on the next connection, marked DUP.",
            ),
            (
                "Acknowledge out of order",
                "pubacks-out-of-order",
                "The ticks come in another order than the messages. Nothing is lost.",
            ),
            (
                "Deliver everything twice",
                "double-deliveries",
                "Every message comes twice; the job is done once.",
            ),
            (
                "Send a packet that can't be read",
                "unreadable-delivery",
                "A packet that breaks MQTT: the device leaves, three times, then wants a new session.",
            ),
        ],
    ),
    (
        "A request and its reply",
        &[
            (
                "Cut off after the request was carried out",
                "drop-after update",
                "The connection breaks before any answer: the device comes back, and finds out that it was done.",
            ),
            (
                "Lose the reply",
                "lose-reply update",
                "No answer comes: the device asks again, and learns that it was done.",
            ),
            (
                "Reject the request: the service is busy",
                "reject update RequestThrottled",
                "The device waits a moment, and asks again.",
            ),
            (
                "Cut off before the request was taken",
                "drop-before update",
                "The connection breaks, and the request is sent again on the next one.",
            ),
            (
                "Cut off, and forget the session",
                "drop-after-lost update",
                "As when it is cut off afterwards, and the session is gone too: it subscribes anew.",
            ),
            (
                "Reply three seconds late",
                "late-reply update 3000",
                "The answer takes three seconds; the device just waits.",
            ),
            (
                "Reply twice",
                "double-reply update",
                "Two answers to one request: the second changes nothing.",
            ),
            (
                "Reply on another thing's topic",
                "other-thing-reply update",
                "The answer is another thing's: the device ignores it and asks again.",
            ),
            (
                "Reply with a foreign client token",
                "foreign-token-reply update",
                "The answer to somebody else's request: ignored, asked again.",
            ),
            (
                "Reply without a client token",
                "no-token-reply update",
                "An answer that names no request: ignored, asked again.",
            ),
            (
                "Reply with what is not JSON",
                "not-json-reply update",
                "An answer that is no JSON: ignored, asked again.",
            ),
            (
                "Reply with fields of the wrong type",
                "wrong-shape-reply start-next",
                "JSON, but not what was promised: the device copes.",
            ),
            (
                "Reply with 100 KiB too much",
                "huge-reply start-next",
                "100 KiB that nobody asked for: read, and left unused.",
            ),
            (
                "Send the events before the reply",
                "overtaken-reply update",
                "News of the next job come before the answer about this one.",
            ),
            (
                "Break a field of a job execution",
                "broken-execution JOB",
                "An event that can't be read is passed over. Twice, and what start-next brings is, too.",
            ),
        ],
    ),
];

/// The first ones to try: what they lead to tells most about Jobs over MQTT. By the first word.
const MOST_TELLING: [&str; 6] = [
    "drop-after",
    "lose-reply",
    "session-lost",
    "reject",
    "puback",
    "double-deliveries",
];

/// For the page: each fault in words and as it is written, what it does, an example, and what to watch for.
pub fn catalogue() -> Value {
    let faults =
        GROUPS.iter().flat_map(|(group, faults)| {
            faults.iter().map(move |(words, example, watch)| {
            let (name, what) = named(example);
            let first = MOST_TELLING.iter().position(|one| *one == first_word(example).0);
            json!({"group": group, "words": words, "name": name, "what": what, "example": example,
                   "watch": watch, "first": first})
        })
        });
    faults.collect()
}

/// The fault that an example is one of: as it is written, and what it does.
fn named(example: &str) -> (&'static str, &'static str) {
    let is_it = |(name, _): &&(&str, &str)| first_word(name).0 == first_word(example).0;
    fault_names()
        .iter()
        .find(is_it)
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use local_iot_core::Fault;

    use super::*;

    #[test]
    fn every_fault_has_a_name_in_words_an_example_and_something_to_watch_for() {
        let catalogue = catalogue();
        let faults = catalogue.as_array().unwrap();
        for (name, _) in fault_names() {
            let has_it = faults.iter().any(|fault| fault["name"] == *name);
            assert!(has_it, "add {name} to GROUPS, with what to watch for");
        }
        assert_eq!(faults.len(), fault_names().len());
        assert_eq!(GROUPS.len(), 3);
        let firsts = faults.iter().filter_map(|fault| fault["first"].as_u64());
        assert_eq!(firsts.collect::<HashSet<_>>().len(), MOST_TELLING.len());
        let mut all_words = HashSet::new();
        for fault in faults {
            let text = |name: &str| fault[name].as_str().unwrap();
            assert!(text("watch").ends_with(['.', '?']), "{}", text("name"));
            assert!(text("words").contains(' ') && all_words.insert(text("words")));
            let example: Result<Fault, _> = text("example").parse();
            assert!(example.is_ok(), "{}", text("example"));
        }
    }
}
