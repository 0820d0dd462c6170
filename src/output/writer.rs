//! Writes lines on threads of their own, so that nobody who says something waits for a reader.
//!
//! A reader may stop reading: `| less`, Ctrl-S, a log collector that hangs. Then a pipe is full after
//! some 64 KiB, and whoever writes to it is blocked until it is read again.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes that may wait for each stream's reader. (A line that is longer may wait alone.)
const CAPACITY: usize = 256 * 1024;
/// A write that takes longer than this is one that nobody reads. Until then, the other stream waits
/// for it: where both go to one terminal or journal, lines come in the order in which they were said.
const STUCK_AFTER: Duration = Duration::from_millis(250);
/// A reader that does not block us, and takes nothing either (`O_NONBLOCK`), is asked again after this.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// One of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Out,
    Err,
}

/// The threads that write. When this is dropped, they end with the last line.
pub(super) struct Writers(Arc<Queue>);

/// The lines of both streams that are not written yet, in the order in which they were said.
#[derive(Default)]
struct Queue {
    lines: Mutex<VecDeque<Line>>,
    /// For each stream: it has a line more, or one less.
    changed: [Condvar; 2],
    /// No line follows.
    is_complete: AtomicBool,
}

struct Line {
    stream: Stream,
    text: String,
    /// In place of a text: how many lines were dropped.
    dropped: u64,
    /// Since when it is being written.
    since: Option<Instant>,
}

impl Writers {
    /// Starts a thread for each stream.
    ///
    /// # Errors
    /// If the operating system does not give us one.
    pub fn start(
        out: impl Write + Send + 'static,
        err: impl Write + Send + 'static,
    ) -> io::Result<Arc<Self>> {
        let writers = Self(Arc::default());
        let (first, second) = (Arc::clone(&writers.0), Arc::clone(&writers.0));
        thread::Builder::new().spawn(move || first.write(Stream::Out, out))?;
        thread::Builder::new().spawn(move || second.write(Stream::Err, err))?;
        Ok(Arc::new(writers))
    }

    /// Has a line written, with the line feed at its end. Never waits for a reader.
    pub fn push(&self, stream: Stream, text: String) {
        let mut lines = self.0.lock();
        let of_stream = lines.iter().filter(|line| line.stream == stream);
        let bytes: usize = of_stream.map(|line| line.text.len()).sum();
        // Once a line is dropped, so are those behind it: the gap is said first, and in its place.
        let gap = lines.iter_mut().rfind(|line| line.stream == stream);
        if let Some(gap) = gap.filter(|last| last.dropped > 0 && last.since.is_none()) {
            gap.dropped += 1;
            return;
        }
        let full = bytes > 0 && bytes + text.len() > CAPACITY;
        lines.push_back(Line {
            stream,
            dropped: u64::from(full),
            text: if full { String::new() } else { text },
            since: None,
        });
        drop(lines); // whoever is woken wants them
        self.0.changed[stream as usize].notify_all();
    }

    /// Waits until all that was said is written, or for so long.
    pub fn flush(&self, limit: Duration) {
        let start = Instant::now();
        for stream in [Stream::Out, Stream::Err] {
            let rest = limit.saturating_sub(start.elapsed());
            let unwritten = |lines: &mut VecDeque<Line>| position(lines, stream).is_some();
            drop(self.0.changed[stream as usize].wait_timeout_while(
                self.0.lock(),
                rest,
                unwritten,
            ));
        }
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        let _lines = self.0.lock(); // whoever looks has looked, or waits
        self.0.is_complete.store(true, Ordering::Relaxed);
        self.0.changed.iter().for_each(Condvar::notify_all);
    }
}

impl Queue {
    /// Writes what is said on this stream, as long as there may be more.
    fn write(&self, stream: Stream, mut to: impl Write) {
        while let Some(text) = self.next(stream) {
            write_whole(&mut to, text.as_bytes());
            let mut lines = self.lock();
            if let Some(written) = position(&lines, stream) {
                lines.remove(written);
            }
            drop(lines);
            self.changed[stream as usize].notify_all();
        }
    }

    /// Waits for the next line of this stream, and for the older ones of the other.
    fn next(&self, stream: Stream) -> Option<String> {
        let is_stuck = |since: Instant| since.elapsed() >= STUCK_AFTER;
        let mut lines = self.lock();
        loop {
            lines = match position(&lines, stream) {
                None if self.is_complete.load(Ordering::Relaxed) => return None,
                None => self.changed[stream as usize]
                    .wait(lines)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(nth) if nth == 0 || lines[0].since.is_some_and(is_stuck) => {
                    return Some(lines[nth].begin());
                }
                Some(_) => {
                    let other = &self.changed[lines[0].stream as usize];
                    let waited = other.wait_timeout(lines, STUCK_AFTER);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Its text, which is now being written.
    fn begin(&mut self) -> String {
        self.since = Some(Instant::now());
        if self.dropped > 0 {
            let count = self.dropped;
            let s = if count == 1 { "" } else { "s" };
            self.text = format!("… {count} line{s} dropped: output was blocked\n");
        }
        self.text.clone()
    }
}

/// Where the first line of this stream is.
fn position(lines: &VecDeque<Line>, stream: Stream) -> Option<usize> {
    lines.iter().position(|line| line.stream == stream)
}

/// Writes all of it, however long the reader takes.
fn write_whole(to: &mut impl Write, mut line: &[u8]) {
    loop {
        let written = match line {
            [] => to.flush().map(|()| 0),
            _ => to.write(line),
        };
        match written {
            Ok(0) => return,
            Ok(count) => line = &line[count..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(ASK_AGAIN_AFTER),
            Err(_) => return, // a reader who has gone away is no reason to stop working
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// A stream whose reader takes a line only when it is told to; the lines go to the test.
    struct Stalled {
        go_on: mpsc::Receiver<()>,
        read: mpsc::Sender<String>,
    }

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.go_on.recv(); // once nobody stalls any longer, everything is read
            let _ = self.read.send(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn stalled() -> (Stalled, mpsc::Sender<()>, mpsc::Receiver<String>) {
        let ((go_on, stall), (read, lines)) = (mpsc::channel(), mpsc::channel());
        (Stalled { go_on: stall, read }, go_on, lines)
    }

    const LIMIT: Duration = Duration::from_secs(30);

    #[test]
    fn what_nobody_reads_is_dropped_and_counted_and_the_rest_is_whole_and_in_order() {
        let (out, reader, lines) = stalled();
        let writers = Writers::start(out, io::sink()).unwrap();
        let said: Vec<String> = (0..3_000).map(|n| format!("{n:0>1000}\n")).collect();
        for line in &said {
            writers.push(Stream::Out, line.clone());
        }
        writers.flush(Duration::from_millis(1)); // does not wait forever
        drop(reader);
        writers.flush(LIMIT);
        writers.push(Stream::Out, "and on\n".to_owned());
        writers.flush(LIMIT);
        let read: Vec<String> = lines.try_iter().collect();
        let kept = read.len() - 2;
        assert_eq!(kept, CAPACITY / said[0].len());
        assert_eq!(read[..kept], said[..kept]);
        let dropped = said.len() - kept;
        let gap = format!("… {dropped} lines dropped: output was blocked\n");
        assert_eq!(read[kept..], [gap, "and on\n".to_owned()]);
    }

    #[test]
    fn a_line_longer_than_the_buffer_is_said_when_it_is_alone() {
        let (out, reader, lines) = stalled();
        drop(reader);
        let writers = Writers::start(out, io::sink()).unwrap();
        let long = "x".repeat(2 * CAPACITY) + "\n";
        writers.push(Stream::Out, long.clone());
        writers.flush(LIMIT);
        assert_eq!(lines.try_iter().collect::<Vec<_>>(), [long]);
    }

    #[test]
    fn lines_of_both_streams_come_in_the_order_in_which_they_were_said() {
        let ((out, _, lines), (mut err, _, _)) = (stalled(), stalled());
        err.read = out.read.clone();
        let writers = Writers::start(out, err).unwrap();
        let said: Vec<String> = (0..500).map(|n| format!("{n}\n")).collect();
        for (n, line) in said.iter().enumerate() {
            let stream = [Stream::Out, Stream::Err][n % 3 % 2];
            writers.push(stream, line.clone());
        }
        writers.flush(LIMIT);
        assert_eq!(lines.try_iter().collect::<Vec<_>>(), said);
    }

    #[test]
    fn a_stream_that_nobody_reads_does_not_hold_up_the_other() {
        let ((out, _held, _), (err, reader, lines)) = (stalled(), stalled());
        drop(reader);
        let writers = Writers::start(out, err).unwrap();
        for n in 0..100 {
            writers.push(Stream::Out, format!("{n}\n"));
            writers.push(Stream::Err, format!("{n}\n"));
        }
        for n in 0..100 {
            assert_eq!(lines.recv_timeout(LIMIT).unwrap(), format!("{n}\n"));
        }
    }

    #[test]
    fn a_reader_that_takes_a_little_at_a_time_gets_whole_lines() {
        /// Takes two bytes, then none, and so on.
        struct Little(Vec<u8>, bool);
        impl Write for Little {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.1 ^= true;
                let count = bytes.len().min(2);
                if self.1 {
                    return Err(ErrorKind::WouldBlock.into());
                }
                self.0.extend(&bytes[..count]);
                Ok(count)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut to = Little(Vec::new(), false);
        write_whole(&mut to, b"whole\n");
        assert_eq!(to.0, b"whole\n");
    }
}
