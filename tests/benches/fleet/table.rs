//! The figures of a simulation, as the table of the page has them.

use super::simulation::{Fleet, Wait};

/// The head of the table.
pub const HEAD: &str = "\
| waits between tries | peak of tries per second | 99 % are back after | all are back after | tries per device |
|---|---|---|---|---|";

/// The table's line for one way to wait.
pub fn row(fleet: &Fleet, wait: Wait) -> String {
    let seen = fleet.simulate(wait);
    let cells = [
        wait.name().to_owned(),
        thousands(seen.peak()),
        duration(seen.back(0.99)),
        duration(seen.back(1.0)),
        tries(seen.tries_per_device()),
    ];
    format!("| {} |", cells.join(" | "))
}

/// A number with commas between the thousands.
pub fn thousands(number: u32) -> String {
    match number {
        0..1_000 => number.to_string(),
        _ => format!("{},{:03}", thousands(number / 1_000), number % 1_000),
    }
}

/// Seconds, as minutes and hours where these are easier to read.
pub fn duration(seconds: usize) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{}:{:02} min", seconds / 60, seconds % 60),
        _ => format!("{:.1} h", seconds as f64 / 3_600.0),
    }
}

/// With a decimal where there is little before it.
fn tries(tries: f64) -> String {
    let decimals = if tries < 100.0 { 1 } else { 0 };
    format!("{tries:.decimals$}")
}
