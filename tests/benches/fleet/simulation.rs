//! A fleet that loses its connections all at once, and how it comes back.
//!
//! A try takes no time here, and costs nothing but itself: while the service is down, and when it has
//! taken as many connects in a second as it takes, the try fails at once. The same seed gives the
//! same figures.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use jobs_mqtt5::mqtt::Backoff;

/// What the fleet is, and what happens to it.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// How many devices there are.
    pub devices: u32,
    /// How long the service is down, in seconds.
    pub outage: usize,
    /// How many connects the service takes in a second; `None`: all of them.
    pub connects: Option<u32>,
    /// Where the random numbers begin.
    pub seed: u64,
}

/// How a device waits between two tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Exponential backoff, drawn evenly from zero to the bound: the program's own.
    FullJitter,
    /// Exponential backoff, always as long as the bound.
    NoJitter,
    /// The same wait every time.
    Constant,
}

impl Wait {
    pub const ALL: [Self; 3] = [Self::FullJitter, Self::NoJitter, Self::Constant];

    /// The wait that never changes.
    const CONSTANT: Duration = Duration::from_secs(5);

    pub fn name(self) -> &'static str {
        match self {
            Self::FullJitter => "doubling from 1 s to 120 s, full jitter (this program)",
            Self::NoJitter => "the same without jitter",
            Self::Constant => "constant, 5 s",
        }
    }

    /// The next wait. The program's own type counts the failures for those that don't draw from it.
    fn next(self, backoff: &mut Backoff) -> Duration {
        let bound = backoff.bound();
        let drawn = backoff.next_wait();
        match self {
            Self::FullJitter => drawn,
            Self::NoJitter => bound,
            Self::Constant => Self::CONSTANT,
        }
    }
}

/// Devices that try at the same moments: each on its own with jitter, and all together without.
struct Group {
    devices: u32,
    backoff: Backoff,
}

impl Fleet {
    /// The fleet at its start, as groups of devices that wait alike.
    fn groups(&self, wait: Wait) -> Vec<Group> {
        let (groups, devices) = match wait {
            Wait::FullJitter => (self.devices, 1),
            Wait::NoJitter | Wait::Constant => (1, self.devices),
        };
        (0..u64::from(groups))
            .map(|number| Group {
                devices,
                backoff: Backoff::default().seeded(self.seed << 32 | number),
            })
            .collect()
    }

    /// Lets every device try until it is connected.
    pub fn simulate(&self, wait: Wait) -> Seen {
        let mut seen = Seen {
            outage: self.outage,
            ..Seen::default()
        };
        let mut groups = self.groups(wait);
        let first_tries = groups.iter_mut().map(|group| wait.next(&mut group.backoff));
        let mut next_tries: BinaryHeap<_> = first_tries.zip(0..).map(Reverse).collect();
        while let Some(Reverse((now, number))) = next_tries.pop() {
            let second = now.as_secs() as usize;
            if seen.tries.len() <= second {
                seen.tries.resize(second + 1, 0);
                seen.connects.resize(second + 1, 0);
            }
            let group: &mut Group = &mut groups[number];
            let room = match self.connects {
                _ if second < self.outage => 0,
                Some(connects) => connects - seen.connects[second],
                None => u32::MAX,
            };
            let connected = group.devices.min(room);
            seen.tries[second] += group.devices;
            seen.connects[second] += connected;
            group.devices -= connected;
            if group.devices > 0 {
                next_tries.push(Reverse((now + wait.next(&mut group.backoff), number)));
            }
        }
        seen
    }
}

/// What the service saw, second by second, from the loss of the connections on.
#[derive(Debug, Default)]
pub struct Seen {
    /// How long the service was down, in seconds.
    outage: usize,
    /// Tries to connect.
    pub tries: Vec<u32>,
    /// Those of them that were taken.
    pub connects: Vec<u32>,
}

impl Seen {
    /// The most tries in one second of those since the service is back.
    pub fn peak(&self) -> u32 {
        let since = self.tries.iter().skip(self.outage);
        since.max().copied().unwrap_or(0)
    }

    /// How many seconds after the service was back this share of all devices was connected.
    pub fn back(&self, share: f64) -> usize {
        let wanted = self.connects.iter().map(|&n| f64::from(n)).sum::<f64>() * share;
        let mut connected = 0.0;
        let back = self.connects.iter().position(|&connects| {
            connected += f64::from(connects);
            connected >= wanted
        });
        (back.unwrap_or_default() + 1).saturating_sub(self.outage)
    }

    /// How often a device tried, on average.
    pub fn tries_per_device(&self) -> f64 {
        let sum = |counts: &[u32]| counts.iter().map(|&n| f64::from(n)).sum::<f64>();
        sum(&self.tries) / sum(&self.connects).max(1.0)
    }
}
