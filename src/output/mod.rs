//! What the program says: on stdout what it does, on stderr what somebody has to know.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

mod writer;

use writer::{Stream, Writers};

use crate::text::printable;

/// A line on stdout: `say!(output, "Connected to {endpoint}")`, as in `println!`.
macro_rules! say {
    ($output:expr, $($text:tt)*) => { $output.print(format_args!($($text)*)) };
}

pub(crate) use say;

/// Writes line by line, to a reader who may be slow, stalled or gone: the work goes on.
///
/// Every line is written whole and flushed at once, by a thread that does nothing else. Up to 256 KiB
/// for stdout and as much for stderr may wait for their readers; then lines are dropped, and their
/// number is said in their place once somebody reads again. Whatever does not show, or would move the
/// cursor, is escaped.
#[derive(Clone)]
pub struct Output {
    writers: Arc<Writers>,
    /// Whether each line is waited for.
    waits: bool,
    /// Whether each line begins with the time.
    timestamps: bool,
}

impl Output {
    /// For a program. Call [`Output::flush`] before it ends.
    ///
    /// # Errors
    /// If the operating system gives us no thread to write on.
    pub fn on_stdout_and_stderr() -> io::Result<Self> {
        let writers = Writers::start(io::stdout(), io::stderr())?;
        Ok(Self::new(writers, false))
    }

    /// For a test, or for a program that writes elsewhere. Each line is written before the call that
    /// says it returns, unless that takes more than a second.
    ///
    /// # Errors
    /// If the operating system gives us no thread to write on.
    pub fn to(
        out: impl Write + Send + 'static,
        err: impl Write + Send + 'static,
    ) -> io::Result<Self> {
        Ok(Self::new(Writers::start(out, err)?, true))
    }

    fn new(writers: Arc<Writers>, waits: bool) -> Self {
        Self {
            writers,
            waits,
            timestamps: false,
        }
    }

    /// The same, with the time before each line: UTC, to the millisecond. (The log has it anyway.)
    #[must_use]
    pub fn with_timestamps(self, timestamps: bool) -> Self {
        Self { timestamps, ..self }
    }

    /// A line on stdout.
    pub fn print(&self, line: fmt::Arguments<'_>) {
        self.write(Stream::Out, &self.at_its_time(line));
    }

    /// A line on stderr that the user must know, whatever the verbosity of the log.
    pub fn warn(&self, line: fmt::Arguments<'_>) {
        self.write(Stream::Err, &self.at_its_time(line));
    }

    /// Whether stdout and stderr are seen together: both are a terminal.
    pub fn is_one_text(&self) -> bool {
        !self.waits && io::stdout().is_terminal() && io::stderr().is_terminal()
    }

    /// Waits until all that was said is written: at most a second, for there may be no reader.
    pub fn flush(&self) {
        self.writers.flush(Duration::from_secs(1));
    }

    fn at_its_time(&self, line: fmt::Arguments<'_>) -> String {
        if self.timestamps {
            format!("{} {line}", shown(SystemTime::now()))
        } else {
            line.to_string()
        }
    }

    fn write(&self, stream: Stream, line: &str) {
        self.writers.push(stream, format!("{}\n", printable(line)));
        if self.waits {
            self.flush();
        }
    }
}

/// A time in RFC 3339's form, which has the years up to 9999. A clock that was never set may be anywhere:
/// what lies outside is shown as the first moment of 1970, or the last that has a form.
fn shown(time: SystemTime) -> impl fmt::Display {
    let last = UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_millis(time.clamp(UNIX_EPOCH, last))
}

/// The way to stderr for the log, which writes each of its lines as a whole.
pub(crate) struct LogLines(pub Output);

impl Write for LogLines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        self.0.write(Stream::Err, text.trim_end_matches('\n'));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_of_the_clock_can_be_shown() {
        let year = |years: u64| Duration::from_secs(years * 31_556_952);
        for (time, text) in [
            (
                UNIX_EPOCH - Duration::from_nanos(1),
                "1970-01-01T00:00:00.000Z",
            ),
            (UNIX_EPOCH - year(3_000), "1970-01-01T00:00:00.000Z"),
            (
                UNIX_EPOCH + Duration::from_millis(1_500),
                "1970-01-01T00:00:01.500Z",
            ),
            (UNIX_EPOCH + year(8_031), "9999-12-31T23:59:59.000Z"),
            (
                UNIX_EPOCH + year(200_000_000_000),
                "9999-12-31T23:59:59.000Z",
            ),
        ] {
            assert_eq!(shown(time).to_string(), text);
        }
    }
}
