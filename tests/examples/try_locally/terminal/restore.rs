//! Gives the terminal back as it was: a line editor that is interrupted (by SIGTERM, or a `quit` from
//! elsewhere) would leave it without echo.

use std::sync::{Arc, Mutex, PoisonError};

/// Restores the terminal when it is dropped.
pub struct Restore {
    turn: Turn,
    #[cfg(unix)]
    before: Option<nix::sys::termios::Termios>,
}

/// Whose turn it is. The line editor changes the terminal from its own thread, whenever it begins a
/// line; it must not do so after the terminal was given back.
#[derive(Clone, Default)]
pub struct Turn(Arc<Mutex<Stage>>);

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    BetweenLines,
    /// The editor has the terminal, or is about to take it.
    Editing,
    /// The terminal is given back, and stays as it is.
    Over,
}

impl Turn {
    /// Must come before each line that is edited. False if there is to be none.
    pub fn begin(&self) -> bool {
        self.enter(Stage::Editing) != Stage::Over
    }

    /// The editor has left the terminal, by itself.
    pub fn end(&self) {
        self.enter(Stage::BetweenLines);
    }

    /// Returns what was before. Nothing comes after [`Stage::Over`].
    fn enter(&self, next: Stage) -> Stage {
        let mut stage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *stage;
        if before != Stage::Over {
            *stage = next;
        }
        before
    }
}

impl Restore {
    /// Remembers how the terminal is, if stdin is one.
    pub fn new() -> Restore {
        Restore {
            turn: Turn::default(),
            #[cfg(unix)]
            before: nix::sys::termios::tcgetattr(std::io::stdin()).ok(),
        }
    }

    /// What the line editor asks before each line.
    pub fn turn(&self) -> Turn {
        self.turn.clone()
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        let was = self.turn.enter(Stage::Over);
        #[cfg(unix)]
        if let Some(before) = &self.before {
            give_back(before, was);
        }
        #[cfg(not(unix))]
        let _ = was; // there is nothing to give back
    }
}

/// Sets the terminal to what it was. An editor that is about to change it is let through first.
#[cfg(unix)]
fn give_back(before: &nix::sys::termios::Termios, was: Stage) {
    use nix::sys::termios::{SetArg, tcgetattr, tcsetattr};
    use std::io::Write;
    use std::time::{Duration, Instant};

    /// The editor asks the terminal to mark what is pasted.
    const PASTE_IS_NOT_MARKED: &[u8] = b"\x1b[?2004l";
    /// It has only to get a processor.
    const LIMIT: Duration = Duration::from_secs(1);

    let (stdin, begun) = (std::io::stdin(), Instant::now());
    let is_untouched = || tcgetattr(&stdin).is_ok_and(|now| now == *before);
    while was == Stage::Editing && is_untouched() && begun.elapsed() < LIMIT {
        std::thread::sleep(Duration::from_millis(1));
    }
    // If it can't be restored, nobody is left who could do better.
    let _ = tcsetattr(&stdin, SetArg::TCSANOW, before);
    if was == Stage::Editing {
        let mut stdout = std::io::stdout();
        let written = stdout.write_all(PASTE_IS_NOT_MARKED);
        let _ = written.and_then(|()| stdout.flush());
    }
}
