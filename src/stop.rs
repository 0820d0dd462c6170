//! Waits for somebody to end the program.

use std::io;

/// What ends the program as asked: Ctrl-C and SIGTERM; on Windows Ctrl-C, Ctrl-Break, a closed
/// console and the system's shutdown. Resolves to the reason in words. From the call on, none of
/// them ends the process by itself, and on Unix this thread takes them, even if a parent had left them
/// blocked. (Windows ends it all the same some five seconds after a console was closed.)
///
/// SIGHUP is left as it is: a closed terminal ends the program at once, unless it was started with
/// `nohup`, which a handler would defeat.
///
/// # Errors
/// If the operating system does not let the program listen.
pub fn signal() -> io::Result<impl Future<Output = &'static str>> {
    #[cfg(unix)]
    {
        use nix::sys::signal::{SigSet, Signal};
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]).thread_unblock()?;
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => "interrupted by Ctrl-C",
                _ = terminate.recv() => "interrupted by SIGTERM",
            }
        })
    }
    #[cfg(windows)]
    {
        use tokio::signal::windows;
        let mut ctrl_c = windows::ctrl_c()?;
        let mut ctrl_break = windows::ctrl_break()?;
        let mut close = windows::ctrl_close()?;
        let mut shutdown = windows::ctrl_shutdown()?;
        Ok(async move {
            tokio::select! {
                _ = ctrl_c.recv() => "interrupted by Ctrl-C",
                _ = ctrl_break.recv() => "interrupted by Ctrl-Break",
                _ = close.recv() => "the console was closed",
                _ = shutdown.recv() => "the system shuts down",
            }
        })
    }
}

/// Tries whether the files can be opened that a runtime needs which is to hear of signals: tokio panics
/// where there are none left.
///
/// # Errors
/// If they can't.
pub fn check_files() -> io::Result<()> {
    #[cfg(unix)]
    let _closed_again: Vec<_> = std::iter::repeat_with(std::os::unix::net::UnixStream::pair)
        .take(3)
        .collect::<io::Result<_>>()?;
    Ok(())
}
