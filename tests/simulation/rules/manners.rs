//! Quotas, waits, keep alive, acknowledgements, and nothing left behind.

use std::collections::BTreeMap;
use std::time::Duration;

use local_iot_core::{Entry, Event};
use tokio::time::Instant;

use crate::network::{Dial, LONGEST_WAIT, longest_wait};
use crate::run::{Memory, Run};

/// AWS IoT Core takes this many publishes a second from a connection.
const PUBLISHES_PER_SECOND: usize = 100;
/// In ten minutes, there are at most so many tries: the waits grow to 120 seconds, and are half of
/// that on average.
const TRIES: (Duration, usize) = (Duration::from_secs(600), 60);
/// An acknowledgement takes no longer than this.
const TRAVEL: Duration = Duration::from_secs(30);
/// An idle device asks every quarter of an hour, for an event may have been lost.
const REQUESTS_WHEN_IDLE: usize = 4;

/// What a process may have in use that a new one has not: the last job, the last reply, and buffers
/// that had to hold the longest messages (some of 150,000 bytes at once, in the device, in the service
/// and in the network). What grows with each job shows in the pieces.
const MORE: Memory = Memory {
    pieces: 24,
    bytes: 800_000,
};

/// What the service's strict reading has found. (That the device was silent for too long, it can't
/// know: the network was silent. Where it sends, [`keep_alive`] looks. And a process that takes up
/// the session of the one before does not know which packet ids that one had in use.)
pub fn no_violation(run: &Run) -> Vec<String> {
    let is_wrong = |what: &str| {
        let may_be_a_new_process = run.setting.keeps_session && what.ends_with("without DUP");
        !what.starts_with("longer silent") && !may_be_a_new_process
    };
    let violation = |event: &Event| match event {
        Event::Violation(what) if is_wrong(what) => Some(what.clone()),
        _ => None,
    };
    run.journal
        .iter()
        .filter_map(|entry| violation(&entry.event))
        .collect()
}

pub fn publishes(run: &Run) -> Vec<String> {
    let most = run.most_publishes;
    complain(most > PUBLISHES_PER_SECOND, || {
        format!("{most} publishes within a second")
    })
}

/// The device sends something within one and a half times its keep alive.
pub fn keep_alive(run: &Run) -> Vec<String> {
    let keep_alive = run.setting.keep_alive();
    let limit = keep_alive.mul_f64(1.5);
    let longest = run.longest_silence;
    complain(longest > limit, || {
        format!("nothing for {longest:?}, with a keep alive of {keep_alive:?}")
    })
}

/// The waits between two tries are within the backoff's bound, and not always as long as that; and
/// there are not too many tries.
pub fn tries(run: &Run) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut by_process: BTreeMap<u32, Vec<&Dial>> = BTreeMap::new();
    for dial in &run.dials {
        by_process.entry(dial.process).or_default().push(dial);
    }
    for dials in by_process.values() {
        let mut without_jitter = 0;
        for nth in 1..dials.len() {
            let (before, dial) = (&dials[..nth], dials[nth]);
            let Some(ended) = before[nth - 1].ended else {
                wrong.push("a second connection beside the first".to_owned());
                continue;
            };
            let wait = dial.at - ended;
            if wait > LONGEST_WAIT + Duration::from_secs(1) + frozen(run, ended, dial.at) {
                wrong.push(format!("a wait of {wait:?} before a try"));
            }
            let is_longest = wait.abs_diff(longest_wait(before)) < Duration::from_millis(20);
            without_jitter = if is_longest { without_jitter + 1 } else { 0 };
            if without_jitter == 6 {
                wrong.push("six waits in a row without jitter".to_owned());
            }
        }
    }
    let (window, most) = TRIES;
    let crowd = run.dials.windows(most + 1);
    let mut crowded = crowd.filter(|crowd| crowd[most].at - crowd[0].at < window);
    wrong.extend(crowded.next().map(|crowd| {
        let at = crowd[0].at - run.seen.begun;
        format!("more than {most} tries within {window:?}, from {at:?} on")
    }));
    wrong
}

/// For how long the device stood still between these two times: then every timer is late.
fn frozen(run: &Run, from: Instant, to: Instant) -> Duration {
    let freezes = run.seen.freezes.iter();
    let between = freezes.filter(|(end, _)| (from..=to).contains(end));
    between.map(|(_, time)| *time).sum()
}

/// What the service has delivered since all is well, the device has acknowledged by the end.
pub fn acknowledgements(run: &Run) -> Vec<String> {
    let mut unacknowledged: BTreeMap<(u64, u16), &str> = BTreeMap::new();
    let idle = &run.journal[..run.seen.idle_to];
    // An acknowledgement may be on its way.
    let recent = idle
        .last()
        .map_or(run.seen.calm, |last| Instant::from_std(last.at))
        - TRAVEL;
    let in_time = |entry: &&Entry| Instant::from_std(entry.at) < recent;
    for entry in idle {
        match &entry.event {
            Event::Deliver {
                topic,
                packet_id: Some(id),
                ..
            } if Instant::from_std(entry.at) > run.seen.calm && in_time(&entry) => {
                unacknowledged.insert((entry.connection, *id), topic);
            }
            Event::DeliveryAcked { packet_id } => {
                unacknowledged.remove(&(entry.connection, *packet_id));
            }
            // What was on its way comes again on the next connection.
            Event::ConnectionClosed => {
                unacknowledged.retain(|(connection, _), _| *connection != entry.connection);
            }
            _ => {}
        }
    }
    let topics = unacknowledged.into_values();
    topics
        .map(|topic| format!("a message on {topic} is not"))
        .collect()
}

/// While there is nothing to do, a device asks now and then, and keeps its connection.
pub fn idle(run: &Run) -> Vec<String> {
    if run.seen.last_job.is_none() {
        return Vec::new(); // another rule has found it not to be idle
    }
    let idle = &run.journal[run.seen.idle_from..run.seen.idle_to];
    let count = |fits: fn(&Event) -> bool| idle.iter().filter(|entry| fits(&entry.event)).count();
    let requests = count(|event| matches!(event, Event::Request { .. }));
    let connects = count(|event| matches!(event, Event::TcpAccepted));
    let mut wrong = complain(requests > REQUESTS_WHEN_IDLE, || {
        format!("{requests} requests while there was nothing to do")
    });
    wrong.extend(complain(connects > 0, || {
        format!("{connects} connects while all was well")
    }));
    wrong
}

/// Tasks are as many as at first, and none when the device is gone.
pub fn tasks(run: &Run) -> Vec<String> {
    let [at_first, when_idle, at_the_end] = run.seen.tasks;
    complain(when_idle > at_first || at_the_end > 0, || {
        format!("{at_first} tasks at first, {when_idle} when idle, {at_the_end} at the end")
    })
}

/// The process that has lived through it all uses no more memory than a new one.
pub fn memory(run: &Run) -> Vec<String> {
    let [new, old] = run.seen.memory;
    let is_more = old.pieces > new.pieces + MORE.pieces || old.bytes > new.bytes + MORE.bytes;
    complain(is_more, || {
        format!("{old:?} is in use, and {new:?} by a new process")
    })
}

fn complain(is_wrong: bool, what: impl FnOnce() -> String) -> Vec<String> {
    is_wrong.then(what).into_iter().collect()
}
