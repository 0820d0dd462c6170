//! Make work repeatable.

use std::fs;
use std::path::Path;

use jobs_mqtt5::agent::{Job, Outcome, WorkResult};
use serde_json::json;

use crate::world::World;
use crate::{NotYet, exercises, judge};

const BEFORE: &str = "attic\ncellar\n";
const AFTER: &str = "attic\ncellar\nkitchen\n";

pub async fn check(
    work: impl AsyncFn(&Job, &Path) -> WorkResult + Copy + Send + Sync + 'static,
) -> Result<(), String> {
    let world = World::new().await;
    world.queue("add", json!({"sensor": "kitchen"}));
    let list = world.folder.path().join("sensors.txt");
    fs::write(&list, BEFORE).unwrap();
    // A second name for the old list: a list that takes its place leaves it as it is.
    let old = world.folder.path().join("old-list");
    fs::hard_link(&list, &old).unwrap();
    let done = |list: &Path| {
        let list = list.to_owned();
        async move |job: &Job| work(job, &list).await
    };

    let outcome = world.run_until_the_report(done(&list)).await?;
    if !matches!(outcome, Outcome::Succeeded(_)) {
        return Err(format!(
            "The work ended with {outcome:?}; expected: SUCCEEDED."
        ));
    }
    let first = read(&list);
    let is_as_it_was = read(&old) == BEFORE;

    let _program = world.run(done(&list));
    world.succeeds("add").await?;
    let second = read(&list);
    if (first.as_str(), second.as_str()) != (AFTER, AFTER) {
        return Err(format!(
            "The power failed before the report: the list was {first:?} then, and {second:?} when the next \
             run had done the job again. Expected: {AFTER:?}, both times."
        ));
    }
    if !is_as_it_was {
        let why = "The old list was written to. Expected: a new one beside it takes its place as a whole, \
                   for the power can fail at any time.";
        return Err(why.to_owned());
    }
    Ok(())
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| error.to_string())
}

#[test]
fn done() -> Result<(), NotYet> {
    judge(check(exercises::repeatable::work))
}
