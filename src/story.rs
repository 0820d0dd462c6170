//! What the program tells: the story on stdout, what must be known on stderr.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

mod writer;

use writer::{Stream, Writers};

/// A line of the story: `tell!(story, "Connected to {endpoint}")`, as in `println!`.
macro_rules! tell {
    ($story:expr, $($text:tt)*) => { $story.tell(format_args!($($text)*)) };
}

pub(crate) use tell;

/// At the end, what was told may take this long to be written.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Tells the story line by line, to a reader who may be slow, stalled or gone: the work goes on.
///
/// Every line is written whole and flushed at once, by a thread that does nothing else. Up to 256 KiB
/// for stdout and as much for stderr may wait for their readers; then lines are left out, and their
/// number is told in their place once somebody reads again.
#[derive(Clone)]
pub struct Story(Arc<Way>);

/// The way that lines take.
enum Way {
    /// By the threads that write.
    Writers(Arc<Writers>),
    /// Straight to the two streams.
    Straight([Mutex<Box<dyn Write + Send>>; 2]),
}

impl Story {
    /// For a program. Call [`Story::flush`] before it ends.
    pub fn on_stdout_and_stderr() -> Self {
        match Writers::start(io::stdout(), io::stderr()) {
            Ok(writers) => Self(Arc::new(Way::Writers(writers))),
            Err(_) => Self::to(io::stdout(), io::stderr()), // no threads: better blocked than silent
        }
    }

    /// For a test, or for a program that tells its story elsewhere. Each line is written before the
    /// call that tells it returns, so neither writer may block for long.
    pub fn to(out: impl Write + Send + 'static, err: impl Write + Send + 'static) -> Self {
        let streams: [Box<dyn Write + Send>; 2] = [Box::new(out), Box::new(err)];
        Self(Arc::new(Way::Straight(streams.map(Mutex::new))))
    }

    /// A line of the story.
    pub fn tell(&self, line: fmt::Arguments<'_>) {
        self.write(Stream::Out, format!("{line}\n"));
    }

    /// A line on stderr that the user must know, whatever the verbosity of the log.
    pub fn warn(&self, line: fmt::Arguments<'_>) {
        self.write(Stream::Err, format!("{line}\n"));
    }

    /// Whether stdout and stderr are seen together: both are a terminal.
    pub fn is_one_text(&self) -> bool {
        let writes = matches!(&*self.0, Way::Writers(_));
        writes && io::stdout().is_terminal() && io::stderr().is_terminal()
    }

    /// The way to stderr for the log, which writes each of its lines as a whole.
    pub(crate) fn stderr(&self) -> impl Write + use<> {
        LogLines(self.clone())
    }

    /// Waits until all that was told is written: at most a second, for there may be no reader.
    pub fn flush(&self) {
        if let Way::Writers(writers) = &*self.0 {
            writers.flush(LAST_WORDS);
        }
    }

    fn write(&self, stream: Stream, line: String) {
        match &*self.0 {
            Way::Writers(writers) => writers.tell(stream, line),
            Way::Straight(streams) => {
                let mut to = streams[stream as usize]
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                // A reader who has gone away is no reason to stop working.
                let _ = to.write_all(line.as_bytes()).and_then(|()| to.flush());
            }
        }
    }
}

/// What the log writes to.
struct LogLines(Story);

impl Write for LogLines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line).into_owned();
        self.0.write(Stream::Err, text);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
