//! Known faults, put into the device or into the service: each must be found. Otherwise the rules
//! would prove nothing.
//!
//! Most are made on the way: what leaves the device arrives changed, as if a faulty device had sent
//! it so. `habits` are faults of the device's own program, `packets` those that are made on the way.

mod habits;
mod packets;

use crate::network::SharedTamper;

pub use habits::Habits;

/// A known fault.
pub struct Break {
    pub name: &'static str,
    /// What is wrong, in words.
    pub about: &'static str,
    /// The device's faults.
    pub habits: Habits,
    /// A few seeds that find it.
    pub seeds: &'static [u64],
    /// What becomes of packets on the way.
    tamper: Option<fn() -> SharedTamper>,
}

impl Break {
    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|one| one.name == name)
    }

    pub fn tamper(&self) -> Option<SharedTamper> {
        self.tamper.map(|new| new())
    }
}

/// A fault that is made on the way.
const fn on_the_way(
    name: &'static str,
    about: &'static str,
    seeds: &'static [u64],
    tamper: fn() -> SharedTamper,
) -> Break {
    Break {
        name,
        about,
        seeds,
        habits: Habits::GOOD,
        tamper: Some(tamper),
    }
}

/// A fault of the device's own program.
const fn of_the_device(
    name: &'static str,
    about: &'static str,
    seeds: &'static [u64],
    habits: Habits,
) -> Break {
    Break {
        name,
        about,
        seeds,
        habits,
        tamper: None,
    }
}

/// All of them.
pub const ALL: &[Break] = &[
    on_the_way(
        "forgotten-puback",
        "the device acknowledges only most of what it gets",
        &[0],
        packets::forgotten_puback,
    ),
    on_the_way(
        "update-sent-twice",
        "each update leaves twice, with two packet ids",
        &[0],
        packets::update_sent_twice,
    ),
    on_the_way(
        "reply-without-token",
        "a reply is taken whosever clientToken it has",
        &[41],
        packets::reply_without_token,
    ),
    on_the_way(
        "confused-execution",
        "an update is taken for the next execution of the job",
        &[26],
        packets::confused_execution,
    ),
    on_the_way(
        "guessed-version",
        "an update names a version that nobody told",
        &[0],
        packets::guessed_version,
    ),
    on_the_way(
        "always-succeeded",
        "work that failed is reported as SUCCEEDED",
        &[0],
        packets::always_succeeded,
    ),
    on_the_way(
        "lost-session-resumed",
        "a session that was lost is taken for one that goes on",
        &[0],
        packets::lost_session_resumed,
    ),
    on_the_way(
        "repeated-without-dup",
        "a publish is repeated as if it were new",
        &[8],
        packets::repeated_without_dup,
    ),
    on_the_way(
        "deaf-to-events",
        "notify-next does not reach the device",
        &[0],
        packets::deaf_to_events,
    ),
    on_the_way(
        "no-receive-maximum",
        "the device sends more at once than the service takes",
        &[0],
        packets::no_receive_maximum,
    ),
    of_the_device(
        "worked-twice",
        "the work on each job is done twice",
        &[0],
        Habits {
            works_twice: true,
            ..Habits::GOOD
        },
    ),
    of_the_device(
        "never-reported",
        "how the work ended is not reported",
        &[0],
        Habits {
            never_reports: true,
            ..Habits::GOOD
        },
    ),
    of_the_device(
        "no-backoff",
        "the device tries again at once",
        &[1],
        Habits {
            no_backoff: true,
            ..Habits::GOOD
        },
    ),
    of_the_device(
        "no-jitter",
        "every wait is as long as its bound",
        &[5],
        Habits {
            no_jitter: true,
            ..Habits::GOOD
        },
    ),
    of_the_device(
        "rare-pings",
        "a connection that is dead is noticed after twenty minutes",
        &[0],
        Habits {
            keep_alive_seconds: Some(1200),
            ..Habits::GOOD
        },
    ),
    of_the_device(
        "asks-all-the-time",
        "an idle device asks every five seconds",
        &[0],
        Habits {
            idle_timeout_seconds: Some(5),
            ..Habits::GOOD
        },
    ),
    of_the_device(
        "never-asks",
        "a device that has missed an event does not ask",
        &[6],
        Habits {
            idle_timeout_seconds: Some(100_000),
            ..Habits::GOOD
        },
    ),
    of_the_device(
        "left-behind",
        "a task of each connection outlives it",
        &[0],
        Habits {
            leaves_a_task: true,
            ..Habits::GOOD
        },
    ),
    of_the_device(
        "hoarding",
        "the device forgets no event of its jobs",
        &[0],
        Habits {
            hoards: true,
            ..Habits::GOOD
        },
    ),
    on_the_way(
        "comes-back-deaf",
        "what was subscribed to is lost with no session lost, and never subscribed to again",
        &[0],
        packets::comes_back_deaf,
    ),
    of_the_device(
        "judges-before-it-reads",
        "after a standstill, what has come is late, and not read",
        &[7],
        Habits {
            judges_before_it_reads: true,
            ..Habits::GOOD
        },
    ),
    of_the_device(
        "loses-commands",
        "every second command is lost, and nobody is told",
        &[7],
        Habits {
            loses_commands: true,
            ..Habits::GOOD
        },
    ),
];
