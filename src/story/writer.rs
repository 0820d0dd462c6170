//! Writes lines on threads of their own, so that nobody who tells something waits for a reader.
//!
//! A reader may stop reading: `| less`, Ctrl-S, a log collector that hangs. Then a pipe is full after
//! some 64 KiB, and whoever writes to it is blocked until it is read again. Here that is a thread
//! which does nothing else. What is told meanwhile waits in a buffer; when it is full, lines are left
//! out, and counted.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes that may wait for each stream's reader. (A line that is longer may wait alone.)
const ROOM: usize = 256 * 1024;
/// A writer needs little. Bytes.
const STACK: usize = 128 * 1024;
/// A write that takes longer than this is one that nobody reads. Until then, the other stream waits
/// for it: where both go to one terminal or journal, lines come in the order in which they were told.
const STUCK_AFTER: Duration = Duration::from_millis(250);
/// A reader that does not block us, and takes nothing either (`O_NONBLOCK`), is asked again after this.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// One of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Out,
    Err,
}

/// The lines on their way to the two streams.
pub(super) struct Writers {
    state: Mutex<State>,
    /// For each stream: its writer has something to look at.
    news: [Condvar; 2],
    /// All that was told is written, on one of the streams.
    written: Condvar,
}

#[derive(Default)]
struct State {
    /// How many lines were told so far, on both streams: the number of the next.
    told: u64,
    queues: [Queue; 2],
}

/// The lines on their way to one stream.
#[derive(Default)]
struct Queue {
    lines: VecDeque<(u64, String)>,
    /// Their bytes, together with the line that is being written.
    bytes: usize,
    /// The line that is being written, and since when.
    writing: Option<(u64, Instant)>,
    /// Behind them is a gap: the number of the first line that found no room, and how many there are.
    gap: Option<(u64, u64)>,
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
        let writers = Arc::new(Self {
            state: Mutex::default(),
            news: [Condvar::new(), Condvar::new()],
            written: Condvar::new(),
        });
        let (first, second) = (Arc::clone(&writers), Arc::clone(&writers));
        let thread = |name: &str| {
            thread::Builder::new()
                .name(name.to_owned())
                .stack_size(STACK)
        };
        thread("stdout").spawn(move || first.write(Stream::Out, out))?;
        thread("stderr").spawn(move || second.write(Stream::Err, err))?;
        Ok(writers)
    }

    /// Has a line written, with the line feed at its end. Never waits for a reader.
    pub fn tell(&self, stream: Stream, line: String) {
        let mut state = self.lock();
        let number = state.told;
        state.told += 1;
        let queue = &mut state.queues[stream as usize];
        // Once a line is left out, so are those behind it: the gap is told first, and in its place.
        let full = queue.bytes > 0 && queue.bytes + line.len() > ROOM;
        if full || queue.gap.is_some() {
            let (_, lines) = queue.gap.get_or_insert((number, 0));
            *lines += 1;
            return;
        }
        queue.bytes += line.len();
        queue.lines.push_back((number, line));
        drop(state);
        self.news[stream as usize].notify_one();
    }

    /// Waits until all that was told is written, or nobody has read it for so long.
    pub fn flush(&self, limit: Duration) {
        let on_their_way = |state: &mut State| state.queues.iter().any(|queue| !queue.is_empty());
        drop(
            self.written
                .wait_timeout_while(self.lock(), limit, on_their_way),
        );
    }

    /// Writes what is told on this stream, for as long as the program runs.
    fn write(&self, stream: Stream, mut to: impl Write) {
        loop {
            let line = self.next(stream);
            // A reader who has gone away is no reason to stop working.
            let _ = write_whole(&mut to, line.as_bytes());
            self.done(stream, line.len());
        }
    }

    /// Waits for the next line of this stream, and for the older ones of the other.
    fn next(&self, stream: Stream) -> String {
        let (own, other) = (stream as usize, 1 - stream as usize);
        let mut state = self.lock();
        loop {
            let Some(next) = state.queues[own].first() else {
                state = self.news[own]
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            if state.queues[other].is_ahead_of(next) {
                let waited = self.news[own].wait_timeout(state, STUCK_AFTER);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            return state.queues[own].take();
        }
    }

    /// A line is written.
    fn done(&self, stream: Stream, bytes: usize) {
        let (own, other) = (stream as usize, 1 - stream as usize);
        let mut state = self.lock();
        state.queues[own].writing = None;
        state.queues[own].bytes -= bytes;
        if state.queues[own].is_empty() {
            self.written.notify_all();
        }
        if state.queues[other].first().is_some() {
            self.news[other].notify_one(); // it may have waited for this line
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// The number of the first line that waits, or of the gap if none does.
    fn first(&self) -> Option<u64> {
        let line = self.lines.front().map(|(number, _)| *number);
        line.or(self.gap.map(|(number, _)| number))
    }

    /// Whether an older line than this is on its way here, and somebody reads.
    fn is_ahead_of(&self, number: u64) -> bool {
        match self.writing {
            Some((older, since)) => older < number && since.elapsed() < STUCK_AFTER,
            None => self.first().is_some_and(|older| older < number),
        }
    }

    /// Takes the first line that waits, to write it; if none does, the word on the gap.
    fn take(&mut self) -> String {
        let (number, line) = self.lines.pop_front().unwrap_or_else(|| {
            let (number, lines) = self.gap.take().unwrap_or_default();
            let plural = if lines == 1 { "" } else { "s" };
            let line = format!("… {lines} line{plural} left out: nobody read what came before\n");
            self.bytes += line.len();
            (number, line)
        });
        self.writing = Some((number, Instant::now()));
        line
    }

    fn is_empty(&self) -> bool {
        self.writing.is_none() && self.first().is_none()
    }
}

/// Writes all of it, however long the reader takes.
fn write_whole(to: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    loop {
        let written = match bytes {
            [] => to.flush().map(|()| 0),
            _ => to.write(bytes),
        };
        match written {
            Ok(_) if bytes.is_empty() => return Ok(()),
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(ASK_AGAIN_AFTER),
            Err(error) => return Err(error),
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
            let _ = self.go_on.recv(); // once nobody stalls any more, everything is read
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
    fn what_nobody_reads_is_left_out_and_counted_and_the_rest_is_whole_and_in_order() {
        let (out, reader, lines) = stalled();
        let writers = Writers::start(out, io::sink()).unwrap();
        let told: Vec<String> = (0..3_000).map(|n| format!("{n:0>1000}\n")).collect();
        for line in &told {
            writers.tell(Stream::Out, line.clone());
        }
        writers.flush(Duration::from_millis(1)); // does not wait for ever
        drop(reader);
        writers.flush(LIMIT);
        writers.tell(Stream::Out, "and on\n".to_owned());
        writers.flush(LIMIT);
        let read: Vec<String> = lines.try_iter().collect();
        let kept = read.len() - 2;
        assert_eq!(kept, ROOM / told[0].len());
        assert_eq!(read[..kept], told[..kept]);
        let gap = format!(
            "… {} lines left out: nobody read what came before\n",
            told.len() - kept
        );
        assert_eq!(read[kept..], [gap, "and on\n".to_owned()]);
    }

    #[test]
    fn a_line_longer_than_the_buffer_is_told_when_it_is_alone() {
        let (out, reader, lines) = stalled();
        drop(reader);
        let writers = Writers::start(out, io::sink()).unwrap();
        let long = "x".repeat(2 * ROOM) + "\n";
        writers.tell(Stream::Out, long.clone());
        writers.flush(LIMIT);
        assert_eq!(lines.try_iter().collect::<Vec<_>>(), [long]);
    }

    #[test]
    fn lines_of_both_streams_come_in_the_order_in_which_they_were_told() {
        let ((out, go, lines), (mut err, _, _)) = (stalled(), stalled());
        drop(go);
        let (go, stall) = mpsc::channel();
        drop(go);
        (err.go_on, err.read) = (stall, out.read.clone());
        let writers = Writers::start(out, err).unwrap();
        let told: Vec<String> = (0..500).map(|n| format!("{n}\n")).collect();
        for (n, line) in told.iter().enumerate() {
            let stream = [Stream::Out, Stream::Err][n % 3 % 2];
            writers.tell(stream, line.clone());
        }
        writers.flush(LIMIT);
        assert_eq!(lines.try_iter().collect::<Vec<_>>(), told);
    }

    #[test]
    fn a_stream_that_nobody_reads_does_not_hold_up_the_other() {
        let ((out, _held, _), (err, reader, lines)) = (stalled(), stalled());
        drop(reader);
        let writers = Writers::start(out, err).unwrap();
        for n in 0..100 {
            writers.tell(Stream::Out, format!("{n}\n"));
            writers.tell(Stream::Err, format!("{n}\n"));
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
                match self.1 {
                    true => Err(ErrorKind::WouldBlock.into()),
                    false => {
                        self.0.extend(&bytes[..count]);
                        Ok(count)
                    }
                }
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut to = Little(Vec::new(), false);
        write_whole(&mut to, b"whole\n").unwrap();
        assert_eq!(to.0, b"whole\n");
    }
}
