//! What stays the same over a run: the service's dialect and limits, the way to it, the device.

use std::time::{Duration, UNIX_EPOCH};

use fastrand::Rng;
use local_iot_core::{Dialect, Limits, Options, TimeFormat};

use crate::happening::Denial;
use crate::network::Link;

pub const THING: &str = "my-thing";

/// What stays the same over a run.
#[derive(Debug, Clone)]
pub struct Setting {
    pub dialect: Dialect,
    pub limits: Limits,
    pub link: Link,
    /// Whether the device keeps its session over a restart of its process.
    pub keeps_session: bool,
    /// Minutes that a step of a job may take, as the device asks for.
    pub step_timeout_minutes: Option<u32>,
    /// Whether the device looks at each job before it starts it.
    pub looks_first: bool,
    /// Whether it has the loop over the jobs in its own hands.
    pub has_loop: bool,
    /// Whether what the field taught later on happens: see [`crate::later`].
    pub later: bool,
}

impl Setting {
    pub fn drawn(random: &mut Rng, later: bool) -> Self {
        let dialect = Dialect {
            times: *pick(
                random,
                &[
                    TimeFormat::Seconds,
                    TimeFormat::FractionalSeconds,
                    TimeFormat::Milliseconds,
                ],
            ),
            empty_execution: random.bool(),
            thing_name: random.bool(),
            rewrites_documents: random.bool(),
            describes_terminal: random.u8(..4) == 0,
            version_first: random.bool(),
        };
        let limits = Limits {
            receive_maximum: *pick(random, &[100, 100, 20, 2, 1]),
            server_keep_alive: *pick(random, &[None, None, Some(60), Some(300)]),
            session_expiry_cap: *pick(random, &[604_800, 604_800, 60, 0]),
            publishes_per_second: usize::MAX, // counted where the device sends
            ..Limits::default()
        };
        let latency = Duration::from_millis(*pick(random, &[2, 40, 150, 400, 1000]));
        let is_slow = random.u8(..6) == 0;
        let link = Link {
            latency,
            bytes_per_second: is_slow.then(|| random.u32(3_000..30_000)),
        };
        Self {
            dialect,
            limits,
            link,
            keeps_session: random.bool(),
            step_timeout_minutes: (random.u8(..3) == 0).then_some(30),
            looks_first: random.u8(..6) == 0,
            has_loop: random.bool(),
            later,
        }
    }

    /// How often the device is heard of at least.
    pub fn keep_alive(&self) -> Duration {
        Duration::from_secs(self.limits.server_keep_alive.unwrap_or(30).into())
    }

    /// How long after the last trouble all is done at the latest, besides the work itself and what a
    /// slow link takes: a quarter of an hour until an idle device asks (its event may have been
    /// lost), two waits of two minutes, and a little more than a keep alive to find out that a
    /// connection is dead.
    pub fn done_within(&self) -> Duration {
        Duration::from_secs((15 + 2 * 2) * 60) + self.keep_alive() * 2
    }

    /// What the service is started with.
    pub fn service_options(&self) -> Options {
        Options {
            policy: policy(None),
            thing_name: THING.to_owned(),
            dialect: self.dialect,
            limits: self.limits.clone(),
            latency: Duration::from_millis(1), // the least that any link has
            time_of_day: Some(UNIX_EPOCH + Duration::from_secs(1_790_000_000)),
            ..Options::default()
        }
    }
}

pub fn pick<'a, T>(random: &mut Rng, from: &'a [T]) -> &'a T {
    &from[random.usize(..from.len())]
}

/// The device's policy: all that it needs, but for what is denied.
pub fn policy(denial: Option<Denial>) -> String {
    let arn = "arn:aws:iot:<region>:<account>";
    let jobs = "$aws/things/<thingname>/jobs/*";
    let denied = denial.map_or(String::new(), |Denial { action, resource }| {
        format!(r#", {{"Effect": "Deny", "Action": "{action}", "Resource": "*{resource}"}}"#)
    });
    format!(
        r#"{{"Version": "2012-10-17", "Statement": [
            {{"Effect": "Allow", "Action": "iot:Connect", "Resource": "{arn}:client/<thingname>"}},
            {{"Effect": "Allow", "Action": ["iot:Publish", "iot:Receive"],
              "Resource": ["{arn}:topic/{jobs}", "{arn}:topic/dt/<thingname>/*", "{arn}:topic/cmd/<thingname>/*"]}},
            {{"Effect": "Allow", "Action": "iot:Subscribe",
              "Resource": ["{arn}:topicfilter/{jobs}", "{arn}:topicfilter/cmd/<thingname>/*"]}}
            {denied}]}}"#
    )
}
