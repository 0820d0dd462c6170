//! The terminal: lines in, lines out.
//!
//! Where stdin and stdout are one, with arrow keys and a history, and with a line being typed that stays
//! whole; where they are a pipe or a file, plain lines.

mod restore;
mod screen;

use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::mpsc as std_mpsc;
use std::thread;

use rustyline::error::ReadlineError;
use rustyline::{DefaultEditor, ExternalPrinter};
use tokio::sync::mpsc;

pub use screen::{LONGEST, Level, Screen};

const PROMPT: &str = "> ";

/// Something that was typed.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    /// A line; several, if they were pasted.
    Lines(String),
    /// A byte that is not UTF-8. The line that it was in is lost.
    NotText,
    /// Ctrl-C or Ctrl-D, or there is nobody left who reads what is printed.
    End,
}

/// The terminal, or what stands in for one. Leaves it as it was when it is dropped.
pub struct Terminal {
    typed: mpsc::UnboundedReceiver<Typed>,
    to_us: mpsc::UnboundedSender<Typed>,
    /// Where lines go that are to be printed above the one being typed.
    above: Option<std_mpsc::Sender<String>>,
    _restore: restore::Restore,
}

impl Terminal {
    /// Begins to read.
    pub fn open() -> Terminal {
        let restore = restore::Restore::new();
        let (to_us, typed) = mpsc::unbounded_channel();
        let editor = (io::stdin().is_terminal() && io::stdout().is_terminal())
            .then(editor)
            .flatten();
        let sender = to_us.clone();
        let above = match editor {
            Some((editor, printer)) => {
                let turn = restore.turn();
                thread::spawn(move || edit(editor, &turn, &sender));
                Some(print_above(printer))
            }
            None => {
                thread::spawn(move || read(&sender));
                None
            }
        };
        Terminal {
            typed,
            to_us,
            above,
            _restore: restore,
        }
    }

    /// Whether lines are edited here.
    pub fn is_edited(&self) -> bool {
        self.above.is_some()
    }

    /// What is typed next. At the end of plain input it waits for ever.
    pub async fn next(&mut self) -> Typed {
        match self.typed.recv().await {
            Some(typed) => typed,
            None => std::future::pending().await,
        }
    }

    /// Prints some lines.
    pub fn print(&self, text: &str) {
        match &self.above {
            Some(above) => {
                // It only fails when the process is at its end.
                let _ = above.send(format!("{text}\n"));
            }
            None => {
                if say(text).is_err() {
                    let _ = self.to_us.send(Typed::End);
                }
            }
        }
    }
}

/// Prints a line. (`println!` panics when the program that reads stdout is gone, as `head` soon is.)
///
/// # Errors
/// If nobody reads it.
pub fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

/// None if the terminal can do nothing but lines.
fn editor() -> Option<(DefaultEditor, impl ExternalPrinter + Send + 'static)> {
    let mut editor = DefaultEditor::new().ok()?;
    let printer = editor.create_external_printer().ok()?;
    Some((editor, printer))
}

fn edit(mut editor: DefaultEditor, turn: &restore::Turn, to_us: &mpsc::UnboundedSender<Typed>) {
    while turn.begin() {
        let read = editor.readline(PROMPT);
        turn.end();
        let typed = match read {
            Ok(line) => {
                for line in line.lines() {
                    // Without it, an arrow key finds one line less.
                    let _ = editor.add_history_entry(line);
                }
                Typed::Lines(line)
            }
            Err(ReadlineError::Signal(_)) => continue,
            Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
                Typed::NotText
            }
            Err(_) => Typed::End,
        };
        let is_end = typed == Typed::End;
        if to_us.send(typed).is_err() || is_end {
            return;
        }
    }
}

/// Prints from a thread of its own: it may have to wait for the editor.
fn print_above(mut printer: impl ExternalPrinter + Send + 'static) -> std_mpsc::Sender<String> {
    let (sender, lines) = std_mpsc::channel::<String>();
    thread::spawn(move || {
        while let Ok(text) = lines.recv() {
            if printer.print(text.clone()).is_err() {
                let _ = say(text.trim_end()); // and if nobody reads it, the terminal is gone
            }
        }
    });
    sender
}

fn read(to_us: &mpsc::UnboundedSender<Typed>) {
    let mut stdin = io::stdin().lock();
    let mut line = Vec::new();
    while stdin
        .read_until(b'\n', &mut line)
        .is_ok_and(|read| read > 0)
    {
        let typed = String::from_utf8(std::mem::take(&mut line)).map_or(Typed::NotText, |line| {
            Typed::Lines(line.trim_end().to_owned())
        });
        if to_us.send(typed).is_err() {
            return;
        }
    }
}
