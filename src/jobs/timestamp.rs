//! Points in time, as the Jobs service writes them.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A point in time, in milliseconds since 1970-01-01 00:00 UTC.
///
/// The service sends seconds in most replies and milliseconds in some, whole or with a fraction.
/// Both are read: a number that would lie after the year 5138 as seconds is one of milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    milliseconds: u64,
}

/// From here on, a number counts milliseconds (as seconds, it would be in the year 5138).
const FIRST_MILLISECONDS: f64 = 100_000_000_000.0;
/// The last moment of the year 9999: nothing later has a date of four digits.
const LAST_MILLISECONDS: f64 = 253_402_300_799_999.0;

impl Timestamp {
    /// Reads a number of seconds or milliseconds. `None` if it lies before 1970 or after 9999.
    pub fn from_number(number: f64) -> Option<Self> {
        let milliseconds = if number < FIRST_MILLISECONDS {
            number * 1000.0
        } else {
            number
        };
        (0.0..=LAST_MILLISECONDS)
            .contains(&milliseconds)
            .then_some(Self {
                milliseconds: milliseconds.round() as u64,
            })
    }

    /// Whole seconds since 1970-01-01 00:00 UTC.
    pub fn seconds(self) -> u64 {
        self.milliseconds / 1000
    }
}

impl fmt::Display for Timestamp {
    /// As a person reads it: `2026-11-24 09:30:00 UTC`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = UNIX_EPOCH + Duration::from_millis(self.milliseconds);
        let rfc3339 = humantime::format_rfc3339_seconds(time).to_string();
        f.write_str(&rfc3339.replace('T', " ").replace('Z', " UTC"))
    }
}

/// A time that can't be read must not cost the reply it came with, so anything that is no number in
/// range is taken for "not told" by [`Timestamp`]s inside an `Option`.
pub(super) fn lenient<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Box::<RawValue>::deserialize(from)?;
    let number = text.get().parse().ok(); // JSON's numbers are a part of Rust's
    Ok(number.and_then(Timestamp::from_number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_milliseconds_whole_or_not_are_the_same_moment() {
        for number in [
            1_795_512_600.0,
            1_795_512_600_000.0,
            1_795_512_600.25,
            1_795_512_600_250.0,
        ] {
            let time = Timestamp::from_number(number).map(|time| time.to_string());
            assert_eq!(time.as_deref(), Some("2026-11-24 09:30:00 UTC"), "{number}");
        }
    }

    #[test]
    fn a_number_that_is_no_time_is_no_timestamp() {
        for number in [-1.0, f64::NAN, f64::INFINITY, 1e18] {
            assert_eq!(Timestamp::from_number(number), None, "{number}");
        }
        assert!(Timestamp::from_number(LAST_MILLISECONDS).is_some());
    }

    #[test]
    fn a_number_is_taken_for_milliseconds_from_where_no_clock_counts_seconds() {
        let shown = |number| Timestamp::from_number(number).map(|time| time.to_string());
        let last_seconds = shown(FIRST_MILLISECONDS - 1.0);
        assert_eq!(last_seconds.as_deref(), Some("5138-11-16 09:46:39 UTC"));
        let first_milliseconds = shown(FIRST_MILLISECONDS);
        assert_eq!(
            first_milliseconds.as_deref(),
            Some("1973-03-03 09:46:40 UTC")
        );
    }

    #[test]
    fn two_copies_of_a_time_have_the_same_whole_seconds() {
        for number in [1_795_512_600.0, 1_795_512_600.25, 1_795_512_600_999.0] {
            let seconds = Timestamp::from_number(number).map(Timestamp::seconds);
            assert_eq!(seconds, Some(1_795_512_600), "{number}");
        }
    }
}
