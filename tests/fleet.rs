//! From one device to a fleet: `cargo bench --bench fleet`.
//!
//! A simulation of 100,000 devices that lose their connection at the same moment, because the service
//! is down for a minute. Each waits as the program's own [`Backoff`] says; beside it, the same without
//! jitter, and a constant wait. How many connects does the service meet in a second when it is back,
//! and when is everybody connected again?
//!
//! A try takes no time here, and costs nothing but itself: while the service is down, and when it has
//! taken as many connects in a second as it takes, the try fails at once. The same seed gives the
//! same figures.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use clap::Parser;
use jobs_mqtt5::mqtt::Backoff;

/// What the fleet is, and what happens to it.
#[derive(Debug, Clone, Parser)]
#[command(bin_name = "cargo bench --bench fleet --")]
struct Arguments {
    /// How many devices there are
    #[arg(long, value_name = "COUNT", default_value_t = 100_000)]
    devices: u32,

    /// How long the service is down, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    outage: u32,

    /// So many connects a second does the service take (500 is AWS's default for an account)
    #[arg(long, value_name = "COUNT", default_value_t = 500)]
    connects: u32,

    /// Where the random numbers begin
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Cargo passes this to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// How a device waits between two tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    FullJitter,
    NoJitter,
    Constant,
}

impl Wait {
    const ALL: [Self; 3] = [Self::FullJitter, Self::NoJitter, Self::Constant];

    fn name(self) -> &'static str {
        match self {
            Self::FullJitter => "exponential, full jitter (ours)",
            Self::NoJitter => "exponential, no jitter",
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
            Self::Constant => CONSTANT,
        }
    }
}

const CONSTANT: Duration = Duration::from_secs(5);
/// The histogram has one bar for so many seconds…
const BAR: usize = 30;
/// …and goes no further than this many bars.
const BARS: usize = 24;

fn main() {
    let arguments = Arguments::parse();
    println!(
        "{} devices lose their connection at once; the service is down for {} s.\n",
        thousands(u64::from(arguments.devices)),
        arguments.outage
    );
    println!(
        "{:<34}{:<14}{:>14}{:>12}{:>12}{:>14}",
        "wait between tries",
        "service takes",
        "peak tries/s",
        "99 % back",
        "all back",
        "tries/device"
    );
    let takes = format!("{}/s", arguments.connects);
    for (limit, takes) in [(None, "everything"), (Some(arguments.connects), &takes)] {
        for wait in Wait::ALL {
            let seen = simulate(&arguments, wait, limit);
            println!("{}", row(&arguments, wait, takes, &seen));
        }
    }
    println!(
        "\nPeak: once the service is back. Back: counted from that moment; at {takes} it takes {} at \
         best.\n",
        duration(arguments.devices.div_ceil(arguments.connects.max(1)) as usize)
    );
    histogram(&arguments);
}

/// What the service saw, second by second, from the loss of the connections on.
#[derive(Default)]
struct Seen {
    tries: Vec<u32>,
    connects: Vec<u32>,
}

/// Lets every device try until it is connected. With a limit, the service takes only so many a second.
fn simulate(arguments: &Arguments, wait: Wait, limit: Option<u32>) -> Seen {
    let mut seen = Seen::default();
    let mut backoffs: Vec<Backoff> = (0..u64::from(arguments.devices))
        .map(|device| Backoff::default().seeded(arguments.seed << 32 | device))
        .collect();
    let mut next_tries: BinaryHeap<_> = backoffs
        .iter_mut()
        .enumerate()
        .map(|(device, backoff)| Reverse((wait.next(backoff), device)))
        .collect();
    while let Some(Reverse((now, device))) = next_tries.pop() {
        let second = now.as_secs() as usize;
        if seen.tries.len() <= second {
            seen.tries.resize(second + 1, 0);
            seen.connects.resize(second + 1, 0);
        }
        seen.tries[second] += 1;
        let up = second >= arguments.outage as usize;
        if up && limit.is_none_or(|limit| seen.connects[second] < limit) {
            seen.connects[second] += 1;
        } else {
            let next = now + wait.next(&mut backoffs[device]);
            next_tries.push(Reverse((next, device)));
        }
    }
    seen
}

impl Seen {
    /// The most tries in one second of those from `outage` on.
    fn peak(&self, outage: usize) -> u32 {
        self.tries.iter().skip(outage).max().copied().unwrap_or(0)
    }

    /// How many seconds after the outage this share of all devices was connected.
    fn back(&self, share: f64, outage: usize) -> usize {
        let wanted = self.connects.iter().map(|&n| f64::from(n)).sum::<f64>() * share;
        let mut connected = 0.0;
        let back = self.connects.iter().position(|&connects| {
            connected += f64::from(connects);
            connected >= wanted
        });
        (back.unwrap_or_default() + 1).saturating_sub(outage)
    }
}

/// A line of the table.
fn row(arguments: &Arguments, wait: Wait, takes: &str, seen: &Seen) -> String {
    let outage = arguments.outage as usize;
    let tries: u64 = seen.tries.iter().map(|&tries| u64::from(tries)).sum();
    format!(
        "{:<34}{:<14}{:>14}{:>12}{:>12}{:>14.1}",
        wait.name(),
        takes,
        thousands(u64::from(seen.peak(outage))),
        duration(seen.back(0.99, outage)),
        duration(seen.back(1.0, outage)),
        tries as f64 / f64::from(arguments.devices.max(1))
    )
}

/// Tries and connects over time, for our waits at the service's limit.
fn histogram(arguments: &Arguments) {
    let seen = simulate(arguments, Wait::FullJitter, Some(arguments.connects));
    println!(
        "Full jitter, {} connects a second taken: each bar is {BAR} s; # connects, . refused tries; \
         one mark is 100 a second.",
        arguments.connects
    );
    let seconds = seen.tries.chunks(BAR).zip(seen.connects.chunks(BAR));
    for (bar, (tries, connects)) in seconds.enumerate().take(BARS) {
        let a_second = |counts: &[u32]| counts.iter().sum::<u32>() as usize / BAR;
        let (tries, connects) = (a_second(tries), a_second(connects));
        let marks = |count: usize| count.div_ceil(100);
        println!(
            "{:>7}  {:>6}  {}{}",
            duration(bar * BAR),
            thousands(tries as u64),
            "#".repeat(marks(connects)),
            ".".repeat(marks(tries).saturating_sub(marks(connects)).min(60))
        );
    }
}

/// A number with commas between the thousands.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .filter_map(|group| std::str::from_utf8(group).ok())
        .collect();
    groups.join(",")
}

/// Seconds, as minutes and hours where these are easier to read.
fn duration(seconds: usize) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{}:{:02} min", seconds / 60, seconds % 60),
        _ => format!("{:.1} h", seconds as f64 / 3_600.0),
    }
}
