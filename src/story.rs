//! What the program tells: the story on stdout, what must be known on stderr.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

/// A line of the story: `tell!(story, "Connected to {endpoint}")`, as in `println!`.
macro_rules! tell {
    ($story:expr, $($text:tt)*) => { $story.tell(format_args!($($text)*)) };
}

pub(crate) use tell;

/// Where lines are written to.
type Sink = Arc<Mutex<dyn Write + Send>>;

/// Tells the story line by line.
///
/// Every line is written whole and flushed at once. A reader who has gone away (a closed pipe) is no
/// reason to stop working: what can't be told is left untold.
#[derive(Clone)]
pub struct Story {
    out: Sink,
    err: Sink,
}

impl Story {
    /// For a program.
    pub fn on_stdout_and_stderr() -> Self {
        Self::to(io::stdout(), io::stderr())
    }

    /// For a test, or for a program that tells its story elsewhere.
    pub fn to(out: impl Write + Send + 'static, err: impl Write + Send + 'static) -> Self {
        Self {
            out: Arc::new(Mutex::new(out)),
            err: Arc::new(Mutex::new(err)),
        }
    }

    /// A line of the story.
    pub fn tell(&self, line: fmt::Arguments<'_>) {
        write_line(&self.out, line);
    }

    /// A line on stderr that the user must know, whatever the verbosity of the log.
    pub fn warn(&self, line: fmt::Arguments<'_>) {
        write_line(&self.err, line);
    }
}

fn write_line(sink: &Sink, line: fmt::Arguments<'_>) {
    let line = format!("{line}\n");
    let mut sink = sink
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let _ = sink.write_all(line.as_bytes()).and_then(|()| sink.flush());
}
