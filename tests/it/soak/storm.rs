//! What strikes the device: faults of the service and of the network, and people in the cloud.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use local_iot_core::{Books, Fault, Times};

use super::device::clock;
use crate::support::World;

/// Whatever a device must live through. A `*` is one of [`OPERATIONS`].
const FAULTS: [&str; 42] = [
    "drop-after-accept",
    "no-tls-answer",
    "drop-after-tls",
    "no-connack",
    "connack 0x86",
    "connack 0x87",
    "connack 0x88",
    "connack 0x89",
    "connack 0x97",
    "connack 0x9f",
    "drop-after-connack",
    "session-lost",
    "no-pingresp",
    "no-suback",
    "suback 0x87 notify-next",
    "suback 0x97",
    "no-puback",
    "puback 0x87",
    "puback 0x97",
    "disconnect 0x87",
    "disconnect 0x8b",
    "drop-on-publish",
    "pubacks-out-of-order",
    "double-deliveries",
    "unreadable-delivery",
    "lose-reply *",
    "lose-reply notify-next",
    "late-reply * 900",
    "late-reply notify-next 900",
    "double-reply *",
    "other-thing-reply *",
    "foreign-token-reply *",
    "no-token-reply *",
    "not-json-reply *",
    "wrong-shape-reply *",
    "huge-reply *",
    "overtaken-reply *",
    "reject * RequestThrottled",
    "reject * InternalError",
    "drop-before *",
    "drop-after *",
    "drop-after-lost *",
];

const OPERATIONS: [&str; 6] = [
    "get-pending",
    "start-next",
    "describe",
    "update",
    "progress",
    "outcome",
];

/// This many jobs are pending at any time.
const PENDING: usize = 20;

pub struct Storm<'a> {
    world: &'a World,
    random: fastrand::Rng,
    queued: usize,
    /// The faults that were to strike.
    pub armed: usize,
    /// The jobs that somebody in the cloud has done something to.
    pub disturbed: BTreeSet<String>,
}

impl<'a> Storm<'a> {
    pub fn new(world: &'a World, seed: u64) -> Self {
        Self {
            world,
            random: fastrand::Rng::with_seed(seed),
            queued: 0,
            armed: 0,
            disturbed: BTreeSet::new(),
        }
    }

    /// Queues some more jobs.
    pub fn queue(&mut self, jobs: usize) {
        for _ in 0..jobs {
            let document = self.document();
            let job_id = format!("job-{:04}", self.queued);
            let jobs = self.world.core.jobs();
            jobs.create_job_with_text(&job_id, &document).unwrap();
            self.queued += 1;
        }
    }

    /// A while later, one more thing goes wrong.
    pub async fn strike(&mut self) {
        tokio::time::sleep(Duration::from_millis(self.random.u64(20..300))).await;
        let core = &self.world.core;
        let mut pending = 0;
        let count = |books: &Books| {
            pending = books.in_progress().count() + books.queued().count();
            true
        };
        core.jobs().wait_until(count).await;
        self.queue(PENDING.saturating_sub(pending));
        match self.random.u32(..100) {
            0..70 => {
                let fault = self.random.choice(FAULTS).unwrap_or_default();
                let on = self.random.choice(OPERATIONS).unwrap_or_default();
                let fault: Fault = fault.replace('*', on).parse().unwrap();
                core.faults().add(fault, Times::Once);
                self.armed += 1;
            }
            70..76 => core.drop_connections(),
            76..82 => {
                core.drop_connections();
                core.forget_sessions();
            }
            82..85 => {
                core.stop_listening().await;
                core.drop_connections();
                let outage = self.random.u64(..1_000);
                tokio::time::sleep(Duration::from_millis(outage)).await;
                core.resume_listening().await.unwrap();
            }
            85..88 => {
                self.clock_is_set(["+3d", "-2h", "-56y"]);
                let wrong = self.random.u64(..1_000); // with it, no certificate is valid in 1970
                tokio::time::sleep(Duration::from_millis(wrong)).await;
                self.clock_is_set(["+0"]);
            }
            _ => self.meddle(),
        }
    }

    /// The device's clock is set, by a time server or by somebody; to 1970 if its battery is empty.
    /// (That changes nothing without `SOAK_LIBFAKETIME`.)
    fn clock_is_set<const N: usize>(&mut self, offsets: [&str; N]) {
        let offset = self.random.choice(offsets).unwrap_or_default();
        std::fs::write(clock(self.world), offset).unwrap();
    }

    /// What has not struck so far stays away, and the clock is right.
    pub fn calm_down(&mut self) {
        self.world.core.faults().clear();
        self.clock_is_set(["+0"]);
    }

    /// Somebody in the cloud changes one of the jobs that are pending.
    fn meddle(&mut self) {
        let jobs = self.world.core.jobs();
        let pending: Vec<_> = jobs.list();
        let mut pending: Vec<_> = pending
            .into_iter()
            .filter(|execution| !execution.status.is_terminal())
            .map(|execution| execution.job_id)
            .collect();
        pending.truncate(3); // the one in hand, if any, and the next ones
        let Some(job_id) = self.random.choice(pending) else {
            return;
        };
        let done = match self.random.u32(..6) {
            0 => jobs.cancel_job_by_force(&job_id),
            1 => jobs.time_out(&job_id),
            2 => jobs.time_out(&job_id).and_then(|()| jobs.retry(&job_id)),
            3 => jobs.delete_job(&job_id),
            4 => {
                let fault = Fault::BrokenExecution(job_id.clone(), String::new());
                self.world.core.faults().add(fault, Times::Once);
                Ok(())
            }
            _ => {
                let note = BTreeMap::from([("note".to_owned(), "from the cloud".to_owned())]);
                return jobs.touch(&job_id, note).unwrap_or_default(); // it is done all the same
            }
        };
        if done.is_ok() {
            self.disturbed.insert(job_id);
        }
    }

    /// A job document as nobody would write it.
    fn document(&mut self) -> String {
        let size = self.random.usize(..4_000);
        match self.random.u32(..8) {
            0 => format!("{}{}", "[".repeat(size), "]".repeat(size)),
            1 => r#"{"do":"half a smile \ud83d"}"#.to_owned(),
            2 => format!(r#"{{"a number":1{},"nothing":null}}"#, "0".repeat(size)),
            3 => r#"{"do":"\u001b[2J\u202e \ud83d\ude00 世界","do":"it again"}"#.to_owned(),
            4 => "null".to_owned(),
            _ => format!(r#"{{"do":"{}"}}"#, "x".repeat(size)),
        }
    }
}
