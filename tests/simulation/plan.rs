//! What will happen in a run, and when: drawn from the seed, before it begins.

use std::time::Duration;

use fastrand::Rng;

use crate::happening::{Cloud, Denial, Device, Happening, Network, Pick, Service};
use crate::network::{Address, Link, Trouble};
use crate::setting::pick;
use crate::work::{Document, Ending};

/// For this long, things happen. Then the world is calm.
pub const EVENTFUL: Duration = Duration::from_secs(3 * 3600);
/// Nothing happens before that: the device comes up.
const FIRST: Duration = Duration::from_secs(60);

/// Faults of the service that a device must live through. A `*` is one of [`OPERATIONS`].
const FAULTS: [&str; 39] = [
    "drop-after-accept",
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
    "late-reply * 15000",
    "late-reply notify-next 9000",
    "double-reply *",
    "other-thing-reply *",
    "foreign-token-reply *",
    "no-token-reply *",
    "not-json-reply *",
    "huge-reply *",
    "overtaken-reply *",
    "reject * RequestThrottled",
    "reject * InternalError",
    "drop-before *",
    "drop-after-lost *",
];

const OPERATIONS: [&str; 5] = ["start-next", "describe", "update", "progress", "outcome"];

/// What a policy that is being edited may deny for a while.
const DENIALS: [Denial; 6] = [
    Denial {
        action: "iot:Connect",
        resource: "client/my-thing",
    },
    Denial {
        action: "iot:Publish",
        resource: "/update",
    },
    Denial {
        action: "iot:Publish",
        resource: "/start-next",
    },
    Denial {
        action: "iot:Subscribe",
        resource: "/notify-next",
    },
    Denial {
        action: "iot:Receive",
        resource: "/update/accepted",
    },
    Denial {
        action: "iot:*",
        resource: "",
    },
];

/// What happens, in the order of time.
pub type Plan = Vec<(Duration, Happening)>;

/// Some time after the device has come up, and before all is calm.
pub fn moment(random: &mut Rng) -> Duration {
    let range = FIRST.as_millis() as u64..EVENTFUL.as_millis() as u64;
    Duration::from_millis(random.u64(range))
}

/// Draws a plan.
pub struct Planner<'a> {
    random: &'a mut Rng,
    plan: Plan,
    jobs: u32,
}

impl<'a> Planner<'a> {
    pub fn new(random: &'a mut Rng) -> Self {
        Self {
            random,
            plan: Plan::new(),
            jobs: 0,
        }
    }

    pub fn plan(mut self) -> Plan {
        for _ in 0..self.random.u32(8..16) {
            let at = moment(self.random);
            // Some come together.
            for _ in 0..*pick(self.random, &[1, 1, 1, 2, 6]) {
                self.create(at);
            }
        }
        for _ in 0..self.random.u32(15..45) {
            let at = moment(self.random);
            self.happen(at);
        }
        let last = moment(self.random);
        self.add(last, Happening::Cloud(Cloud::RetryAll));
        self.plan.sort_by_key(|(at, _)| *at);
        self.plan
    }

    fn happen(&mut self, at: Duration) {
        match self.random.u32(..100) {
            0..30 => self.fault(at),
            30..50 => self.meddle(at),
            50..68 => self.network(at),
            68..82 => self.service(at),
            82..96 => self.device(at),
            _ => self.policy(at),
        }
    }

    fn fault(&mut self, at: Duration) {
        let fault = *pick(self.random, &FAULTS);
        let fault = fault.replace('*', OPERATIONS[self.random.usize(..OPERATIONS.len())]);
        self.add(at, Happening::Service(Service::Fault(fault)));
    }

    fn meddle(&mut self, at: Duration) {
        let which = Pick(*pick(self.random, &[0, 0, 0, 1, 2]));
        let cloud = match self.random.u32(..8) {
            0 => Cloud::Cancel(which),
            1 => Cloud::TimeOut(which),
            2 => Cloud::TimeOutAndRetry(which),
            3 => Cloud::Delete(which),
            4 => Cloud::DeleteAndCreate(which, self.document()),
            5 => Cloud::Touch(which),
            6 => Cloud::RetryAll,
            _ => Cloud::ForeignReply(which),
        };
        self.add(at, Happening::Cloud(cloud));
    }

    fn network(&mut self, at: Duration) {
        let (up, down) = *pick(self.random, &[(true, false), (false, true), (true, true)]);
        let trouble = match self.random.u32(..6) {
            0 => Trouble::Reset,
            1 | 2 => Trouble::Silence { up, down },
            3 => Trouble::Stall(Duration::from_secs(self.random.u64(1..30))),
            4 => return self.slow_down(at),
            _ => return self.outage(at),
        };
        self.add(at, Happening::Network(Network::Trouble(trouble)));
    }

    /// The way is slow for a while.
    fn slow_down(&mut self, at: Duration) {
        let link = Link {
            latency: Duration::from_millis(self.random.u64(100..1500)),
            bytes_per_second: Some(self.random.u32(3_000..20_000)),
        };
        self.add(at, Happening::Network(Network::Link(Some(link))));
        let later = at + self.a_while();
        self.add(later, Happening::Network(Network::Link(None)));
    }

    /// An address is dead, or all are; perhaps the connections go as well.
    fn outage(&mut self, at: Duration) {
        use Address::{Answers, IsDead, Refuses};
        let all = [
            [IsDead, Answers],
            [Refuses, Answers],
            [IsDead, IsDead],
            [Refuses, Refuses],
            [IsDead, Refuses],
        ];
        let addresses = *pick(self.random, &all);
        self.add(at, Happening::Network(Network::Addresses(addresses)));
        if self.random.bool() {
            let silence = Trouble::Silence {
                up: true,
                down: true,
            };
            let trouble = *pick(self.random, &[Trouble::Reset, silence]);
            self.add(at, Happening::Network(Network::Trouble(trouble)));
        }
        let later = at + self.a_while();
        self.add(later, Happening::Network(Network::Addresses([Answers; 2])));
    }

    fn service(&mut self, at: Duration) {
        let service = match self.random.u32(..6) {
            0 => Service::LosesSessions,
            1 => Service::Disconnects(*pick(self.random, &[0x80, 0x89, 0x8b, 0x8e, 0x97])),
            2 => {
                let days = self.random.i64(-3..=3);
                let seconds = days * 86_400 + self.random.i64(-3600..3600);
                Service::TurnsClock { seconds }
            }
            3 => {
                let later = at + self.a_while();
                self.add(later, Happening::Service(Service::ThrottlesNoMore));
                Service::Throttles(pick::<&str>(self.random, &["any", "start-next", "update"]))
            }
            _ => {
                let down = Duration::from_millis(self.random.u64(0..60_000));
                self.add(at + down, Happening::Service(Service::ComesBack));
                let keeps_sessions = self.random.bool();
                Service::GoesDown { keeps_sessions }
            }
        };
        self.add(at, Happening::Service(service));
    }

    fn policy(&mut self, at: Duration) {
        let denial = *pick(self.random, &DENIALS);
        self.add(at, Happening::Service(Service::Policy(Some(denial))));
        let hour = Duration::from_secs(self.random.u64(60..3600));
        self.add(at + hour, Happening::Service(Service::Policy(None)));
    }

    fn device(&mut self, at: Duration) {
        let off = Duration::from_millis(self.random.u64(1_000..60_000));
        let device = match self.random.u32(..5) {
            0 | 1 => Device::Crash {
                power_cut: self.random.bool(),
                off,
            },
            2 => Device::Restart,
            3 => Device::Freeze(Duration::from_millis(self.random.u64(500..12_000))),
            _ => Device::Burst(self.random.u32(20..200)),
        };
        self.add(at, Happening::Device(device));
    }

    fn create(&mut self, at: Duration) {
        let document = self.document();
        let timeout_minutes = (self.random.u8(..5) == 0).then(|| self.random.u64(1..20));
        let create = Cloud::Create {
            document,
            timeout_minutes,
        };
        self.add(at, Happening::Cloud(create));
    }

    fn document(&mut self) -> Document {
        use Ending::{Fails, Rejects, Succeeds};
        self.jobs += 1;
        let all: [&[Ending]; 5] = [
            &[Succeeds],
            &[Succeeds],
            &[Succeeds],
            &[Fails, Succeeds],
            &[Rejects],
        ];
        Document {
            serial: self.jobs,
            seconds: *pick(self.random, &[0, 1, 5, 20, 60, 90]),
            reports: *pick(self.random, &[0, 0, 1, 4]),
            checkpoint: self.random.u8(..6) == 0,
            reboots: self.random.u8(..15) == 0,
            ends: pick(self.random, &all).to_vec(),
            padding: "x".repeat(*pick(self.random, &[0, 0, 0, 300, 8_000])),
        }
    }

    fn add(&mut self, at: Duration, happening: Happening) {
        self.plan.push((at.min(EVENTFUL), happening));
    }

    /// From ten seconds to a quarter of an hour.
    fn a_while(&mut self) -> Duration {
        Duration::from_millis(self.random.u64(10_000..900_000))
    }
}
