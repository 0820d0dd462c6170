//! A few hundred lives of a device, and what would be found if it were worse.

use std::ops::Range;
use std::sync::Mutex;

use crate::breaks;
use crate::network::lock;
use crate::rules::{self, Failure};
use crate::{seeds, story, world};

/// Those that every test run tries.
const FIRST: Range<u64> = 0..200;

/// Seeds that have found something once, and what that was.
const FOUND: [(u64, &str); 5] = [
    (
        2030,
        "a start that was repeated and refused was taken for a success",
    ),
    (
        3165,
        "a job was created anew while it was being started, and done with the old document",
    ),
    (
        8101,
        "the service waited for ever for room in a connection that was dead",
    ),
    (
        19_696,
        "a report was repeated although its job had been deleted and created anew",
    ),
    (
        54_499,
        "the CONNACK of a new session was lost, and nothing was subscribed to in it ever after",
    ),
];

#[test]
fn all_is_well_on_the_first_seeds() {
    let failed = Mutex::new(Vec::new());
    let ran = seeds::run_all(FIRST, None, |seed, failures| {
        lock(&failed).push((seed, failures));
        true
    });
    let failed = lock(&failed);
    assert!(failed.is_empty(), "{failed:?}");
    assert_eq!(ran, FIRST.end);
}

#[test]
fn what_was_found_once_is_found_no_more() {
    for (seed, what) in FOUND {
        assert_eq!(seeds::judge(seed, None), [], "seed {seed}: {what}");
    }
}

#[test]
fn the_same_seed_has_the_same_story() {
    for seed in [1, 7, 42] {
        let [once, again] = [(); 2].map(|()| story::story(&world::run(seed, None).unwrap()));
        assert!(once.lines().count() > 500, "seed {seed}: nothing happened");
        assert!(once == again, "seed {seed}: another story");
    }
    let [one, other] = [1, 2].map(|seed| story::story(&world::run(seed, None).unwrap()));
    assert!(one != other);
}

/// Each known fault is found on the seeds that are known to find it, where nothing is found without it.
#[test]
fn every_break_is_found() {
    assert!(breaks::ALL.len() >= 12);
    for broken in breaks::ALL {
        for &seed in broken.seeds {
            assert!(FIRST.contains(&seed), "without the break, it is not run");
            let found = seeds::judge(seed, Some(broken));
            let panics = |failure: &Failure| failure.rule == rules::PANIC;
            assert!(!found.is_empty(), "{} on seed {seed}", broken.name);
            assert!(!found.iter().any(panics), "{} on seed {seed}", broken.name);
        }
    }
}
