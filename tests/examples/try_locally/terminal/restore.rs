//! Gives the terminal back as it was: a line editor that is interrupted (by SIGTERM, or a `quit` from
//! elsewhere) would leave it without echo.

/// Restores the terminal when it is dropped.
pub struct Restore {
    #[cfg(unix)]
    before: Option<nix::sys::termios::Termios>,
}

impl Restore {
    /// Remembers how the terminal is, if stdin is one.
    pub fn new() -> Restore {
        Restore {
            #[cfg(unix)]
            before: nix::sys::termios::tcgetattr(std::io::stdin()).ok(),
        }
    }
}

#[cfg(unix)]
impl Drop for Restore {
    fn drop(&mut self) {
        use nix::sys::termios::{SetArg, tcsetattr};
        if let Some(before) = &self.before {
            // If it can't be restored, nobody is left who could do better.
            let _ = tcsetattr(std::io::stdin(), SetArg::TCSANOW, before);
        }
    }
}
