//! Find why a device is refused.

use std::time::Duration;

use jobs_mqtt5::agent::{Job, Outcome};
use local_iot_core::{Action, Options, Policy, fill_policy};
use serde_json::json;

use crate::world::{THING, World};
use crate::{NotYet, exercises, judge};

/// What this device has no business with.
const FOREIGN: [(Action, &str); 5] = [
    (Action::Connect, "other-thing"),
    (Action::Publish, "$aws/things/other-thing/jobs/start-next"),
    (Action::Publish, "$aws/things/other-thing/jobs/a-job/update"),
    (Action::Subscribe, "$aws/things/other-thing/jobs/+/update/+"),
    (Action::Receive, "$aws/things/other-thing/jobs/notify-next"),
];

pub async fn check(policy: &str) -> Result<(), String> {
    let options = Options {
        policy: policy.to_owned(),
        ..Options::default()
    };
    let world = World::with(options).await;
    let world = world.map_err(|error| format!("The policy can't be read: {error}."))?;
    world.queue("hello", json!({}));
    let soon = Duration::from_secs(2); // instead of ten seconds: it says what is not answered
    let mut program = world.run_with(
        |settings| settings.jobs.reply_timeout = soon,
        async |_: &Job| Ok(Outcome::succeeded()),
    );
    let said = tokio::select! {
        done = world.succeeds("hello") => match done {
            Ok(_) => String::new(),
            Err(why) => format!("{} ({why})", program.last_words()),
        },
        said = program.end() => said,
    };
    if !said.is_empty() {
        return Err(format!(
            "The device is refused. The program says: {said}\nExpected: it connects, and the job is \
             SUCCEEDED."
        ));
    }
    let policy = fill_policy(policy, THING);
    let policy = Policy::parse(&policy).map_err(|error| error.to_string())?;
    for (action, name) in FOREIGN {
        if policy.allows(action, &action.resource(name)) {
            return Err(format!(
                "The device is let in, but the policy also allows it {action} on {name}. Expected: \
                 nothing that is for another thing."
            ));
        }
    }
    Ok(())
}

#[test]
fn done() -> Result<(), NotYet> {
    judge(check(exercises::POLICY))
}
